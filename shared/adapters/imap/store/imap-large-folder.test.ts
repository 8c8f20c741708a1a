import { afterEach, expect, it } from 'vitest';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { type ImapScript, type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import { never } from '../../../../test/support/store-helpers.ts';
import type { StoreSession } from '../../store.ts';

let server: ScriptedImap | undefined;
let session: StoreSession | undefined;
afterEach(async () => {
  await session?.close();
  await server?.stop();
});

/** A folder whose mails have even UIDs, and of which `removed` go away behind the first answer to SEARCH. */
function folderOf(count: number, removed = 0): ImapScript {
  let uids = Array.from({ length: count }, (_, n) => 2 * (n + 1));
  return {
    EXAMINE: (tag) =>
      `* ${uids.length} EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT ${2 * count + 1}] ok\r\n${tag} OK done\r\n`,
    'UID SEARCH': (tag, line) => {
      const [, from = 1, to = uids.length] = /SEARCH (\d+):(\d+)/.exec(line)?.map(Number) ?? [];
      const piece = uids.slice(from - 1, to);
      const expunged = from === 1 && removed > 0 ? `* 1 EXPUNGE\r\n`.repeat(removed) : '';
      if (from === 1) uids = uids.slice(removed);
      return `* SEARCH ${piece.join(' ')}\r\n${expunged}${tag} OK done\r\n`;
    },
    FETCH: (tag, line) => {
      const place = Number(line.split(' ')[2]?.split(':')[0]);
      return `* ${place} FETCH (UID ${uids[place - 1]})\r\n${tag} OK done\r\n`;
    },
    'UID FETCH': (tag, line) => {
      const wanted = (line.split(' ')[3] ?? '').split(',');
      return `${wanted.map((uid, n) => `* ${n + 1} FETCH (UID ${uid} RFC822.SIZE 9)\r\n`).join('')}${tag} OK done\r\n`;
    },
  };
}

async function listedOf(script: ImapScript): Promise<number> {
  server = await startScriptedImap(script);
  session = await imapStore({ port: server.port, tls: { starttls: 'never' } }).open({ signal: never });
  for await (const page of session.changes('INBOX', undefined, { signal: never, pageSize: 10 })) {
    return page.mails.length + (page.remaining ?? 0);
  }
  return 0;
}

it('lists a folder of 120,000 mails in pieces, each in a line of bounded length', async () => {
  expect(await listedOf(folderOf(120_000))).toBe(120_000);
  const pieces = server?.commands().filter((line) => line.startsWith('UID SEARCH'));
  expect(pieces).toEqual(['UID SEARCH 1:50000', 'UID SEARCH 49001:99000', 'UID SEARCH 98001:120000']);
});

it('passes over none of them where others are removed between two pieces', async () => {
  expect(await listedOf(folderOf(120_000, 5_000))).toBeGreaterThanOrEqual(115_000);
});

it.each([
  ['by one question', [] as number[], [] as number[], ['UID SEARCH UID 1:*']],
  // What arrived after the folder was opened is left to the next round.
  [
    'up to the last mail, where others arrive meanwhile',
    [],
    [41, 42],
    ['UID SEARCH UID 1:*', 'FETCH 20 (UID)', 'UID SEARCH UID 1:40'],
  ],
  [
    'once more where one that has arrived stands for one that is left out',
    [2],
    [41],
    ['UID SEARCH UID 1:*', 'FETCH 20 (UID)', 'UID SEARCH UID 1:40'],
  ],
])('lists a folder of which nothing is known %s', async (_, leftOut, arrived, asked) => {
  const all = Array.from({ length: 20 }, (_, n) => 2 * (n + 1));
  const found = (line: string) =>
    line.endsWith('*') ? [...all.filter((uid) => !leftOut.includes(uid)), ...arrived] : all;
  const search: ImapScript = {
    'UID SEARCH': (tag, line) => `* SEARCH ${found(line).join(' ')}\r\n${tag} OK done\r\n`,
  };
  expect(await listedOf({ ...folderOf(20), ...search })).toBe(20);
  expect(server?.commands().filter((line) => /SEARCH|^FETCH/.test(line))).toEqual(asked);
});

it('lists several pages by one command, each with its own checkpoint, so that a page need not wait for its listing', async () => {
  server = await startScriptedImap(folderOf(500));
  session = await imapStore({ port: server.port, tls: { starttls: 'never' } }).open({ signal: never });
  const pages: (readonly [number, unknown, number | undefined])[] = [];
  for await (const page of session.changes('INBOX', undefined, { signal: never, pageSize: 10 })) {
    pages.push([page.mails.length, page.checkpoint.lastUid, page.remaining]);
  }
  expect(pages).toEqual(Array.from({ length: 50 }, (_, n) => [10, 20 * (n + 1), 490 - 10 * n]));
  expect(server.commands().filter((line) => line.startsWith('UID FETCH'))).toHaveLength(3);
});
