import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../local/ports.ts';
import { Mailroom } from './support/mailroom.ts';
import { type Answer, type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import {
  EventReader,
  endedRecord,
  openMessages,
  queueOf,
  recordOf,
  recordWhen,
  type SentRecord,
  send,
  smtpAccount,
  waitingRecord,
} from './support/sending.ts';

const minute = 60_000;

let mailroom: Mailroom;
let events: EventReader;

/** How the servers answer; a later part of the story changes it. */
let day: 'first' | 'later' = 'first';
const servers = new Map<string, ScriptedSmtp>();
const ids = new Map<string, string>();

/** What each account's server says at a step; undefined: the ordinary yes. */
const scripts: Readonly<Record<string, (step: string, line: string) => Answer | undefined>> = {
  grey: (step) => (step === 'RCPT' && day === 'first' ? '450 4.7.1 greylisted, come again' : undefined),
  partial: (step, line) => (step === 'RCPT' && line.includes('nobody') ? '550 5.1.1 no such user' : undefined),
  halfway: (step, line) =>
    step === 'RCPT' && line.includes('full') && day === 'first' ? '452 4.2.2 mailbox full' : undefined,
  dot: (step) => (step === 'END' ? '554 5.7.1 not this content' : undefined),
  sender: (step) => (step === 'MAIL' ? '550 5.7.1 not as this sender' : undefined),
  busy: (step) => (step === 'END' && day === 'first' ? '451 4.3.0 try again later' : undefined),
  closing: (step) => (step === 'MAIL' && day === 'first' ? '421 4.3.2 closing down' : undefined),
  cut: (step) => (step === 'END' ? { next: 'cut' } : undefined),
  silent: (step) => (step === 'END' ? { next: 'silent' } : undefined),
  halted: (step) => (step === 'DATA' && day === 'first' ? { next: 'cut' } : undefined),
  never: (step) => (step === 'RCPT' ? '451 4.2.0 not now' : undefined),
  turned: (step) => (step === 'GREETING' && day === 'first' ? '554 5.7.1 not from this address' : undefined),
};

beforeAll(async () => {
  mailroom = await Mailroom.start();
  events = new EventReader(mailroom);
  for (const [account, answer] of Object.entries(scripts)) {
    const server = await startScriptedSmtp({ answer });
    servers.set(account, server);
    await smtpAccount(mailroom, account, { port: server.port, ...(account === 'silent' ? { timeout: 1_500 } : {}) });
  }
});

afterAll(async () => {
  await mailroom?.stop();
  for (const server of servers.values()) await server.stop();
});

async function post(account: string, to: readonly string[] = ['anna@example.org']): Promise<string> {
  // Long enough that some of it leaves before its last bytes do.
  const { id } = await send(mailroom, account, { to, text: 'Zeile um Zeile. '.repeat(100) });
  ids.set(account, id);
  return id;
}

const idOf = (account: string) => ids.get(account) ?? expect.fail(`no message of ${account}`);
const serverOf = (account: string) => servers.get(account) ?? expect.fail(`no server of ${account}`);

/** Who got the mail, copy by copy. A mail for nobody is how a pipelining client takes DATA back (RFC 2920 section 3.1). */
const copies = (account: string) =>
  serverOf(account)
    .mails.map(({ recipients }) => recipients)
    .filter((recipients) => recipients.length > 0);

async function eventTypes(about: string): Promise<string[]> {
  return [...new Set((await events.about(about)).map(({ id, type }) => `${type} ${id}`))].map(
    (text) => text.split(' ')[0] ?? '',
  );
}

const waitOf = ({ nextAttemptAt, attempts }: SentRecord) =>
  Date.parse(nextAttemptAt ?? '') - Date.parse(attempts.at(-1)?.at ?? '');

/** The pause before the next attempt, counted from the end of the last one, which takes a moment. */
function expectWait(record: SentRecord, milliseconds: number): void {
  expect(waitOf(record)).toBeGreaterThanOrEqual(milliseconds);
  expect(waitOf(record)).toBeLessThan(milliseconds + 10_000);
}

/**
 * Another process goes on then. One that lived on would find its leases lapsed, and cut connections that it has kept: an
 * attempt that had just begun on one of them would be put off once more.
 */
async function later(shiftMs: number): Promise<void> {
  day = 'later';
  await mailroom.kill();
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

describe('the first attempt', () => {
  it('greylisted: waits a minute', async () => {
    const record = await waitingRecord(mailroom, await post('grey'));
    const refusal = { code: '450', reply: '4.7.1 greylisted, come again' };
    expect(record.recipients).toEqual([{ address: 'anna@example.org', status: 'deferred', ...refusal }]);
    expect(record.attempts).toEqual([{ at: expect.any(String), outcome: 'deferred', ...refusal }]);
    expectWait(record, minute);
    expect(record.sentAt).toBeUndefined();
  });

  it('one recipient unknown: the others have it', async () => {
    const record = await endedRecord(mailroom, await post('partial', ['good@example.org', 'nobody@example.org']));
    expect(record.status).toBe('partiallySent');
    expect(record.recipients).toEqual([
      expect.objectContaining({ address: 'good@example.org', status: 'accepted', code: '250' }),
      { address: 'nobody@example.org', status: 'rejected', code: '550', reply: '5.1.1 no such user' },
    ]);
    expect(record.sentAt).toBeDefined();
    expect(copies('partial')).toEqual([['good@example.org']]);
    const [event] = await events.about(record.id);
    expect(event).toMatchObject({
      type: 'mailroom.message.failed',
      source: '/accounts/partial',
      data: { status: 'partiallySent', recipients: { accepted: 1, rejected: 1, uncertain: 0 } },
    });
  });

  it('one recipient put off: the others have it, the mail is still open', async () => {
    const record = await waitingRecord(mailroom, await post('halfway', ['good@example.org', 'full@example.org']));
    expect(record.recipients.map(({ status }) => status)).toEqual(['accepted', 'deferred']);
    expect(copies('halfway')).toEqual([['good@example.org']]);
  });

  it.each([
    ['dot', '554'],
    ['sender', '550'],
  ])('refused for good (%s): failed, with the server’s words', async (account, code) => {
    const record = await endedRecord(mailroom, await post(account));
    expect(record.status).toBe('failed');
    expect(record.recipients).toEqual([expect.objectContaining({ status: 'rejected', code })]);
    expect(record.attempts).toEqual([expect.objectContaining({ outcome: 'failed', code })]);
    expect(await eventTypes(record.id)).toEqual(['mailroom.message.failed']);
  });

  it.each([
    ['busy', '451'],
    ['closing', '421'],
    ['halted', 'ECONNECTION'],
    ['never', '451'],
  ])('refused for now or lost before the last bytes (%s): waits', async (account, code) => {
    const record = await waitingRecord(mailroom, await post(account));
    expect(record.attempts).toEqual([expect.objectContaining({ outcome: 'deferred', code })]);
    expectWait(record, minute);
  });

  it('nobody listens there: waits', async () => {
    await smtpAccount(mailroom, 'down', { port: await freePort() });
    const record = await waitingRecord(mailroom, await post('down'));
    expect(record.attempts).toEqual([expect.objectContaining({ outcome: 'deferred', code: 'ECONNREFUSED' })]);
    expectWait(record, minute);
  });

  it.each(['cut', 'silent'])('no answer to the dot (%s): uncertain', async (account) => {
    const record = await endedRecord(mailroom, await post(account));
    expect(record.status).toBe('uncertain');
    expect(record.recipients.map(({ status }) => status)).toEqual(['uncertain']);
    expect(await eventTypes(record.id)).toEqual(['mailroom.message.uncertain']);
  });

  it('turned away at the greeting: the account’s trouble, and its mail waits', async () => {
    const record = await waitingRecord(mailroom, await post('turned'));
    expect(record.attempts).toEqual([expect.objectContaining({ outcome: 'deferred', code: '554' })]);
    expect(await eventTypes('turned')).toEqual(['mailroom.account.failing']);
  });

  it('each mail that waits has its place on the queue', async () => {
    const { json } = await mailroom.expect(200, 'GET', '/api/messages?status=queued');
    expect(json.items).toHaveLength(8);
    const places = async () => (await queueOf(mailroom, 'mail-send').getProperties()).approximateMessagesCount;
    await expect.poll(places).toBe(8);
  });
});

describe('a sign-in that is refused', () => {
  const secret = 'pa55-wörd-of-the-account';
  const waiting: string[] = [];

  beforeAll(async () => {
    const server = await startScriptedSmtp({
      extensions: ['AUTH PLAIN LOGIN', '8BITMIME'],
      // Some servers echo what they were sent.
      answer: (step, line) => (step === 'AUTH' && day === 'first' ? `535 5.7.8 refused: ${line} ${secret}` : undefined),
    });
    servers.set('signin', server);
    await mailroom.secret('signin', 'signin-smtp', secret);
    const auth = { type: 'password', user: 'signin', secret: 'signin-smtp' };
    await smtpAccount(mailroom, 'signin', { port: server.port, auth });
    for (let n = 0; n < 3; n += 1) waiting.push(await post('signin'));
  });

  it('makes the mail wait, and does not quote the secret', async () => {
    for (const id of waiting) {
      const record = await waitingRecord(mailroom, id);
      expect(record.attempts).toEqual([expect.objectContaining({ outcome: 'deferred', code: '535' })]);
      const shown = JSON.stringify(record);
      expect(shown).toContain('refused');
      for (const form of [secret, Buffer.from(`\0signin\0${secret}`).toString('base64')])
        expect(shown).not.toContain(form);
    }
  });

  it('is reported once, whatever the number of mails', async () => {
    expect(await eventTypes('signin')).toEqual(['mailroom.account.failing']);
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/signin/status');
    expect(json.failing).toEqual([expect.objectContaining({ side: 'transport', code: '535' })]);
  });

  it('is over with the next mail that goes through: all have left, once, and that is reported once', async () => {
    await later(2 * minute);
    for (const id of waiting) expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect(copies('signin')).toHaveLength(waiting.length);
    const types = async () => (await eventTypes('signin')).toSorted();
    await expect.poll(types).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/signin/status');
    expect(json.failing).toEqual([]);
  });
});

describe('two minutes later', () => {
  it.each(['grey', 'busy', 'closing', 'halted', 'turned'])('%s: sent', async (account) => {
    const record = await endedRecord(mailroom, idOf(account));
    expect(record.status).toBe('sent');
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'sent']);
    expect(record.nextAttemptAt).toBeUndefined();
    expect(await eventTypes(record.id)).toEqual(['mailroom.message.sent']);
    // `busy` had the whole text before it said no.
    expect(copies(account).length).toBe(account === 'busy' ? 2 : 1);
  });

  it('only the recipient who was put off gets the mail', async () => {
    const record = await endedRecord(mailroom, idOf('halfway'));
    expect(record.status).toBe('sent');
    expect(record.recipients.map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    expect(copies('halfway')).toEqual([['good@example.org'], ['full@example.org']]);
  });

  it('the account trouble of the greeting is over', async () => {
    const types = async () => (await eventTypes('turned')).toSorted();
    await expect.poll(types).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
  });

  it('a server that could not be reached twice is nobody’s trouble yet', async () => {
    await recordWhen(mailroom, idOf('down'), 'two attempts', ({ attempts }) => attempts.length === 2);
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/down/status');
    expect(json.failing).toEqual([]);
  });

  it('a server that still says no is asked again after five minutes', async () => {
    const record = await recordWhen(mailroom, idOf('never'), 'two attempts', ({ attempts }) => attempts.length === 2);
    expect(record.status).toBe('queued');
    expectWait(record, 5 * minute);
  });
});

describe('ten minutes later', () => {
  beforeAll(() => later(10 * minute));

  it('a server that could not be reached three times is the account’s trouble, reported once', async () => {
    await recordWhen(mailroom, idOf('down'), 'three attempts', ({ attempts }) => attempts.length === 3);
    await expect.poll(() => eventTypes('down')).toEqual(['mailroom.account.failing']);
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/down/status');
    expect(json.failing).toEqual([expect.objectContaining({ side: 'transport', code: 'ECONNREFUSED' })]);
  });
});

describe('two days later', () => {
  beforeAll(async () => {
    // The account’s server has moved meanwhile.
    const { port } = serverOf('grey');
    await smtpAccount(mailroom, 'down', { port });
    await later(49 * 60 * minute);
  });

  it('a mail that never got through is given up, with the last reason', async () => {
    const record = await endedRecord(mailroom, idOf('never'));
    expect(record.status).toBe('failed');
    const reason = { code: '451', reply: '4.2.0 not now' };
    expect(record.recipients).toEqual([{ address: 'anna@example.org', status: 'rejected', ...reason }]);
    expect(record.attempts.at(-1)).toMatchObject(reason);
    expect(record.nextAttemptAt).toBeUndefined();
    expect(copies('never')).toEqual([]);
    expect(await eventTypes(record.id)).toEqual(['mailroom.message.failed']);
  });

  it('a mail whose server was away goes to where the account points now', async () => {
    const record = await endedRecord(mailroom, idOf('down'));
    expect(record.status).toBe('sent');
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'deferred', 'deferred', 'sent']);
    const types = async () => (await eventTypes('down')).toSorted();
    await expect.poll(types).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
  });

  it.each(['cut', 'silent'])('a mail in doubt (%s) was not sent again', async (account) => {
    const record = await recordOf(mailroom, idOf(account));
    expect(record.status).toBe('uncertain');
    expect(record.attempts).toHaveLength(1);
    expect(copies(account)).toHaveLength(1);
    expect(await eventTypes(record.id)).toEqual(['mailroom.message.uncertain']);
  });

  it('nothing is left open', async () => {
    await expect.poll(() => openMessages(mailroom)).toEqual([]);
  });
});
