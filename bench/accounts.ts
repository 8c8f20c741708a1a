import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TableClient } from '@azure/data-tables';
import { QueueClient } from '@azure/storage-queue';
import { accountsPartition, summariesPartition } from '../shared/accounts/keys.ts';
import { resolveAccount } from '../shared/accounts/rules.ts';
import { noInboxFacts } from '../shared/inbox/inbox-facts.ts';
import { singleKeys } from '../shared/inbox/keys.ts';
import { noCounts } from '../shared/inbox/run-counts.ts';
import { lastColumn } from '../shared/inbox/session/turn-row.ts';
import { mapConcurrently } from '../shared/platform/concurrency.ts';
import { newestFirstId } from '../shared/platform/ids.ts';
import { jsonColumns, RowTable } from '../shared/platform/rows.ts';
import { type CountingProxy, type StorageRequest, startCountingProxy } from '../test/support/counting-proxy.ts';
import type { Mailroom } from '../test/support/mailroom.ts';
import { digits, type SectionResult } from './report.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

/** What storage takes for each request beside its own work. In ms. */
const latencyMs = 5;
const limitSeconds = 570;
const healthPages = 2;

type TimerName = 'import-schedule' | 'outbox-recovery' | 'retention';

/** What a part of the section took. */
interface Part {
  readonly name: string;
  readonly seconds: number;
  /** Of the functions process, in seconds; NaN where the system does not tell. */
  readonly processor: number;
  readonly requests: readonly StorageRequest[];
}

/**
 * Ten thousand accounts: what the timers that look at all of them ask storage for, and how long they take, with storage
 * that is 5 ms away. The functions that queues start are off, so that the timers are measured alone.
 */
export async function accounts(options: { readonly quick: boolean }): Promise<SectionResult> {
  const count = options.quick ? 2_000 : 10_000;
  const env: Record<string, string> = {
    ...Object.fromEntries(
      [
        ...['mail-import', 'mail-send', 'mail-webhooks'],
        // These run only as they are fired: else they come each minute as well, and are taken for those.
        ...['outbox-recovery', 'outbox-release'],
      ].map((name) => [`AzureWebJobs.${name}.Disabled`, 'true']),
    ),
  };
  return await withStarted(async (started) => {
    const mailroom = await started.add(startMailroom('tuned', { env }), (part) => part.stop());
    const proxy = await started.add(startCountingProxy(mailroom.azurite), (part) => part.stop());
    await mailroom.kill();
    env.MailStorage = proxy.connectionString;
    await mailroom.run();
    await mailroom.expect(200, 'GET', '/api/accounts');
    await addAccounts(mailroom, count);
    proxy.delay(latencyMs);
    const site = { mailroom, proxy };
    const parts: Part[] = [];
    parts.push(await timePart('all due', site, () => runTimer(mailroom, 'import-schedule')));
    const queued = await messagesOf(mailroom);
    if (queued < count) throw new Error(`${queued} imports were queued for ${count} accounts`);
    parts.push(await timePart('none due', site, () => runTimer(mailroom, 'import-schedule')));
    parts.push(await timePart('outbox-recovery, first run', site, () => runTimer(mailroom, 'outbox-recovery')));
    parts.push(await timePart('outbox-recovery', site, () => runTimer(mailroom, 'outbox-recovery')));
    parts.push(...(await timeHealth(site, 'health')));
    proxy.delay(0);
    await addImports(mailroom, count);
    proxy.delay(latencyMs);
    parts.push(...(await timeHealth(site, 'of importing ones')));
    return result(count, parts);
  });
}

const nameOf = (n: number) => `account-${String(n).padStart(5, '0')}`;

/** Writes accounts as they stand in their table: ten thousand calls of `PUT` would measure something else. */
async function addAccounts(mailroom: Mailroom, count: number): Promise<void> {
  const rows = new RowTable(async () =>
    TableClient.fromConnectionString(mailroom.azurite.connectionString, 'accounts', { allowInsecureConnection: true }),
  );
  const auth = { type: 'none' };
  const tls = { starttls: 'never' };
  const uses = { reachable: false };
  const writes = Array.from({ length: count }, (_, n) => {
    const name = nameOf(n);
    const { account } = resolveAccount(
      name,
      {
        from: `${name}@example.com`,
        transport: { protocol: 'smtp', host: '127.0.0.1', port: 9, auth, tls },
        store: { protocol: 'imap', host: '127.0.0.1', port: 9, auth, tls },
      },
      uses,
    );
    const saved = { version: name, createdAt: Date.now() + n, fromStart: true, deleted: false };
    const columns = { ...jsonColumns(account), ...saved };
    return { kind: 'put', key: name, columns } as const;
  });
  const groups = Array.from({ length: Math.ceil(count / 100) }, (_, n) => writes.slice(n * 100, n * 100 + 100));
  await mapConcurrently(groups, 2, (group) => rows.write(accountsPartition, group));
}

interface Site {
  readonly mailroom: Mailroom;
  readonly proxy: CountingProxy;
}

async function timePart(name: string, { mailroom, proxy }: Site, task: () => Promise<unknown>): Promise<Part> {
  proxy.take();
  const used = await processorSeconds(mailroom.pid);
  const began = performance.now();
  await task();
  const seconds = (performance.now() - began) / 1000;
  return { name, seconds, processor: (await processorSeconds(mailroom.pid)) - used, requests: proxy.take() };
}

