import { QueueClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandCounter, startCommandCounter } from './support/command-counter.ts';
import { type CountingProxy, isOfAccount, startCountingProxy } from './support/counting-proxy.ts';
import { type Dovecot, hasDovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { simpleMail } from './support/mailbox-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { serverAccount } from './support/server-account.ts';

/** What an import that finds nothing costs (design section 5, "Cost"), counted on the way to storage and to the server. */

const missing = (await hasDovecot()) ? undefined : 'dovecot is not installed';
if (missing && process.env.CI) throw new Error(missing);

const graphUser = 'graph@example.com';

let mailroom: Mailroom;
let dovecot: Dovecot;
let storage: CountingProxy;
let imap: CommandCounter;
let pop3: CommandCounter;

beforeAll(async () => {
  if (missing) return;
  const env: Record<string, string> = {};
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({ env, graph: [{ userPrincipalName: graphUser }] }),
    startDovecot({ users: { imap: 'password of imap', pop3: 'password of pop3' } }),
  ]);
  [storage, imap, pop3] = await Promise.all([
    startCountingProxy(mailroom.azurite),
    startCommandCounter({ host: dovecot.host, port: dovecot.ports.imap }),
    startCommandCounter({ host: dovecot.host, port: dovecot.ports.pop3 }),
  ]);
  await mailroom.kill();
  env.MailStorage = storage.connectionString;
  await mailroom.run();
}, 180_000);

afterAll(async () => {
  await mailroom?.stop();
  await storage?.stop();
  await imap?.stop();
  await pop3?.stop();
  await dovecot?.remove();
});

/** What an import, as the timer queues it, asks of storage; not the host's own work on the queue. */
async function importFromQueue(account: string): Promise<readonly string[]> {
  // Past the proxy, which counts for the import alone.
  const queue = new QueueClient(mailroom.azurite.connectionString, 'mail-import');
  const ended = async () => (await mailroom.log()).split(`"event":"inbox.run","account":"${account}"`).length;
  const before = await ended();
  storage.take();
  await queue.sendMessage(Buffer.from(JSON.stringify({ account })).toString('base64'));
  await until('the end of the import', 60, async () => (await ended()) > before);
  await until('the end of its message', 60, async () => {
    return (await queue.getProperties()).approximateMessagesCount === 0;
  });
  return storage
    .take()
    .filter(isOfAccount(account))
    .map(({ service, method, path }) => `${service} ${method} ${decodeURIComponent(path)}`);
}

const statusOf = async (account: string) => (await mailroom.expect(200, 'GET', `/api/accounts/${account}/status`)).json;

const runsOf = async (account: string) =>
  (await mailroom.expect(200, 'GET', `/api/accounts/${account}/runs`)).json.items;

/** An import that finds nothing: four transactions, no row of its own, and yet its time is told. */
async function expectIdle(account: string): Promise<void> {
  const [before, runs] = [await statusOf(account), await runsOf(account)];
  const requests = await importFromQueue(account);
  expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(4);
  const after = await statusOf(account);
  expect(await runsOf(account)).toEqual(runs);
  expect(after.lastRun).toMatchObject({ status: 'done', imported: 0 });
  expect(Date.parse(after.lastRun.startedAt)).toBeGreaterThan(Date.parse(before.lastRun.startedAt));
  const path = `/api/accounts/${account}/runs/${after.lastRun.id}`;
  expect((await mailroom.expect(200, 'GET', path)).json).toEqual(after.lastRun);
}

describe.skipIf(missing)('an import that finds nothing', { timeout: 120_000 }, () => {
  it('takes four transactions and five commands by IMAP, right after a mail came and ever after', async () => {
    const port = imap.port;
    await serverAccount(mailroom, 'imap', dovecot, { user: 'imap', port });
    await deliver('imap');
    expect(await mailroom.import('imap')).toMatchObject({ imported: 1 });
    for (const _ of [1, 2]) {
      imap.take();
      await expectIdle('imap');
      const commands = imap.take().map((line) => line.split(' ')[1]);
      expect(commands).toEqual(['AUTHENTICATE', 'ID', 'EXAMINE', 'FETCH', 'LOGOUT']);
    }
    await deliver('imap');
    await importFromQueue('imap');
    expect((await runsOf('imap'))[0]).toMatchObject({ status: 'done', imported: 1 });
    await expectIdle('imap');
  });

  it('takes four transactions and a sign-in with one listing by POP3', async () => {
    await serverAccount(mailroom, 'pop3', dovecot, { protocol: 'pop3', user: 'pop3', port: pop3.port });
    await deliver('pop3');
    expect(await mailroom.import('pop3')).toMatchObject({ imported: 1 });
    pop3.take();
    await expectIdle('pop3');
    const commands = pop3.take().map((line) => line.split(' ')[0]);
    expect(commands).toEqual(['CAPA', 'USER', 'PASS', 'STAT', 'UIDL', 'QUIT']);
  });

  it('takes four transactions and one call by Graph', async () => {
    await graphAccount(mailroom, 'graph', { user: graphUser, transport: null });
    mailroom.graph.mailbox(graphUser).deliver(simpleMail('graph'));
    expect(await mailroom.import('graph')).toMatchObject({ imported: 1 });
    // That it was marked as read is a change, which the next delta tells.
    await mailroom.import('graph');
    const before = mailroom.graph.requests.length;
    await expectIdle('graph');
    expect(mailroom.graph.requests.slice(before).map(({ route }) => route)).toEqual([
      expect.stringContaining('/messages/delta()'),
    ]);
  });
});

async function deliver(user: string): Promise<void> {
  const client = await dovecot.client(user);
  await client.append('INBOX', simpleMail(user));
  await client.close();
}
