import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mailboxAccess } from './support/append-account.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { catcher, type StorageMoment } from './support/kill-moments.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, openMessages, recordOf, recordWhen, send, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const minute = 60_000;
const hoursAhead = 120 * minute;
/** Leases have lapsed after one, and the recovery timer looks after a mail whose first wait is over. */
const stepMs = 150_000;

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
const servers: ScriptedSmtp[] = [];
const ids: Record<string, string> = {};
let shiftMs = 0;

/** A process whose clock is two hours ahead is killed while it has one of everything. */
beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({
        MailStorage: gate.lead(azurite),
        AzureFunctionsJobHost__extensions__queues__batchSize: '32',
        AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '32',
      }),
    }),
    startDovecot({ users: { copies: 'password of copies', reader: 'password of reader' } }),
  ]);
  const reader = await dovecot.client('reader');
  await reader.append('INBOX', Buffer.from('From: a@example.com\r\nMessage-ID: <1@a>\r\n\r\nx\r\n'));
  await reader.close();
  const claimed = await server('RCPT', { next: 'silent' });
  const limits = { limits: { perMinute: 1, connections: 1 } };
  await smtpAccount(mailroom, 'claimed', { port: claimed.port }, limits);
  await smtpAccount(mailroom, 'keyed', { port: (await server()).port });
  await smtpAccount(mailroom, 'waits', { port: (await server('RCPT', '450 4.7.1 come again')).port });
  const copies = await mailboxAccess(mailroom, 'copies', dovecot, 'copies');
  await smtpAccount(mailroom, 'copies', { port: (await server()).port, saveToSent: true }, { store: copies });
  const store = await mailboxAccess(mailroom, 'reader', dovecot, 'reader');
  await mailroom.expect([200, 201], 'PUT', '/api/accounts/reader', {
    body: { from: 'reader@example.com', store, import: { schedule: null } },
  });

  await mailroom.setClock(hoursAhead);
  const caught = [
    held('keyed', { at: 'before', service: 'table', text: '"status":"queued"' }),
    // Behind the one that accepted it: the queue never hears of the next attempt.
    held('waits', { at: 'before', service: 'queue', text: '/mail-send/messages', nth: 2 }),
    held('copies', { at: 'after', service: 'table', text: '"note":' }),
    held('reader', { at: 'before', service: 'table', text: '"todoEvent"' }),
    until('a mail under way', 60, async () => claimed.commands.some((line) => line.startsWith('RCPT'))),
  ];
  for (const account of ['claimed', 'waits', 'copies']) ids[account] = (await send(mailroom, account)).id;
  const keyed = send(mailroom, 'keyed', {}, { 'idempotency-key': 'the same' }).catch(() => undefined);
  await mailroom.expect(202, 'POST', '/api/accounts/reader/import');
  await Promise.all(caught);
  // The claim of a new mail is written with its commit point, or a second later.
  const claim = `m:${ids.claimed?.split('.')[1]}`;
  await until('the claim', 60, async () => (await row('outbox', 'claimed', claim)).leaseUntil !== undefined);
  await mailroom.kill();
  gate.release();
  await keyed;
}, 120_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  for (const server of servers) await server.stop();
  await gate?.stop();
  await dovecot?.remove();
});

const held = (account: string, moment: StorageMoment) => gate.hold({ at: moment.at, fits: catcher(account, moment) });

/** A server that gives another answer once. */
async function server(step?: string, answer?: string | { readonly next: 'silent' }): Promise<ScriptedSmtp> {
  let once = answer;
  const started = await startScriptedSmtp({
    answer(at) {
      if (at !== step || once === undefined) return undefined;
      const given = once;
      once = undefined;
      return given;
    },
  });
  servers.push(started);
  return started;
}

/** The right time, a lapse later. */
async function later(): Promise<void> {
  shiftMs += stepMs;
  await mailroom.kill();
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

const row = async (table: string, account: string, key: string) =>
  await TableClient.fromConnectionString(mailroom.azurite.connectionString, table, {
    allowInsecureConnection: true,
  }).getEntity(account, key);

describe('after the death of a process whose clock was two hours ahead', () => {
  it('everything it had was written by that clock', async () => {
    const ahead = Date.now() + hoursAhead - 5 * minute;
    const times = await Promise.all([
      row('outbox', 'claimed', `m:${ids.claimed?.split('.')[1]}`).then(({ leaseUntil }) => leaseUntil),
      row('outbox', 'waits', `m:${ids.waits?.split('.')[1]}`).then(({ nextAttemptAt }) => nextAttemptAt),
      row('outbox', 'waits', `o:${ids.waits?.split('.')[1]}`).then(({ checkAt }) => checkAt),
      row('outbox', 'copies', `s:${ids.copies?.split('.')[1]}`).then(({ leaseUntil }) => leaseUntil),
      row('inbox', 'reader', 'turn').then(({ leaseUntil }) => leaseUntil),
    ]);
    for (const time of times) expect(time).toBeGreaterThan(ahead);
  });

  describe('others go on within the ordinary time', () => {
    beforeAll(later, 60_000);

    it('with a key that was being accepted', async () => {
      const { id } = await send(mailroom, 'keyed', {}, { 'idempotency-key': 'the same' });
      expect((await endedRecord(mailroom, id)).status).toBe('sent');
    });

    it('with the next attempt of a mail that waits', async () => {
      const record = await endedRecord(mailroom, ids.waits ?? '');
      expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'sent']);
    });

    it('with a copy for Sent', async () => {
      await recordWhen(mailroom, ids.copies ?? '', 'saved', ({ sentCopy }) => sentCopy === 'saved');
    });

    it('with an import', async () => {
      // The mail with which the process died alone has its second attempt in a minute.
      expect(await mailroom.import('reader')).toMatchObject({ status: 'done' });
    });

    it('with a mail that was claimed, its connection and the right to send it', { timeout: 180_000 }, async () => {
      const id = ids.claimed ?? '';
      const looks = async () => {
        const lines = (await mailroom.log()).split('\n').filter((line) => line.includes('"account":"claimed"'));
        return lines.filter((line) => /outbox\.(requeued|attempt)/.test(line)).length;
      };
      const ended = async () => (await recordOf(mailroom, id)).status === 'sent';
      let seen = 0;
      for (let step = 0; step < 3 && !(await ended()); step += 1) {
        // The limit is looked at by then, and its times put right.
        await until('a look at the limit', 60, async () => (await looks()) > seen);
        seen = await looks();
        if (!(await ended())) await later();
      }
      await endedRecord(mailroom, id);
      expect(shiftMs).toBeLessThanOrEqual(4 * stepMs);
    });

    it('and nothing is left', { timeout: 180_000 }, async () => {
      await until('nothing open', 60, async () => (await openMessages(mailroom)).length === 0);
      await later();
      await mailroom.import('reader');
      expect(await mailroom.assets('reader')).toHaveLength(1);
    });
  });
});