/** What a process has used of the processors so far (proc(5): `utime` and `stime`, in hundredths of a second). */
async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name of the program, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Fires a timer by hand, and waits for its end. */
async function runTimer(mailroom: Mailroom, timer: TimerName): Promise<void> {
  const ends = async () => (await mailroom.log()).split(`Executed 'Functions.${timer}'`).length;
  const before = await ends();
  await mailroom.fire(timer);
  const until = performance.now() + limitSeconds * 1000;
  while ((await ends()) === before) {
    if (performance.now() > until) throw new Error(`${timer} did not end in ${limitSeconds} s`);
    await sleep(20);
  }
}

async function messagesOf({ azurite }: Mailroom): Promise<number> {
  const queue = new QueueClient(azurite.connectionString, 'mail-import');
  return (await queue.getProperties()).approximateMessagesCount ?? 0;
}

/** Leaves of the accounts on the first pages what imports have left, and the summaries that the timer writes of that. */
async function addImports(mailroom: Mailroom, count: number): Promise<void> {
  const clientOf = (name: string) =>
    TableClient.fromConnectionString(mailroom.azurite.connectionString, name, { allowInsecureConnection: true });
  const table = (name: string) => new RowTable(async () => clientOf(name));
  // Nothing was imported here: the app has not made it yet.
  await clientOf('inbox').createTable();
  const names = Array.from({ length: Math.min(count, healthPages * 1_000) }, (_, n) => nameOf(count - 1 - n));
  const run = { ...noCounts(), id: newestFirstId(Date.now()), status: 'done' as const, begun: true, backlog: 0 };
  const last = lastColumn({ ...run, startedAt: Date.now(), finishedAt: Date.now() });
  const inbox = table('inbox');
  const turn = { kind: 'put', key: singleKeys.turn, columns: { leaseOwner: '', leaseUntil: 0, last } } as const;
  await mapConcurrently(names, 16, (name) => inbox.write(name, [turn]));
  const facts = { form: 1, inbox: { ...noInboxFacts(), hasTurn: true } };
  const summary = { ...facts, failures: { recent: [] }, target: { waiting: 0, givenUp: 0 } };
  const columns = { ...jsonColumns(summary), at: Date.now() };
  await table('accounts').writeAll(
    summariesPartition,
    names.map((name) => ({ kind: 'put', key: `s:${name}`, columns }) as const),
  );
}

/** The first pages of a listing with health, the largest that there are. */
async function timeHealth(site: Site, name: string): Promise<readonly Part[]> {
  const parts: Part[] = [];
  let token = '';
  for (let page = 1; page <= healthPages; page += 1) {
    const part = await timePart(`${name}, page ${page}`, site, async () => {
      const { json } = await site.mailroom.expect(200, 'GET', `/api/accounts?health=true&top=1000${token}`);
      token = `&continue=${json.continue}`;
      if (json.items.length < 1000) throw new Error(`a page of ${json.items.length} accounts`);
    });
    parts.push(part);
  }
  return parts;
}

const isMessage = ({ service, method, path }: StorageRequest) =>
  service === 'queue' && method === 'POST' && path.startsWith('/mail-import/');

function result(count: number, parts: readonly Part[]): SectionResult {
  const rows = parts.map(({ name, seconds, processor, requests }) => {
    const messages = requests.filter(isMessage).length;
    return [name, digits(seconds), digits(processor), String(requests.length - messages), String(messages)];
  });
  const of = (name: string) => parts.find((part) => part.name === name);
  const seconds = (name: string) => of(name)?.seconds ?? Number.NaN;
  const others = (name: string) => of(name)?.requests.filter((each) => !isMessage(each)).length ?? Number.NaN;
  const atMost = (what: string, figure: number, target: number, unit = '') =>
    ({ what, figure, bound: 'atMost', target, unit }) as const;
  return {
    title: `Accounts: ${count.toLocaleString('en')} of them, storage ${latencyMs} ms away`,
    notes: [
      'Seconds from the call that fires the timer to its end in the log, or of the call of HTTP; requests counted by a proxy.',
      'Of a processor: what the functions process used in that time, as Linux counts it.',
      'The first run of outbox-recovery in a process also makes sure that three queues and a table are there.',
      'The functions that queues start are off, and so are the schedules of all timers: each is measured alone, as it is fired.',
      'Health: of accounts that did nothing yet, and of accounts with a summary and a last import.',
    ],
    table: [['', 'seconds', 'of a processor', 'transactions', 'messages queued'], ...rows],
    goals: [
      atMost('queueing an import of all accounts', seconds('all due'), 30, ' s'),
      atMost('transactions of that per 50 accounts, without the messages', (others('all due') / count) * 50, 2),
      atMost('a look at the schedule when none is due', seconds('none due'), 5, ' s'),
      atMost('transactions of that', others('none due'), 20),
      atMost('outbox-recovery when nothing waits', seconds('outbox-recovery'), 5, ' s'),
      atMost('transactions of that', others('outbox-recovery'), 20),
      ...(['health', 'of importing ones'] as const).map((name) =>
        atMost(
          name === 'health' ? 'a page of 1,000 accounts with health' : 'the same of accounts that import',
          Math.max(seconds(`${name}, page 1`), seconds(`${name}, page 2`)),
          2,
          ' s',
        ),
      ),
    ],
  };
}
