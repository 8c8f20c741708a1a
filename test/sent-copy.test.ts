import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dateOf, type FoundMail, frozenMime, mailboxAccess, mailsIn } from './support/append-account.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { catcher, type StorageMoment } from './support/kill-moments.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, openMessages, recordWhen, send, smtpAccount } from './support/sending.ts';
import { type StallProxy, startStallProxy } from './support/stall-proxy.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const minute = 60_000;
/** Longer than a copy is held by a process that may be gone, and than a doubt lasts. */
const holdMs = 11 * minute;

interface Moment {
  readonly when: string;
  readonly caught: { readonly storage: StorageMoment } | 'answer';
}

const moment = (service: 'table' | 'queue', at: 'before' | 'after', text: string, nth = 1) =>
  ({ storage: { at, service, text, nth } }) as const;

/** Between "sent" and "saved", in order. */
const moments: readonly Moment[] = [
  { when: 'the receipt is durable, the copy is owed', caught: moment('table', 'after', '"status":"sent"') },
  { when: 'the copy is not yet queued', caught: moment('queue', 'before', '"copy":true') },
  // The message's claim and its commit are leased writes too.
  { when: 'the copy is leased, nothing else', caught: moment('table', 'after', '"leaseUntil":', 3) },
  { when: 'where Sent stands is noted', caught: moment('table', 'after', '"note":') },
  {
    when: 'committing is durable, the last bytes have not left',
    caught: moment('table', 'after', '"committedAt":', 2),
  },
  { when: 'the text has left, no answer came', caught: 'answer' },
  { when: 'the copy is there, the record does not say so', caught: moment('table', 'before', '"sentCopy":"saved"') },
  { when: 'the record says so', caught: moment('table', 'after', '"sentCopy":"saved"') },
];

/**
 * Moments to stop the process at. Between the commit and the last bytes only its own time counts, which does not pass while
 * the other process's clock is merely ahead: the soak stops it there for as long as it takes.
 */
const stopMoments = moments.flatMap(({ when, caught }) =>
  caught === 'answer' || caught.storage.text === '"committedAt":' ? [] : [{ when, storage: caught.storage }],
);

const users = Object.fromEntries(
  [
    ...['writer', 'waiter', 'quitter', 'partial', 'plain'],
    ...moments.map((_, n) => `moment-${n}`),
    ...stopMoments.map((_, n) => `stopped-${n}`),
  ].map((user) => [user, `password of ${user}`]),
);

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
let server: ScriptedSmtp;
let events: EventReader;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, dovecot, server] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({
        MailStorage: gate.lead(azurite),
        AzureFunctionsJobHost__extensions__queues__batchSize: '32',
        AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '32',
      }),
    }),
    startDovecot({ users }),
    startScriptedSmtp({
      answer: (step, line) => (step === 'RCPT' && line.includes('nobody@') ? '550 5.1.1 unknown' : undefined),
    }),
  ]);
  events = new EventReader(mailroom);
}, 60_000);

afterAll(async () => {
  if (mailroom?.pid) process.kill(mailroom.pid, 'SIGCONT');
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
  await server?.stop();
  await dovecot?.remove();
});

/** An account that sends by SMTP and keeps copies in the mailbox of the user of its name. */
async function account(name: string, options: { readonly saveToSent?: boolean; readonly port?: number } = {}) {
  const store = await mailboxAccess(mailroom, name, dovecot, name, options.port);
  const transport = { port: server.port, saveToSent: options.saveToSent ?? true };
  await smtpAccount(mailroom, name, transport, { store });
}

async function copies(user: string, folder = 'Sent'): Promise<readonly FoundMail[]> {
  const client = await dovecot.client(user);
  try {
    return await mailsIn(client, folder);
  } finally {
    await client.close();
  }
}

const savedRecord = (id: string, sentCopy = 'saved') =>
  recordWhen(mailroom, id, `copy ${sentCopy}`, (record) => record.sentCopy === sentCopy);

