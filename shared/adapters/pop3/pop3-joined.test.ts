import { afterEach, describe, expect, it } from 'vitest';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import { type Pop3Script, type ScriptedPop3, startScriptedPop3 } from '../../../test/support/scripted-pop3.ts';
import { allMails, contentBytes, mail, never } from '../../../test/support/store-helpers.ts';
import type { ListedMail, StoreSession } from '../store.ts';

/** Fetches that wait for their turn, whose commands then go in one row. */

let server: ScriptedPop3 | undefined;
let session: StoreSession | undefined;
afterEach(async () => {
  await session?.close();
  await server?.stop();
  session = undefined;
  server = undefined;
});

const mails = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({ uidl: `id-${n}`, bytes: mail(`Mail ${n}`) }));
const bytesOf = (from: number, to?: number) => mails.slice(from, to).map(({ bytes }) => bytes);

async function contentsOf(batch: readonly ListedMail[]): Promise<readonly Buffer[]> {
  const found: Buffer[] = [];
  if (!session) throw new Error('no session');
  for await (const { content } of session.fetch(batch, { signal: never })) found.push(await contentBytes(content));
  return found;
}

/** Contents of the mails, by four fetches of two each. */
async function fetchTwos(script: Pop3Script = {}, at = mails) {
  server = await startScriptedPop3({ script, mails: at });
  session = await pop3Store({ port: server.port, tls: { starttls: 'never' } }).open({ signal: never });
  const all = await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
  return await Promise.allSettled([0, 2, 4, 6].map((from) => contentsOf(all.slice(from, from + 2))));
}

const given = (from: number, to?: number) => ({ status: 'fulfilled', value: bytesOf(from, to) });

describe('fetches that wait for their turn', () => {
  it('go in one row of commands, each with its own check of the answers', async () => {
    expect(await fetchTwos()).toMatchObject([given(0, 2), given(2, 4), given(4, 6), given(6)]);
    const lines = server?.lines() ?? [];
    const row = ['RETR 3', 'RETR 4', 'UIDL 4', 'RETR 5', 'RETR 6', 'UIDL 6', 'RETR 7', 'RETR 8', 'UIDL 8'];
    expect(lines.slice(lines.indexOf('RETR 3'), lines.indexOf('RETR 3') + row.length)).toEqual(row);
    expect(server?.sessions()).toBe(1);
  });

  it('have what was checked before an answer was out of step; that one fails, and those behind it are asked for again', async () => {
    let cut = false;
    const settled = await fetchTwos({
      RETR: (line) => {
        if (cut || line !== 'RETR 5') return 'ordinary';
        cut = true;
        return '+OK\r\nSubject: cut\r\n.\r\n+OK\r\nSubject: one too many\r\n.\r\n';
      },
    });
    expect(settled).toMatchObject([
      given(0, 2),
      given(2, 4),
      { status: 'rejected', reason: { name: 'StoreError', code: 'OUT_OF_STEP' } },
      given(6),
    ]);
    expect(server?.sessions()).toBe(2);
  });

  it('are asked for again where finding a mail of one behind them broke the line, which fails alone', async () => {
    // Two mails of one name are told apart by what they are, which a new session looks for again.
    const twice = mails.map((one, n) => (n === 5 ? { ...one, uidl: 'id-5' } : one));
    const cut = new Set<number>();
    const settled = await fetchTwos(
      {
        RETR: (line) => {
          const session = server?.sessions() ?? 0;
          if (cut.has(session) || line !== (session === 1 ? 'RETR 1' : 'RETR 5') || session > 2) return 'ordinary';
          cut.add(session);
          return 'cut';
        },
      },
      twice,
    );
    const broken = { status: 'rejected', reason: { name: 'StoreError', kind: 'connection' } };
    // They are listed last.
    expect(settled).toMatchObject([broken, given(2, 4), given(6), broken]);
  });

  it('go on in a new session behind a mail that is far larger than the server says', async () => {
    const large = Buffer.concat([mail('Mail 5'), Buffer.alloc(1_500_000, 'x\r\n')]);
    const settled = await fetchTwos({
      RETR: (line) => (line === 'RETR 5' ? `+OK\r\n${large.toString('latin1')}\r\n.\r\n` : 'ordinary'),
    });
    const [, , third] = settled;
    expect(settled).toMatchObject([given(0, 2), given(2, 4), { status: 'fulfilled' }, given(6)]);
    if (third?.status !== 'fulfilled') return;
    // It comes last, as a stream.
    expect(third.value.map(({ length }) => length)).toEqual([mails[5]?.bytes.length, large.length + 2]);
  });

  it('know of a mail that is gone', async () => {
    server = await startScriptedPop3({ mails });
    session = await pop3Store({ port: server.port, tls: { starttls: 'never' } }).open({ signal: never });
    const all = await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
    const unknown = all.slice(2, 4).map((one) => ({ ...one, source: { ...one.source, item: `${one.source.item}x` } }));
    const kinds = async (batch: readonly ListedMail[]) => {
      const found: string[] = [];
      for await (const { content } of session?.fetch(batch, { signal: never }) ?? []) found.push(content.kind);
      return found;
    };
    expect(await Promise.all([all.slice(0, 2), unknown, all.slice(4, 6)].map(kinds))).toEqual([
      ['bytes', 'bytes'],
      ['gone', 'gone'],
      ['bytes', 'bytes'],
    ]);
  });
});
