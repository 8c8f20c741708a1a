import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { Mailroom } from './support/mailroom.ts';
import { type ScriptedImap, startScriptedImap } from './support/scripted-imap.ts';
import { literal, type ScriptedImapMail, scriptedImapMailbox } from './support/scripted-imap-mailbox.ts';
import { type ScriptedPop3, startScriptedPop3 } from './support/scripted-pop3.ts';
import { serverAccount } from './support/server-account.ts';
import { mail } from './support/store-helpers.ts';

const password = 'the password of tester';
const users = { tester: password };
const minute = 60_000;

let mailroom: Mailroom;
let server: ScriptedImap | ScriptedPop3 | undefined;
let account = 0;
let name = '';
/** How far the service's clock is ahead by now. */
let ahead = 0;

beforeAll(async () => {
  mailroom = await Mailroom.start();
});
afterAll(() => mailroom?.stop());
afterEach(() => server?.stop());

/** An account that deletes what it has imported at once, from a mailbox as it is described. */
async function imap(...mails: ScriptedImapMail[]): Promise<ScriptedImapMail[]> {
  const mailbox = scriptedImapMailbox(...mails);
  server = await startScriptedImap(mailbox.script);
  name = `reported${account++}`;
  await serverAccount(mailroom, name, { ports: { imap: server.port }, users }, { rule: { delete: 'immediately' } });
  return mailbox.mails;
}

async function pop3(script: Parameters<typeof startScriptedPop3>[0]): Promise<ScriptedPop3> {
  const started = await startScriptedPop3(script);
  server = started;
  name = `reported${account++}`;
  await serverAccount(
    mailroom,
    name,
    { ports: { pop3: started.port }, users },
    { protocol: 'pop3', rule: { delete: 'immediately' } },
  );
  return started;
}

async function later(ms: number): Promise<void> {
  ahead += ms;
  await mailroom.setClock(ahead);
}

