import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collections } from '../../../../test/support/collections.ts';
import { type Dovecot, startDovecot } from '../../../../test/support/dovecot.ts';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { memoryInUse } from '../../../../test/support/memory-in-use.ts';
import { allMails, contentBytes, mail, never } from '../../../../test/support/store-helpers.ts';

/** The largest mail an account imports by default. */
const LARGEST = 157_286_400;
/** A handful of parts of 1 MiB, and as much again of what is dead and not swept yet; the mail is 150 times a part. */
const ALLOWED_GROWTH = 32 * 1024 * 1024;

describe('memory', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    dovecot = await startDovecot({ users: { tester: 'secret', office: 'secret' } });
  });
  afterAll(() => dovecot.remove());

  it('is left to V8 while office mail is read, of which each is less than a MiB', async () => {
    const line = `${'m'.repeat(76)}\r\n`;
    const bytes = mail('office', line.repeat(11_500));
    for (let n = 0; n < 40; n += 1) await dovecot.deliver('office', bytes);
    const store = imapStore({
      port: dovecot.ports.imap,
      auth: { type: 'password', user: 'office', secret: 'corpus-imap' },
      tls: { starttls: 'never' },
    });
    const session = await store.open({ signal: never });
    const mails = await allMails(session.list('INBOX', { signal: never, pageSize: 100 }));
    let streams = 0;
    const asked = await collections(async () => {
      for await (const { content } of session.fetch(mails, { signal: never })) {
        if (content.kind === 'stream') streams += 1;
        await contentBytes(content);
      }
    });
    await session.close();
    expect([streams, asked]).toEqual([40, { young: 0, all: 0 }]);
  });

  it('stays bounded while a mail of 150 MiB is read (trap: huge mail eats the memory)', async () => {
    const line = `${'m'.repeat(76)}\r\n`;
    let bytes: Buffer | undefined = mail('large', line.repeat(Math.floor(LARGEST / line.length) - 100));
    const expected = createHash('sha256').update(bytes).digest('hex');
    const { length } = bytes;
    await dovecot.deliver('tester', bytes);
    await dovecot.deliver('tester', mail('after it'));
    bytes = undefined;
    const store = imapStore({ port: dovecot.ports.imap, tls: { starttls: 'never' } });
    const session = await store.open({ signal: never });
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
      let chunks = 0;
      for await (const chunk of content.stream) {
        if (!Buffer.isBuffer(chunk)) throw new Error('not bytes');
        hash.update(chunk);
        received += chunk.length;
        chunks += 1;
        if (chunks % 8 === 0) peak = Math.max(peak, memoryInUse());
      }
      seen.push(`stream ${received === length && hash.digest('hex') === expected}`);
    }
    await session.close();
    expect(seen.sort()).toEqual(['bytes true', 'stream true']);
    expect(peak - before).toBeLessThan(ALLOWED_GROWTH);
  });
});
