import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type PauseProxy, startPauseProxy } from './support/pause-proxy.ts';
import { type StorageGate, type StorageRequest, startStorageGate } from './support/storage-gate.ts';

/** What is wanted of an account while somebody works on it already: nothing may be forgotten. */

const users = Array.from({ length: 10 }, (_, n) => `user${n}`);
const dayMs = 24 * 3_600_000;

let gate: StorageGate;
let mailroom: Mailroom;
let imap: ImapMailbox;
let proxy: PauseProxy;
let count = 0;
let name = '';
let shiftMs = 0;
/** Functions that are switched off at the next start. */
let disabled: readonly string[] = [];

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, imap] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({
        MailStorage: gate.lead(azurite),
        ...Object.fromEntries(disabled.map((each) => [`AzureWebJobs__${each}__Disabled`, 'true'])),
      }),
    }),
    startImapMailbox({ accounts: users.map((user) => ({ user, password: passwordOf(user) })) }),
  ]);
});

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await imap?.stop();
  await gate?.stop();
});

beforeEach(async () => {
  name = users[count] ?? '';
  count += 1;
  proxy = await startPauseProxy({ host: '127.0.0.1', port: imap.port });
});

afterEach(async () => {
  await proxy.stop();
});

const account = (rule: Readonly<Record<string, unknown>> = {}) =>
  mailboxAccount(mailroom, { ...imap, port: proxy.port }, name, rule);

const importNow = (body: unknown = {}, headers: Readonly<Record<string, string>> = {}) =>
  mailroom.call('POST', `/api/accounts/${name}/import`, { body, headers });

const subjects = async () => (await mailroom.assets(name)).map(({ subject }) => subject).sort();

const runOf = async (runId: string) => (await mailroom.expect(200, 'GET', `/api/accounts/${name}/runs/${runId}`)).json;

/** An import that stands still with this mail on its way. */
async function importStandingAt(subject: string, body: unknown = {}): Promise<string> {
  imap.deliver(name, simpleMail(subject));
  const paused = proxy.pauseAt(`Text of ${subject}`);
  const { json } = await importNow(body);
  await paused;
  return json.runId;
}

async function later(byMs: number): Promise<void> {
  shiftMs += byMs;
  await mailroom.kill();
  await mailroom.run({ shiftMs });
}

/** Resolves when storage has answered the first request about the account's row `key` that fits. */
async function answered(key: string, fits: (request: StorageRequest) => boolean): Promise<void> {
  await gate.hold({
    at: 'after',
    fits: (request) => {
      const text = `${request.path} ${request.body}`;
      return request.service === 'table' && text.includes(`'${name}'`) && text.includes(`'${key}'`) && fits(request);
    },
  });
  gate.resume();
}

/** Somebody has read that the account's lease is held. */
const leaseRead = () => answered('turn', ({ method }) => method === 'GET');

/** Fires a timer whose task meets the import that stands still. */
async function fireAndMeet(timer: 'import-schedule' | 'retention' | 'sweep'): Promise<void> {
  const met = leaseRead();
  await mailroom.fire(timer);
  await met;
}