const arrived = (text: string) => server.mails.filter((mail) => mail.text.includes(text));

async function later(ms: number): Promise<void> {
  shiftMs += ms;
  await mailroom.setClock(shiftMs);
  await mailroom.fire('outbox-recovery');
}

describe('a copy of what was sent', () => {
  it('lies in Sent, read, with its date, byte for byte, and makes the folder where there is none', async () => {
    await account('writer');
    expect(await copies('writer')).toEqual([]);
    const { id } = await send(mailroom, 'writer', { bcc: 'hidden@example.org' });
    const record = await savedRecord(id);
    expect(record).toMatchObject({ status: 'sent' });
    const [copy, ...more] = await copies('writer');
    expect(more).toEqual([]);
    expect(copy?.bytes.equals(await frozenMime(mailroom, id))).toBe(true);
    expect(copy?.bytes.includes('hidden@')).toBe(false);
    expect(copy?.flags).toEqual(['\\Seen']);
    expect(copy?.date).toBe(dateOf(copy?.bytes ?? Buffer.alloc(0)));
    expect(arrived(record.messageId)).toHaveLength(1);
    expect(await copies('writer', 'INBOX')).toEqual([]);
  });

  it('is made once where only some recipients took the mail, and not where none did', async () => {
    await account('partial');
    const some = await send(mailroom, 'partial', { to: ['anna@example.org', 'nobody@example.org'] });
    expect(await savedRecord(some.id)).toMatchObject({ status: 'partiallySent' });
    const none = await send(mailroom, 'partial', { to: 'nobody@example.org' });
    const record = await endedRecord(mailroom, none.id);
    expect(record.status).toBe('failed');
    expect(record.sentCopy).toBeUndefined();
    expect(await copies('partial')).toHaveLength(1);
  });

  it('is not made where the account does not ask for it', async () => {
    await account('plain', { saveToSent: false });
    const { id } = await send(mailroom, 'plain');
    const record = await endedRecord(mailroom, id);
    expect(record.status).toBe('sent');
    expect(record.sentCopy).toBeUndefined();
    expect(await copies('plain')).toEqual([]);
  });

  it('that fails is tried again, and never makes the mail fail or leave again', async () => {
    await account('waiter');
    await mailroom.secret('waiter', 'waiter-imap', 'not the password of it');
    const { id } = await send(mailroom, 'waiter');
    const record = await savedRecord(id, 'pending');
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect((await events.about(id)).map(({ type }) => type)).toEqual(['mailroom.message.sent']);
    await until('an attempt to save the copy', 60, async () => (await mailroom.log()).includes('outbox.copyWaits'));
    await mailroom.secret('waiter', 'waiter-imap', 'password of waiter');
    await later(3 * minute);
    expect((await savedRecord(id)).attempts).toHaveLength(1);
    expect(await copies('waiter')).toHaveLength(1);
    expect(arrived(record.messageId)).toHaveLength(1);
  });

  it('is given up after 48 hours, and the record and the log say so', async () => {
    await account('quitter');
    await mailroom.secret('quitter', 'quitter-imap', 'not the password of it');
    const { id } = await send(mailroom, 'quitter');
    await savedRecord(id, 'pending');
    await later(49 * 60 * minute);
    expect(await savedRecord(id, 'failed')).toMatchObject({ status: 'sent' });
    expect(await mailroom.log()).toContain('outbox.copyGivenUp');
    expect(await copies('quitter')).toEqual([]);
  });
});

