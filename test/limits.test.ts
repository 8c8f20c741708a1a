import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transportSchema } from '../shared/accounts/model.ts';
import type { Account } from '../shared/accounts/rules.ts';
import { AccountLimits } from '../shared/limits/account-limits.ts';
import { isAcquired } from '../shared/platform/acquired.ts';
import { systemClock } from '../shared/platform/clock.ts';
import { RowTable } from '../shared/platform/rows.ts';
import { type CountingSmtp, startCountingSmtp } from './support/counting-smtp.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { mixedMails } from './support/mails.ts';
import { endedRecord, recordOf, recordWhen, send, smtpAccount } from './support/sending.ts';

const minute = 60_000;
const servers: CountingSmtp[] = [];

let mailroom: Mailroom;
let shiftMs = 0;

beforeAll(async () => {
  mailroom = await Mailroom.start();
});

afterAll(async () => {
  await mailroom?.stop();
  for (const server of servers) await server.stop();
});

async function smtpServer(takesMs: number): Promise<CountingSmtp> {
  const server = await startCountingSmtp({ takesMs, now: () => Date.now() + shiftMs });
  servers.push(server);
  return server;
}

/** Hands in so many mails, each to an address of its own. */
async function sendMany(account: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 20) {
    const wave = Array.from({ length: Math.min(20, count - at) }, (_, n) =>
      send(mailroom, account, { to: `reader-${at + n}@example.org` }),
    );
    ids.push(...(await Promise.all(wave)).map(({ id }) => id));
  }
  return ids;
}

const distinct = ({ arrivals }: CountingSmtp) => new Set(arrivals.map(({ to }) => to)).size;

/** The test as one more process that takes part in the limits. */
function anotherProcess(): AccountLimits {
  const table = (name: string) => {
    const { connectionString } = mailroom.azurite;
    const client = TableClient.fromConnectionString(connectionString, name, { allowInsecureConnection: true });
    return new RowTable(async () => {
      await client.createTable();
      return client;
    });
  };
  return new AccountLimits(
    { limits: table('limits'), inbox: table('inbox') },
    { now: () => systemClock.now() + shiftMs },
  );
}

const never = new AbortController().signal;

describe('limits.connections', () => {
  it('hold over two processes, and both have their share', { timeout: 180_000 }, async () => {
    const server = await smtpServer(300);
    await smtpAccount(mailroom, 'shared', { port: server.port }, { limits: { connections: 2 } });
    const other = await mailroom.beside();
    try {
      await sendMany('shared', 60);
      await until('all 60 mails', 90, async () => distinct(server) === 60);
      expect(server.arrivals).toHaveLength(60);
      expect(server.most()).toBe(2);
      const haveSent = async () =>
        (await Promise.all([mailroom.log(), mailroom.log('beside.log')])).every((log) =>
          /"event":"outbox.attempt","account":"shared".*"status":"sent"/.test(log),
        );
      // On a busy machine one process may have been through before the other looked at the queue.
      for (let sent = 60; !(await haveSent()); sent += 60) {
        expect(sent).toBeLessThan(600);
        await sendMany('shared', 60);
        await until(`${sent + 60} mails`, 90, async () => server.arrivals.length === sent + 60);
      }
      expect(server.most()).toBe(2);
    } finally {
      await other.kill();
    }
  });

  it('hold while processes are killed', { timeout: 180_000 }, async () => {
    const server = await smtpServer(200);
    await smtpAccount(mailroom, 'killed', { port: server.port }, { limits: { connections: 2 } });
    const other = await mailroom.beside();
    const ids = await sendMany('killed', 30);
    await until('some of the mails', 60, async () => distinct(server) > 5);
    await other.kill();
    await mailroom.kill();
    shiftMs += 3 * minute;
    await mailroom.run({ shiftMs });
    await mailroom.fire('outbox-recovery');
    const states = await Promise.all(ids.map(async (id) => (await endedRecord(mailroom, id, 60)).status));
    expect(server.most()).toBeLessThanOrEqual(2);
    // Killed behind the commit point: nobody knows; nothing is lost and nothing leaves twice.
    const doubtful = states.filter((status) => status === 'uncertain').length;
    expect(states.filter((status) => status === 'sent').length + doubtful).toBe(30);
    expect(doubtful).toBeLessThanOrEqual(2);
    expect(server.arrivals.length).toBe(distinct(server));
  });

  it('let mail wait on the queue while others have them all: no attempt, and soon after', async () => {
    const server = await smtpServer(0);
    await smtpAccount(mailroom, 'taken', { port: server.port }, { limits: { connections: 1 } });
    const account: Pick<Account, 'name' | 'limits'> = { name: 'taken', limits: { connections: 1, perMinute: null } };
    const transport = { ...transportSchema.parse({ protocol: 'smtp', host: '127.0.0.1' }), port: server.port };
    if (transport.protocol !== 'smtp') throw new Error('not SMTP');
    const slot = await anotherProcess().slots(account, transport).acquire(never);
    if (!isAcquired(slot)) throw new Error('no place');
    const { id } = await send(mailroom, 'taken');
    const waits = await recordWhen(mailroom, id, 'put back', ({ nextAttemptAt }) => nextAttemptAt !== undefined);
    expect(waits).toMatchObject({ status: 'queued', attempts: [], recipients: [{ status: 'pending' }] });
    // A caller who waits goes on waiting: the mail leaves within its time.
    const body = { to: 'anna@example.org', subject: 'Zahlen', text: 'Jetzt' };
    const headers = { prefer: 'wait=20' };
    const waiting = mailroom.expect(200, 'POST', '/api/accounts/taken/messages', { body, headers });
    await until('the other one put back too', 60, async () => {
      const puts = (await mailroom.log()).match(/"account":"taken".*"code":"NO_CONNECTION_FREE"/g) ?? [];
      return puts.length >= 2;
    });
    expect(server.most()).toBe(0);
    slot.release();
    expect((await endedRecord(mailroom, id, 20)).attempts).toHaveLength(1);
    expect((await waiting).json.status).toBe('sent');
  });

  it('let an import wait while others have them all: it is no failure, and the run that was promised', {
    timeout: 180_000,
  }, async () => {
    const imap: Dovecot = await startDovecot({ users: { tester: 'password of tester' } });
    try {
      const mails = mixedMails(3, 5, 2_000);
      await deliverAll(imap, mails);
      await imapAccount(mailroom, 'fetcher', imap, {});
      const { json } = await mailroom.expect(200, 'GET', '/api/accounts/fetcher');
      const others = anotherProcess().slots({ name: 'fetcher', limits: json.limits }, json.store);
      const slots = await Promise.all(Array.from({ length: 5 }, () => others.acquire(never)));
      expect(slots.every(isAcquired)).toBe(true);
      const { json: promised } = await mailroom.expect(202, 'POST', '/api/accounts/fetcher/import');
      await until('a run that found no place', 60, async () =>
        (await mailroom.log()).includes('inbox.noConnectionFree'),
      );
      const run = async () => (await mailroom.expect(200, 'GET', `/api/accounts/fetcher/runs/${promised.runId}`)).json;
      expect(await run()).toMatchObject({ status: 'running', imported: 0 });
      for (const slot of slots) if (isAcquired(slot)) slot.release();
      await until('the end of the run', 60, async () => (await run()).status !== 'running');
      expect(await run()).toMatchObject({ status: 'done', imported: 3 });
      const { json: status } = await mailroom.expect(200, 'GET', '/api/accounts/fetcher/status');
      expect(status.failing ?? []).toEqual([]);
    } finally {
      await imap.remove();
    }
  });
});

