import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { catcher } from './support/kill-moments.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedImap, startScriptedImap } from './support/scripted-imap.ts';
import { literal, scriptedImapMailbox } from './support/scripted-imap-mailbox.ts';
import { serverAccount } from './support/server-account.ts';
import { blob, type Moment, table } from './support/stop-stage.ts';
import { assetBlobs } from './support/storage-audit.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

/** A process is killed at every step by which a mail takes the place of the note that its server gave first. */

const password = 'the password of tester';
const attachment = 'the bytes of the attachment';
const bytes = Buffer.from(
  [
    'From: sender@example.com',
    'Subject: The very mail',
    'Message-ID: <very@example.com>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    '',
    'words',
    '--b',
    'Content-Disposition: attachment; filename=a.txt',
    '',
    attachment,
    '--b--',
    '',
  ].join('\r\n'),
);
const note = Buffer.from(
  [
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset="us-ascii"',
    'From: Microsoft Exchange Server 2010',
    'Subject: Retrieval using the IMAP4 protocol failed for the following message: 20004',
    '',
    'The server could not retrieve the following message:',
    '',
    'Subject: "The very mail"',
    '',
    'The message has not been deleted.',
    '',
  ].join('\r\n'),
);

const moments: readonly (Moment & { readonly reads: 'note' | 'mail' })[] = [
  { when: 'the mail lies beside the note', at: 'after', ...blob('replacement/message.eml'), reads: 'note' },
  { when: 'its attachment does', at: 'after', ...blob('replacement/attachments/'), reads: 'note' },
  { when: 'before the description is written', at: 'before', ...blob('asset.json'), nth: 1, reads: 'note' },
  { when: 'when the ledger is about to know', at: 'before', ...table('"completedAt":'), reads: 'mail' },
  { when: 'when the ledger knows', at: 'after', ...table('"completedAt":'), reads: 'mail' },
  { when: 'when the mail is moved', at: 'after', ...blob('message.eml'), nth: 3, reads: 'mail' },
  {
    when: 'before anything is removed',
    at: 'before',
    service: 'blob',
    method: 'DELETE',
    text: '/replacement/',
    reads: 'mail',
  },
  {
    when: 'when something is removed',
    at: 'after',
    service: 'blob',
    method: 'DELETE',
    text: '/replacement/',
    reads: 'mail',
  },
];

let gate: StorageGate;
let mailroom: Mailroom;
let server: ScriptedImap | undefined;
let ahead = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) });
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
});
afterEach(() => server?.stop());

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

async function later(): Promise<void> {
  ahead += 10 * 60_000;
  await mailroom.setClock(ahead);
}

/** The asset by its routes: what it says of itself is what they give. */
async function read(id: string): Promise<'note' | 'mail'> {
  const { json } = await mailroom.expect(200, 'GET', `/api/assets/${id}`);
  const mime = await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`);
  expect(sha256(mime.bytes)).toBe(json.sha256);
  for (const { n, sha256: wanted } of json.attachments) {
    const part = await mailroom.expect(200, 'GET', `/api/assets/${id}/attachments/${n}`);
    expect(sha256(part.bytes)).toBe(wanted);
  }
  const isMail = mime.bytes.equals(bytes);
  expect(isMail || mime.bytes.equals(note)).toBe(true);
  expect(json.attachments).toHaveLength(isMail ? 1 : 0);
  expect(json.defects.includes('substitute')).toBe(!isMail);
  return isMail ? 'mail' : 'note';
}

it.each(moments.map((moment, n) => ({ ...moment, n })))('$when', { timeout: 180_000 }, async (each) => {
  const { n, when: _, reads, ...moment } = each;
  const name = `note${n}`;
  let given: Buffer = note;
  const mailbox = scriptedImapMailbox({ uid: 1, bytes, body: () => `BODY[] ${literal(given)}` });
  server = await startScriptedImap(mailbox.script);
  const users = { tester: password };
  await serverAccount(mailroom, name, { ports: { imap: server.port }, users }, { rule: { delete: 'never' } });
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1 });
  const [{ id }] = await mailroom.assets(name);
  expect(await read(id)).toBe('note');
  given = bytes;
  await later();
  const caught = gate.hold({ fits: catcher(name, moment), at: moment.at });
  await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
  await caught;
  await mailroom.kill();
  gate.release();
  await later();
  expect(await read(id)).toBe(reads);
  await until('the mail alone', 60, async () => {
    await mailroom.import(name);
    expect(['note', 'mail']).toContain(await read(id));
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`);
    if (json.pending === 0) return true;
    await later();
    return false;
  });
  expect(await read(id)).toBe('mail');
  const folder = `${name}/${id}/`;
  expect((await assetBlobs(mailroom, name)).sort()).toEqual(
    [`${folder}asset.json`, `${folder}attachments/1-a.txt`, `${folder}message.eml`].sort(),
  );
  const [ledger] = await inboxRows(mailroom, name, 'l:');
  expect(ledger?.columns).toMatchObject({ sha256: sha256(bytes), state: 'imported' });
});
