import { afterEach, expect, it } from 'vitest';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import { literal, type ScriptedImapMail, scriptedImapMailbox } from '../../../../test/support/scripted-imap-mailbox.ts';
import { allMails, contentBytes, mail, never } from '../../../../test/support/store-helpers.ts';
import type { FetchedMail, StoreSession } from '../../store.ts';

let server: ScriptedImap | undefined;
let session: StoreSession | undefined;
afterEach(async () => {
  await session?.close();
  await server?.stop();
  session = undefined;
  server = undefined;
});

async function contentsOf(...mails: ScriptedImapMail[]): Promise<readonly FetchedMail[]> {
  server = await startScriptedImap(scriptedImapMailbox(...mails).script);
  session = await imapStore({ port: server.port, tls: { starttls: 'never' } }).open({ signal: never });
  const listed = await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
  const fetched: FetchedMail[] = [];
  for await (const one of session.fetch(listed, { signal: never })) fetched.push(one);
  return fetched;
}

const bytes = mail('Asked for', 'All of it.\r\n');
const header = bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4);
const other = mail('Another one', 'Nobody asked.\r\n');

// RFC 3501 section 7 lets a server say more than it was asked.
it.each([
  ['the header, behind it', `BODY[] ${literal(bytes)} BODY[HEADER] ${literal(header)}`],
  ['the header, before it', `BODY[HEADER] ${literal(header)} BODY[] ${literal(bytes)}`],
  ['a part of it, behind it', `BODY[] ${literal(bytes)} BODY[]<0> ${literal(bytes.subarray(0, 10))}`],
  ['its text', `BODY[] ${literal(bytes)} BODY[TEXT] ${literal(other)}`],
  ['its structure', `BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1) BODY[] ${literal(bytes)}`],
  ['it by its old name', `RFC822 ${literal(other)} BODY[] ${literal(bytes)}`],
  ['it twice', `BODY[] ${literal(bytes)} BODY[] ${literal(bytes)}`],
])('takes the mail where the server also says %s', async (_, items) => {
  const [fetched] = await contentsOf({ uid: 1, bytes, body: () => items });
  expect(fetched?.content).toMatchObject({ kind: 'bytes', bytes });
});

it.each([
  ['the header', `BODY[HEADER] ${literal(header)}`],
  ['the text', `BODY[TEXT] ${literal(bytes)}`],
  ['a part from the beginning', `BODY[]<0> ${literal(bytes.subarray(0, 50))}`],
  ['a part from the middle', `BODY[]<10> ${literal(bytes.subarray(10))}`],
  ['two mails for one', `BODY[] ${literal(bytes)} BODY[] ${literal(other)}`],
  ['two UIDs, the other one behind', `BODY[] ${literal(other)} UID 9`],
  ['two UIDs, a listed one behind', `BODY[] ${literal(other)} UID 2`],
])('takes nothing for the mail where the server gives %s', async (_, items) => {
  const [first, second] = await contentsOf({ uid: 1, bytes, body: () => items }, { uid: 2, bytes: other });
  expect(first?.content).toMatchObject({ kind: 'broken', reason: 'noContent' });
  expect(second?.content).toMatchObject({ kind: 'bytes', bytes: other });
});

it('believes neither of two answers for one mail that differ', async () => {
  const answers = `BODY[] ${literal(bytes)})\r\n* 1 FETCH (UID 1 BODY[] ${literal(other)}`;
  const [fetched] = await contentsOf({ uid: 1, bytes, body: () => answers });
  expect(fetched?.content).toMatchObject({ kind: 'broken', reason: 'noContent' });
});

it('takes no part of a large mail for another part', async () => {
  const large = Buffer.concat([bytes, Buffer.alloc(1_500_000, 'x')]);
  const [fetched] = await contentsOf({
    uid: 1,
    bytes: large,
    body: (line) => `BODY[]<0> ${literal(large.subarray(0, line.includes('<0.') ? 1_048_576 : 451_424))}`,
  });
  if (fetched?.content.kind !== 'stream') throw new Error('no stream');
  await expect(fetched.content.stream.toArray()).rejects.toMatchObject({ name: 'BrokenMail', reason: 'wentAway' });
});

it.each([
  ['small', 100, 'bytes'],
  ['large', 2_000_000, 'stream'],
])('says of a %s mail that is shorter than the server counts that it is', async (_, length, kind) => {
  const reported = Buffer.concat([bytes, Buffer.alloc(length, 'x')]);
  const [short, whole] = await contentsOf(
    { uid: 1, bytes: reported, size: reported.length + 29 },
    { uid: 2, bytes: reported },
  );
  for (const [fetched, doubt] of [
    [short, 'cutShort'],
    [whole, undefined],
  ] as const) {
    const content = fetched?.content;
    if (content?.kind !== 'stream' && content?.kind !== 'bytes') throw new Error('no content');
    expect(content.kind).toBe(kind);
    expect(await contentBytes(content)).toEqual(reported);
    expect(content.doubt?.()).toBe(doubt);
  }
});

it.each([
  ['small', 100],
  ['large', 20_000_000],
])(
  'takes it for trouble of the one mail, reported as %s, where its octets are more than a session takes',
  async (_, size) => {
    const huge = `{${17 * 1024 * 1024}}\r\nSubject: huge\r\n\r\n`;
    const [fetched] = await contentsOf({ uid: 1, bytes, size, body: () => `BODY[] ${huge}` });
    expect(fetched?.content).toEqual({ kind: 'broken', reason: 'tooMuch', code: 'LiteralTooLarge' });
  },
);

it('gives up a connection on which a literal of 4 GB is announced among several mails, and imports none of them', async () => {
  const huge = { uid: 1, bytes, body: () => 'BODY[] {4294967296}\r\nSubject: huge\r\n\r\n' };
  await expect(contentsOf(huge, { uid: 2, bytes: other })).rejects.toMatchObject({
    kind: 'protocol',
    code: 'LiteralTooLarge',
  });
});
