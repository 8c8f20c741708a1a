import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { type LogLine, logLines } from './support/log-lines.ts';
import { Mailroom } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send } from './support/sending.ts';

const users = { tester: 'password of tester' };
const text = 'Nobody but the two of us may read this line of the mail.';
const subject = 'A subject that nobody else may read';
const hour = 3_600_000;

let mailroom: Mailroom;
let dovecot: Dovecot;
let smtp: ScriptedSmtp;

beforeAll(async () => {
  [mailroom, dovecot, smtp] = await Promise.all([
    Mailroom.start({ graph: [{ userPrincipalName: 'box@example.com' }] }),
    startDovecot({ users }),
    startScriptedSmtp({ extensions: ['AUTH PLAIN LOGIN', '8BITMIME'] }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await dovecot?.remove();
  await smtp?.stop();
});

interface Said extends LogLine {
  readonly by: string;
  readonly line: string;
}

/** What the log shows of an account's dialogue. */
async function dialogue(account: string): Promise<readonly string[]> {
  const lines = logLines(await mailroom.log()).filter((line): line is Said => line.event === 'debug.dialogue');
  return lines
    .filter((line) => line.account === account)
    .map(({ by, line }) => `${by === 'client' ? 'C' : 'S'}: ${line}`);
}

const ends = {
  smtp: () => ({ protocol: 'smtp', host: smtp.host, port: smtp.port }),
  imap: () => ({ protocol: 'imap', host: dovecot.host, port: dovecot.ports.imap }),
  pop3: () => ({ protocol: 'pop3', host: dovecot.host, port: dovecot.ports.pop3 }),
};

async function account(name: string, store: 'imap' | 'pop3', debug: boolean): Promise<void> {
  await mailroom.secret(name, `${name}-password`, users.tester);
  const auth = { type: 'password', user: 'tester', secret: `${name}-password` };
  const common = { auth, tls: { starttls: 'never' } };
  const body = {
    from: 'tester@example.com',
    transport: { ...ends.smtp(), ...common },
    store: { ...ends[store](), ...common },
    import: { schedule: null },
    debug,
  };
  const { json } = await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, { body });
  expect(json.debug).toBe(debug);
}

async function sendAndImport(name: string): Promise<void> {
  const { id } = await send(mailroom, name, { to: ['anna@example.org'], subject, text });
  expect((await endedRecord(mailroom, id)).status).toBe('sent');
  await dovecot.deliver('tester', `Subject: ${subject}\r\nMessage-ID: <${id}@example.com>\r\n\r\n${text}\r\n`);
  expect(await mailroom.import(name)).toMatchObject({ status: 'done' });
}

describe('debug writes the dialogue of the account to the log', () => {
  it('SMTP and IMAP: commands and answers, without the password and the mail', async () => {
    await account('talker', 'imap', true);
    await sendAndImport('talker');
    const said = await dialogue('talker');
    expect(said.find((line) => line.startsWith('C: MAIL FROM:<tester@example.com>'))).toBeDefined();
    expect(said.find((line) => line.startsWith('S: 220 '))).toBeDefined();
    expect(said.find((line) => /^C: AUTH PLAIN/.test(line))).toBeDefined();
    expect(said.find((line) => /^C: \S+ EXAMINE "?INBOX/.test(line))).toBeDefined();
    expect(said.find((line) => /^S: \S+ OK .*/.test(line))).toBeDefined();
    expect(said.find((line) => /^C: \S+ (AUTHENTICATE|LOGIN)/.test(line))).toBeDefined();
  });

  it('POP3', async () => {
    await account('popper', 'pop3', true);
    await sendAndImport('popper');
    const said = await dialogue('popper');
    expect(said).toContain('C: USER tester');
    expect(said).toContain('C: PASS (hidden)');
    expect(said.find((line) => line.startsWith('C: RETR '))).toBeDefined();
    expect(said.find((line) => line.startsWith('S: +OK'))).toBeDefined();
  });

  it('Graph: requests, answers and their ids, without tokens and links', async () => {
    await graphAccount(mailroom, 'office', { user: 'box@example.com' });
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/office');
    await mailroom.expect(200, 'PUT', '/api/accounts/office', { body: { ...json, debug: true } });
    await mailroom.graph.mailbox('box@example.com').deliver(Buffer.from(`Subject: ${subject}\r\n\r\n${text}\r\n`));
    expect(await mailroom.import('office')).toMatchObject({ status: 'done', imported: 1 });
    const said = await dialogue('office');
    expect(
      said.find((line) => /^C: GET \/v1\.0\/users\/.*\/messages\/delta client-request-id /.test(line)),
    ).toBeDefined();
    expect(said.find((line) => /^S: 200 request-id [0-9a-f-]{36} in \d+ ms$/.test(line))).toBeDefined();
    expect(said.join('\n')).not.toMatch(/deltatoken|skiptoken|Bearer ey/i);
  });

  it('and never a password, a token, or what a mail says', async () => {
    const log = await mailroom.log();
    for (const hidden of [text, subject, users.tester, Buffer.from(users.tester).toString('base64')]) {
      expect(log).not.toContain(hidden);
    }
    // Every form of every secret is searched for again when the suite ends.
    mailroom.watch.look('the log', log);
    mailroom.watch.verdict();
  });

  it('only for accounts that ask for it', async () => {
    await account('silent', 'imap', false);
    await sendAndImport('silent');
    expect(await dialogue('silent')).toEqual([]);
  });

  it('and ends by itself after an hour', async () => {
    await mailroom.setClock(hour + 60_000);
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/talker');
    expect(json.debug).toBe(false);
    const before = (await dialogue('talker')).length;
    await sendAndImport('talker');
    expect(await dialogue('talker')).toHaveLength(before);
    // Asked for again, it is there for another hour.
    await mailroom.expect(200, 'PUT', '/api/accounts/talker', { body: { ...json, debug: true } });
    await sendAndImport('talker');
    expect((await dialogue('talker')).length).toBeGreaterThan(before);
  });
});