describe('limits.perMinute', () => {
  it('holds over two processes, in every sixty seconds, and shows when mail leaves', { timeout: 180_000 }, async () => {
    const server = await smtpServer(0);
    const perMinute = 12;
    await smtpAccount(mailroom, 'paced', { port: server.port }, { limits: { perMinute } });
    const other = await mailroom.beside();
    const ids = await sendMany('paced', 30);
    await until('the first minute’s mails', 40, async () => server.arrivals.length >= perMinute);
    const states = () => Promise.all(ids.map((id) => recordOf(mailroom, id)));
    const first = (await states()).filter(({ status }) => status === 'queued');
    expect(first.length).toBe(30 - perMinute);
    await until('a time for each', 60, async () => {
      const waiting = (await states()).filter(({ status }) => status === 'queued');
      return waiting.every(({ nextAttemptAt, attempts }) => nextAttemptAt !== undefined && attempts.length === 0);
    });
    expect(server.arrivals).toHaveLength(perMinute);
    await other.kill();
    for (let round = 0; round < 4 && server.arrivals.length < 30; round += 1) {
      const before = server.arrivals.length;
      await mailroom.kill();
      // Beyond the minute, and beyond the time at which the recovery looks after what was put back.
      shiftMs += 8 * minute;
      await mailroom.run({ shiftMs });
      await mailroom.fire('outbox-recovery');
      await until('the next mails', 40, async () => server.arrivals.length >= Math.min(30, before + perMinute));
      await until('their receipts', 60, async () => (await states()).every(({ status }) => status !== 'sending'));
    }
    expect(distinct(server)).toBe(30);
    const times = server.arrivals.map(({ at }) => at).sort((a, b) => a - b);
    for (const [index, at] of times.entries()) {
      expect(at - (times[index - perMinute] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(minute);
    }
    for (const { status, attempts } of await states()) {
      expect(status).toBe('sent');
      expect(attempts).toHaveLength(1);
    }
  });
});

describe('an account with much mail and a slow server', () => {
  it('does not keep the mail of another account waiting', { timeout: 180_000 }, async () => {
    const [slow, fast] = [await smtpServer(4_000), await smtpServer(0)];
    await smtpAccount(mailroom, 'flood', { port: slow.port });
    await smtpAccount(mailroom, 'prompt', { port: fast.port });
    await sendMany('flood', 300);
    // Twice, while the flood waits.
    for (let n = 0; n < 2; n += 1) {
      const before = slow.arrivals.length;
      const { id } = await send(mailroom, 'prompt');
      await endedRecord(mailroom, id, 60);
      // Most of the flood would have stood before it.
      expect(slow.arrivals.length - before).toBeLessThan(60);
    }
    expect(slow.arrivals.length).toBeLessThan(300);
    expect(slow.most()).toBeLessThanOrEqual(5);
  });
});

describe('many mails of one account and some of another, submitted together', () => {
  const [many, some] = process.env.SOAK ? [5_000, 50] : [300, 6];

  it('the few are through before a tenth of the many', {
    timeout: process.env.SOAK ? 3_600_000 : 180_000,
  }, async () => {
    // A tenth of the many takes it a quarter of a minute, however busy this machine is.
    const [crowd, few] = [await smtpServer(2_500), await smtpServer(0)];
    await smtpAccount(mailroom, 'crowd', { port: crowd.port });
    await smtpAccount(mailroom, 'few', { port: few.port });
    await Promise.all([sendMany('crowd', many), sendMany('few', some)]);
    await until('all of the few', 300, async () => distinct(few) === some);
    expect(few.arrivals).toHaveLength(some);
    const throughAt = Math.max(...few.arrivals.map(({ at }) => at));
    expect(crowd.arrivals.filter(({ at }) => at <= throughAt).length).toBeLessThan(many / 10);
  });
});