const run = () => mailroom.import(name);
const status = async () => (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;
const mime = async (id: string) => (await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`)).bytes;
const asset = async (id: string) => (await mailroom.expect(200, 'GET', `/api/assets/${id}`)).json;
/** UIDs that the server was asked to delete. */
const deleted = () =>
  server && 'commands' in server
    ? server.commands().flatMap((line) => /^UID STORE (\S+) \+FLAGS.*Deleted/i.exec(line)?.[1] ?? [])
    : [];

const bytes = mail('The very mail', 'All of it.\r\n');
const header = bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4);

it('stores the mail and not the header that comes unasked beside it', async () => {
  await imap({ uid: 1, bytes, body: () => `BODY[] ${literal(bytes)} BODY[HEADER] ${literal(header)}` });
  expect(await run()).toMatchObject({ status: 'done', imported: 1 });
  const [one] = await mailroom.assets(name);
  expect(await mime(one.id)).toEqual(bytes);
  expect(deleted()).toEqual(['1']);
});

describe('a mail that is shorter than its server counts', () => {
  it('IMAP: is tried again alone, then imported with a defect, and its original kept', {
    timeout: 180_000,
  }, async () => {
    const large = Buffer.concat([mail('Large'), Buffer.alloc(400_000, 'x\r\n')]);
    const whole = mail('Whole');
    await imap(
      { uid: 1, bytes, size: bytes.length + 29 },
      { uid: 2, bytes: large, size: large.length + 29 },
      { uid: 3, bytes: whole },
    );
    expect(await run()).toMatchObject({ status: 'done', imported: 1, pending: 2 });
    expect(deleted()).toEqual(['3']);
    await later(2 * minute);
    expect(await run()).toMatchObject({ status: 'done', imported: 2 });
    const assets = await mailroom.assets(name);
    const short = assets.filter(({ defects }) => defects.includes('size-differs'));
    expect(short.map(({ size }) => size).sort((a, b) => a - b)).toEqual([bytes.length, large.length]);
    expect(assets).toHaveLength(3);
    expect(deleted()).toEqual(['3']);
    expect(await status()).toMatchObject({ pending: 0, quarantined: 0 });
  });

  it('IMAP: is no asset where another length comes each time', { timeout: 180_000 }, async () => {
    let asked = 0;
    const cut = () => `BODY[] ${literal(bytes.subarray(0, 100 + 10 * asked++))}`;
    await imap({ uid: 1, bytes, body: cut });
    expect(await run()).toMatchObject({ imported: 0, pending: 1 });
    await later(2 * minute);
    expect(await run()).toMatchObject({ imported: 0, pending: 1 });
    expect(deleted()).toEqual([]);
  });

  it('POP3: likewise', { timeout: 180_000 }, async () => {
    const mails = [
      { uidl: 'short', bytes },
      { uidl: 'whole', bytes: mail('Whole') },
    ];
    const script = {
      LIST: (line: string) =>
        line === 'LIST' || mails[0] === undefined
          ? ('ordinary' as const)
          : line === 'LIST 1'
            ? `+OK 1 ${bytes.length + 29}\r\n`
            : ('ordinary' as const),
    };
    const maildrop = await pop3({ mails, script });
    expect(await run()).toMatchObject({ status: 'done', imported: 1, pending: 1 });
    await later(2 * minute);
    expect(await run()).toMatchObject({ status: 'done', imported: 1 });
    const assets = await mailroom.assets(name);
    expect(assets.filter(({ defects }) => defects.includes('size-differs'))).toHaveLength(1);
    expect(maildrop.mails.map(({ uidl }) => uidl)).toEqual(['short']);
  });

  it('POP3: followed by nonsense, is never an asset', { timeout: 180_000 }, async () => {
    const script = {
      RETR: () => '+OK\r\nSubject: cut\r\n.\r\nand the rest of it\r\n',
    };
    const maildrop = await pop3({ mails: [{ uidl: 'cut', bytes }], script });
    await run();
    await later(2 * minute);
    await run();
    await later(5 * minute);
    await run();
    expect(await mailroom.assets(name)).toEqual([]);
    expect(maildrop.mails).toHaveLength(1);
    expect((await inboxRows(mailroom, name, 'p:')).map(({ columns }) => columns.reason)).toEqual([
      'The server sent less of this mail than it counts',
    ]);
  });
});

/** As Exchange writes it, when it cannot turn a mail into MIME. */
const note = Buffer.from(
  [
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset="us-ascii"',
    'From: Microsoft Exchange Server 2010',
    'To: Somebody <somebody@example.com>',
    'Subject: Retrieval using the IMAP4 protocol failed for the following',
    ' message: 20004',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'The server couldn=92t retrieve the following message:',
    '',
    'Subject: "The very mail"',
    'From: "Sender" ("sender@example.com")',
    '',
    'The message hasn=92t been deleted.',
    '',
  ].join('\r\n'),
);

describe('a note of the server in place of the mail', () => {
  it('IMAP: is an asset that says so, beside the others, and the original is kept', { timeout: 180_000 }, async () => {
    await imap({ uid: 1, bytes, body: () => `BODY[] ${literal(note)}` }, { uid: 2, bytes: mail('Another') });
    expect(await run()).toMatchObject({ status: 'done', imported: 2 });
    const [substitute] = (await mailroom.assets(name)).filter(({ defects }) => defects.includes('substitute'));
    expect(await mime(substitute.id)).toEqual(note);
    expect((await asset(substitute.id)).defects).toContain('substitute');
    expect(deleted()).toEqual(['2']);
  });

  it('and is replaced by the mail in the same asset once the server gives it', { timeout: 180_000 }, async () => {
    let given: Buffer = note;
    await imap({ uid: 1, bytes, body: () => `BODY[] ${literal(given)}` });
    expect(await run()).toMatchObject({ status: 'done', imported: 1 });
    const [substitute] = await mailroom.assets(name);
    await later(2 * minute);
    await run();
    // Still the note.
    expect(await mime(substitute.id)).toEqual(note);
    expect(deleted()).toEqual([]);
    given = bytes;
    await later(5 * minute);
    expect(await run()).toMatchObject({ status: 'done' });
    expect(await mime(substitute.id)).toEqual(bytes);
    const completed = await asset(substitute.id);
    expect(completed).toMatchObject({ importedAt: substitute.importedAt, subject: 'The very mail' });
    expect(completed.defects).not.toContain('substitute');
    expect(await mailroom.assets(name)).toHaveLength(1);
    expect(await status()).toMatchObject({ pending: 0 });
    expect(deleted()).toEqual(['1']);
  });

  it('and is no longer asked for after a week', { timeout: 180_000 }, async () => {
    await imap({ uid: 1, bytes, body: () => `BODY[] ${literal(note)}` });
    await run();
    expect(await status()).toMatchObject({ pending: 1 });
    await later(7 * 24 * 60 * minute + minute);
    await run();
    expect(await status()).toMatchObject({ pending: 0, quarantined: 0 });
    expect(await mailroom.assets(name)).toHaveLength(1);
    expect(deleted()).toEqual([]);
  });

  it('POP3: likewise', { timeout: 180_000 }, async () => {
    const pop3Note = Buffer.from(note.toString().replace('IMAP4', 'POP3'));
    const maildrop = await pop3({
      mails: [
        { uidl: 'note', bytes: pop3Note },
        { uidl: 'other', bytes: mail('Another') },
      ],
    });
    expect(await run()).toMatchObject({ status: 'done', imported: 2 });
    expect((await mailroom.assets(name)).filter(({ defects }) => defects.includes('substitute'))).toHaveLength(1);
    expect(maildrop.mails.map(({ uidl }) => uidl)).toEqual(['note']);
  });
});