describe('killed between sent and saved', () => {
  const cases: { readonly user: string; readonly id: string; readonly proxy: StallProxy | undefined }[] = [];

  beforeAll(async () => {
    const reached: Promise<unknown>[] = [];
    for (const [n, { caught }] of moments.entries()) {
      const user = `moment-${n}`;
      const proxy =
        caught === 'answer' ? await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap }) : undefined;
      await account(user, proxy ? { port: proxy.port } : {});
      proxy?.trouble({ direction: 'toClient', at: 'APPENDUID', action: 'silent' });
      if (caught !== 'answer') reached.push(gate.hold({ at: caught.storage.at, fits: catcher(user, caught.storage) }));
      cases.push({ user, id: (await send(mailroom, user)).id, proxy });
    }
    const silent = moments.findIndex(({ caught }) => caught === 'answer');
    await Promise.all(reached);
    await until('the copy whose answer is kept back', 60, async () => (await copies(`moment-${silent}`)).length === 1);
    await mailroom.kill();
    gate.release();
    for (const { proxy } of cases) proxy?.reset();
    await later(holdMs);
    // What was found not to be there is made a little later.
    await until('every copy saved or put off', 60, async () => {
      const log = await mailroom.log();
      return cases.every(({ id }) => new RegExp(`copy(Saved|Waits)[^\\n]*${id}`).test(log) || id === cases.at(-1)?.id);
    });
    await later(3 * minute);
  }, 120_000);

  afterAll(async () => {
    for (const { proxy } of cases) await proxy?.stop();
  });

  it.each(moments.map((each, n) => ({ ...each, n })))('$when: one mail sent, one copy saved', async ({ n }) => {
    const { user, id } = cases[n] ?? expect.fail('no such case');
    const record = await savedRecord(id);
    expect(record.status).toBe('sent');
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['sent']);
    expect(arrived(record.messageId)).toHaveLength(1);
    expect(await copies(user)).toHaveLength(1);
  });

  it('leaves nothing for the recovery timer', async () => {
    await until('no open messages', 60, async () => (await openMessages(mailroom)).length === 0);
  });
});

describe('stopped between sent and saved for longer than any lease, while another process goes on', () => {
  const cases: { readonly user: string; readonly id: string }[] = [];

  /** Calls of the send function that have not ended; those of processes that were killed never do. */
  const underWay = async () => {
    const log = await mailroom.log();
    return log.split("Executing 'Functions.mail-send'").length - log.split("Executed 'Functions.mail-send'").length;
  };

  beforeAll(async () => {
    const before = await underWay();
    const reached: Promise<unknown>[] = [];
    for (const [n, { storage }] of stopMoments.entries()) {
      const user = `stopped-${n}`;
      await account(user);
      reached.push(gate.hold({ at: storage.at, fits: catcher(user, storage) }));
      cases.push({ user, id: (await send(mailroom, user)).id });
    }
    await Promise.all(reached);
    process.kill(mailroom.pid, 'SIGSTOP');
    const env = { MailStorage: mailroom.azurite.connectionString };
    const other = await mailroom.beside({ shiftMs: shiftMs + holdMs, env });
    const { url } = other;
    await until('every copy saved by the other process', 60, async () => {
      await mailroom.expect(202, 'POST', '/admin/functions/outbox-recovery', { body: {}, url });
      const records = await Promise.all(
        cases.map(({ id }) => mailroom.expect(200, 'GET', `/api/messages/${id}`, { url })),
      );
      return records.every(({ json }) => json.sentCopy === 'saved');
    });
    // The process goes on where it stood, with every request to storage that it had under way.
    process.kill(mailroom.pid, 'SIGCONT');
    gate.resume();
    await until('the stopped process has ended all it had begun', 60, async () => (await underWay()) === before);
    await other.kill();
  }, 180_000);

  it.each(stopMoments.map((each, n) => ({ ...each, n })))('$when: one mail sent, one copy saved', async ({ n }) => {
    const { user, id } = cases[n] ?? expect.fail('no such case');
    const record = await savedRecord(id);
    expect(record).toMatchObject({ status: 'sent', attempts: [{ outcome: 'sent' }] });
    expect(arrived(record.messageId)).toHaveLength(1);
    expect(await copies(user)).toHaveLength(1);
    expect([...new Set((await events.about(id)).map(({ type }) => type))]).toEqual(['mailroom.message.sent']);
  });

  it('leaves nothing for the recovery timer', async () => {
    await until('no open messages', 60, async () => (await openMessages(mailroom)).length === 0);
  });
});