describe('while an import is under way', { timeout: 120_000 }, () => {
  it('another one asked for makes it go round once more, and is the same run', async () => {
    await account();
    const runId = await importStandingAt('first');
    imap.deliver(name, simpleMail('second'));
    const asked = await importNow();
    expect([asked.status, asked.json]).toEqual([202, { runId, status: 'running' }]);
    expect(asked.headers.get('location')).toBe(`/api/accounts/${name}/runs/${runId}`);
    const heard = answered('turn', ({ body }) => body.includes('"asked":true'));
    const waiting = importNow({}, { prefer: 'wait=30' });
    await heard;
    proxy.resume();
    const waited = await waiting;
    expect([waited.status, waited.json]).toEqual([200, expect.objectContaining({ id: runId, imported: 2 })]);
    expect(await subjects()).toEqual(['first', 'second']);
  });

  it('of one folder alone, an import of all folders is a run of its own', async () => {
    imap.deliver(name, simpleMail('elsewhere'), { folder: 'Work' });
    await account();
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}`);
    await mailroom.expect(200, 'PUT', `/api/accounts/${name}`, {
      body: { ...json, store: { ...json.store, folders: ['INBOX', 'Work'] } },
    });
    const first = await importStandingAt('here', { folder: 'INBOX' });
    const all = importNow({}, { prefer: 'wait=30' });
    await until('the run of all folders', 60, async () => {
      const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}/runs`);
      return json.items.length === 2;
    });
    proxy.resume();
    const { status, json: second } = await all;
    expect(status).toBe(200);
    expect(second.id).not.toBe(first);
    expect([await runOf(first), second]).toMatchObject([
      { status: 'done', imported: 1 },
      { status: 'done', imported: 1 },
    ]);
    expect(await subjects()).toEqual(['elsewhere', 'here']);
  });

  it('a dry run waits for its end', async () => {
    await account();
    await importStandingAt('slow');
    const met = leaseRead();
    const dry = importNow({ dryRun: true });
    await met;
    proxy.resume();
    const { status, json } = await dry;
    expect(status).toBe(200);
    expect(json.items.filter(({ action }: { action: string }) => action === 'import')).toEqual([]);
  });

  it('the retention comes back to it: what is due is deleted by this very firing', { timeout: 180_000 }, async () => {
    await account({ delete: { afterDays: 1 } });
    imap.deliver(name, simpleMail('old'));
    expect(await mailroom.import(name)).toMatchObject({ imported: 1 });
    await later(dayMs + 60_000);
    await importStandingAt('new');
    await fireAndMeet('retention');
    expect(imap.mails(name)).toHaveLength(2);
    proxy.resume();
    await until('the deletion', 60, async () => imap.mails(name).length === 1);
    expect(imap.mails(name).map(({ bytes }) => bytes.includes('Text of new'))).toEqual([true]);
  });

  it('the sweep comes back to it', { timeout: 180_000 }, async () => {
    await account();
    await importStandingAt('swept');
    await fireAndMeet('sweep');
    proxy.resume();
    const reported = (line: string) => line.includes('"inbox.sweep"') && line.includes(`"account":"${name}"`);
    await until('the sweep', 60, async () => (await mailroom.log()).split('\n').some(reported));
  });
});

it('a scheduled import that meets another worker is made up for, without another occurrence', {
  timeout: 180_000,
}, async () => {
  await account();
  imap.deliver(name, simpleMail('looked at'));
  // The listing of the dry run stands still.
  const paused = proxy.pauseAt('looked at');
  const dry = importNow({ dryRun: true });
  await paused;
  await account({ schedule: '0 0 0 1 1 *' });
  await fireAndMeet('import-schedule');
  expect(await subjects()).toEqual([]);
  proxy.resume();
  expect((await dry).status).toBe(200);
  await until('the import', 60, async () => (await subjects()).length === 1);
});

describe('a run that dies', { timeout: 120_000 }, () => {
  const failedRun = async (runId: string) =>
    await until('the run reported as failed', 60, async () => {
      const run = await runOf(runId);
      return run.status !== 'running' && run;
    });

  it('is reported as failed by the retention, where no later run comes', { timeout: 180_000 }, async () => {
    await account();
    const runId = await importStandingAt('cut');
    // Its place on the queue comes back only after ten minutes of the queue's own clock.
    await later(10 * 60_000);
    expect(await runOf(runId)).toMatchObject({ status: 'running' });
    await mailroom.fire('retention');
    expect(await failedRun(runId)).toMatchObject({
      status: 'failed',
      finishedAt: expect.any(String),
      error: 'The process ended during the run',
    });
    proxy.resume();
  });

  it('before it began is reported as failed as well, and one that waits on the queue is not', async () => {
    await account();
    disabled = ['mail-import'];
    await later(0);
    const { json } = await importNow();
    await later(6 * 60_000);
    const { json: fresh } = await importNow();
    await mailroom.fire('retention');
    expect(await failedRun(json.runId)).toMatchObject({ status: 'failed', error: 'The run was never begun' });
    expect(await runOf(fresh.runId)).toMatchObject({ status: 'running', finishedAt: null });
    disabled = [];
    await later(0);
    await until('the run that waited', 60, async () => (await runOf(fresh.runId)).status === 'done');
  });
});
