import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../../test/support/dovecot.ts';
import { memoryInUse } from '../../../test/support/memory-in-use.ts';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import { allMails, contentBytes, mail, never } from '../../../test/support/store-helpers.ts';

/** The largest mail an account imports by default. */
const LARGEST = 157_286_400;
/** What is held on its way, and as much again of what is dead and not swept yet; the mail is 150 MiB. */
const ALLOWED_GROWTH = 16 * 1024 * 1024;

describe('memory', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    dovecot = await startDovecot();
  });
  afterAll(() => dovecot.remove());

  it('stays bounded while a mail of 150 MiB is read, however slowly (trap: huge mail eats the memory)', async () => {
    const line = `${'m'.repeat(76)}\r\n`;
    let bytes: Buffer | undefined = mail('large', line.repeat(Math.floor(LARGEST / line.length) - 100));
    const expected = createHash('sha256').update(bytes).digest('hex');
    const { length } = bytes;
    await dovecot.deliver('tester', bytes);
    await dovecot.deliver('tester', mail('after it'));
    bytes = undefined;
    const session = await pop3Store({ port: dovecot.ports.pop3, tls: { starttls: 'never' } }).open({ signal: never });
    const mails = await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
    const before = memoryInUse();
    let peak = before;
    const seen: string[] = [];
    for await (const { content } of session.fetch(mails, { signal: never })) {
      if (content.kind !== 'stream') {
        seen.push(`${content.kind} ${(await contentBytes(content)).length < 1_000}`);
        continue;
      }
      const hash = createHash('sha256');
      let received = 0;
      for await (const chunk of content.stream) {
        if (!Buffer.isBuffer(chunk)) throw new Error('not bytes');
        hash.update(chunk);
        const before10 = Math.floor(received / 10_000_000);
        received += chunk.length;
        if (Math.floor(received / 10_000_000) > before10) {
          // The consumer is away for a moment: what the server sends meanwhile must not pile up here.
          for (let turn = 0; turn < 50; turn += 1) await setImmediate();
          peak = Math.max(peak, memoryInUse());
        }
      }
      seen.push(`stream ${received === length && hash.digest('hex') === expected}`);
    }
    await session.close();
    expect(seen.sort()).toEqual(['bytes true', 'stream true']);
    expect(peak - before).toBeLessThan(ALLOWED_GROWTH);
  });

  it('a mail stored without a last line end comes as it is stored', async () => {
    const bytes = Buffer.from('Subject: bare\r\nMessage-ID: <bare@example.com>\r\n\r\nno line end');
    await dovecot.deliver('tester', bytes);
    const session = await pop3Store({ port: dovecot.ports.pop3, tls: { starttls: 'never' } }).open({ signal: never });
    const bare = (await allMails(session.list('INBOX', { signal: never, pageSize: 10 }))).filter(
      ({ size }) => size === bytes.length,
    );
    for await (const { content } of session.fetch(bare, { signal: never })) {
      expect(await contentBytes(content)).toEqual(bytes);
    }
    expect(bare).toHaveLength(1);
    await session.close();
  });
});
