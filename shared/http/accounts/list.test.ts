import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { AccountStore } from '../../accounts/account-store.ts';
import { AccountSummaries } from '../../accounts/account-summaries.ts';
import { AccountHealth } from '../../accounts/health.ts';
import { accountsPartition } from '../../accounts/keys.ts';
import { resolveAccount } from '../../accounts/rules.ts';
import { SummedRows } from '../../accounts/summed-rows.ts';
import { addDelivery } from '../../events/deliveries/delivery-rows.ts';
import { cloudEvent } from '../../events/events.ts';
import { TestInbox } from '../../inbox/inbox.test-support.ts';
import { changesFacts } from '../../inbox/inbox-facts.ts';
import { prefixes, singleKeys } from '../../inbox/keys.ts';
import { pendingRow } from '../../inbox/ledger/pending.ts';
import { announceRun, writeRun } from '../../inbox/ledger/runs.ts';
import { noCounts } from '../../inbox/run-counts.ts';
import { lastColumn } from '../../inbox/session/turn-row.ts';
import { failureKey } from '../../outbox/keys.ts';
import { changesFailures } from '../../outbox/status.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { jsonColumns, type Rows } from '../../platform/rows.ts';
import type { Call } from '../call.ts';
import type { ListAnswer } from '../paging.ts';
import type { Services } from '../services.ts';
import type { ListedAccount } from './answers.ts';
import { handle } from './list.ts';
import { handle as handleStatus } from './status.ts';
import { doubtSummaries, summariseChanged } from './summarise.ts';

const count = 200;
const signal = new AbortController().signal;
const nameOf = (n: number) => `account-${String(n).padStart(4, '0')}`;

const minute = 60_000;
const hour = 60 * minute;

let inbox: TestInbox;
let outbox: MemoryOutbox;
let accountRows: MemoryRows;
let eventRows: MemoryRows;
let services: Services;

beforeEach(() => {
  inbox = new TestInbox();
  outbox = new MemoryOutbox();
  accountRows = new MemoryRows(outbox.context.clock.now);
  eventRows = new MemoryRows(outbox.context.clock.now);
  services = newProcess();
});

/** The services of a process that knows what storage says, and nothing else. */
function newProcess(): Services {
  const { clock } = outbox.context;
  const secrets = { expiry: async () => undefined };
  const uses = { secrets, bound: () => secrets, webhookTargets: {}, reachable: false } as never;
  const events = { publish: async () => undefined };
  const summaries = new AccountSummaries(accountRows, clock);
  const health = new AccountHealth(accountRows, events, clock);
  return {
    accounts: new AccountStore(accountRows, uses, clock),
    summaries,
    inbox: { ...inbox.context, rows: new SummedRows(inbox.rows, summaries, changesFacts), clock, health },
    outbox: { ...outbox.context, rows: new SummedRows(outbox.rows, summaries, changesFailures) },
    push: { clock, rows: accountRows, publicUrl: undefined },
    secrets,
    webhooks: { clock, rows: new SummedRows(eventRows, summaries, () => true) },
  } as unknown as Services;
}

/** `fromStart`: a version that keeps summaries has added them. */
async function addAccounts(length: number, { fromStart }: { readonly fromStart: boolean }): Promise<void> {
  await accountRows.writeAll(
    accountsPartition,
    Array.from({ length }, (_, n) => {
      const { account } = resolveAccount(nameOf(n), {
        from: 'test@example.com',
        transport: { protocol: 'sink' },
        store: { protocol: 'imap', host: 'mail.example.com', auth: { type: 'none' }, tls: { starttls: 'never' } },
      });
      const createdAt = outbox.now + n;
      return { kind: 'put', key: nameOf(n), columns: { ...jsonColumns(account), version: '1', createdAt, fromStart } };
    }),
  );
}

const call = (query: string, account = ''): Call => ({
  request: { query: new URLSearchParams(query), headers: new Headers(), body: undefined as never },
  param: () => account,
  signal,
  services,
});

async function list(query: string): Promise<ListAnswer<ListedAccount>> {
  return (await handle(call(query))).jsonBody as ListAnswer<ListedAccount>;
}

/** How often storage was asked, all tables together. */
const asked = () => [inbox.rows, outbox.rows, accountRows, eventRows].reduce((sum, { requests }) => sum + requests, 0);

async function askedFor(task: () => Promise<unknown>): Promise<number> {
  const before = asked();
  await task();
  return asked() - before;
}

/** What an import leaves that has found mail: its run, its turn, and a mail that is tried again. */
async function imported(account: string, rows: Rows = services.inbox.rows): Promise<void> {
  const context = { ...services.inbox, rows };
  const run = {
    ...(await announceRun(context, account)),
    status: 'done' as const,
    begun: true,
    imported: 5,
    backlog: 0,
  };
  await writeRun(context, account, { ...run, finishedAt: outbox.now });
  await rows.write(account, [
    { kind: 'put', key: singleKeys.turn, columns: { leaseOwner: '', last: lastColumn(run) } },
  ]);
  const mail = { source: { store: 's', scope: 'i', item: '1' }, folder: 'INBOX', receivedAt: 1_000 };
  await rows.writeAll(account, [pendingRow(mail, { attempts: 1, reason: 'failed', now: 1 })]);
}

/** An import that finds nothing changes row `turn` alone. */
async function idle(account: string): Promise<void> {
  const run = { id: newestFirstId(outbox.now), status: 'done' as const, startedAt: outbox.now, begun: true };
  const last = lastColumn({ ...run, ...noCounts(), finishedAt: outbox.now, backlog: 0 });
  const columns = { leaseOwner: '', last };
  await services.inbox.rows.write(account, [{ kind: 'merge', key: singleKeys.turn, columns }]);
}

/** Of each of these accounts the list says what its status says, to whichever process. */
async function expectSame(...names: readonly string[]): Promise<void> {
  for (const process of [services, newProcess()]) {
    const { items } = (await handle({ ...call('health=true&top=1000'), services: process }))
      .jsonBody as ListAnswer<ListedAccount>;
    for (const name of names) {
      const { jsonBody } = await handleStatus(call('', name));
      expect(items.find((item) => item.name === name)?.health).toEqual(jsonBody);
    }
  }
}

describe('the list of many accounts with health', () => {
  beforeEach(() => addAccounts(count, { fromStart: true }));

  it('comes in pages as large as are asked for', async () => {
    const page = await list('health=true&top=150');
    expect(page.items.map(({ health }) => health?.account)).toEqual(
      Array.from({ length: 150 }, (_, n) => nameOf(count - 1 - n)),
    );
    const rest = await list(`health=true&top=1000&continue=${page.continue}`);
    expect(rest.items).toHaveLength(50);
    expect(rest.continue).toBeUndefined();
  });

  it('asks storage for none of the accounts that have done nothing', async () => {
    // The accounts, what fails, what is open, what was changed, and the summaries of at most 900 each.
    expect(await askedFor(() => list('health=true&top=1000'))).toBeLessThanOrEqual(5);
  });

  it('asks storage once for an account that imports, whatever its rows hold, once its summary is written', async () => {
    for (let n = 0; n < count; n += 1) await imported(nameOf(n));
    const before = await list('health=true&top=1000');
    outbox.now += 3 * minute;
    await summariseChanged(services, { signal });
    expect(await askedFor(() => list('health=true&top=1000'))).toBeLessThanOrEqual(count + 5);
    expect((await list('health=true&top=1000')).items).toEqual(before.items);
  });

  it('has summaries of what it has read itself', async () => {
    for (let n = 0; n < count; n += 1) await imported(nameOf(n));
    outbox.now += 3 * minute;
    const first = await askedFor(() => list('health=true&top=1000'));
    expect(first).toBeGreaterThan(6 * count);
    expect(await askedFor(() => list('health=true&top=1000'))).toBeLessThanOrEqual(count + 5);
  });

  it('reads accounts of an earlier version until the timer has summed them up', async () => {
    await addAccounts(count, { fromStart: false });
    for (let n = 0; n < count; n += 1) await imported(nameOf(n), inbox.rows);
    const before = await list('health=true&top=1000');
    expect(before.items[0]?.health).toMatchObject({ pending: 1, lastRun: { imported: 5 } });
    outbox.now += 3 * minute;
    await summariseChanged(services, { signal });
    expect(await askedFor(() => list('health=true&top=1000'))).toBeLessThanOrEqual(count + 5);
    expect((await list('health=true&top=1000')).items).toEqual(before.items);
  });

  it('has of each what its status has', async () => {
    const [busy, failing, sending, hooked] = [7, 8, 9, 10].map(nameOf) as [string, string, string, string];
    const mail = (item: string) => ({ source: { store: 's', scope: 'i', item }, folder: 'INBOX', receivedAt: 1_000 });
    const pending = [1, 2].map((n) => pendingRow(mail(String(n)), { attempts: 1, reason: 'failed', now: 1 }));
    const rows = ['1', '2', '3'].map((n) => ({ kind: 'put', columns: { at: 1 }, n }) as const);
    const kinds = [prefixes.quarantine, prefixes.dropped, prefixes.due].map((prefix) =>
      rows.map(({ n, ...row }) => ({ ...row, key: `${prefix}${n}` })),
    );
    await services.inbox.rows.writeAll(busy, [...pending, ...kinds.flat().slice(1)]);
    await services.inbox.health.failing(failing, 'store', { code: 'EAUTH' });
    await services.inbox.health.failing(failing, 'transport', { code: 'ECONNREFUSED' });
    await outbox.accept({ account: sending });
    for (const subject of ['1', '2']) {
      const event = cloudEvent({ type: 'mailroom.webhook.test', account: hooked, subject, time: 1, data: {} });
      await addDelivery(services.webhooks, hooked, event, 1);
    }
    const { items } = await list('health=true&top=1000');
    for (const name of [busy, failing, sending, hooked, nameOf(11)]) {
      const { jsonBody } = await handleStatus(call('', name));
      expect(items.find((item) => item.name === name)?.health).toEqual(jsonBody);
    }
    const healthOf = (name: string) => items.find((item) => item.name === name)?.health;
    expect(healthOf(busy)).toMatchObject({ pending: 2, quarantined: 2, disposalsDropped: 3, deletionsToCome: 3 });
    expect(healthOf(busy)?.oldestNotImported).toBe('1970-01-01T00:00:01.000Z');
    expect(healthOf(failing)?.failing.map(({ side }) => side)).toEqual(['transport', 'store']);
    expect(healthOf(sending)?.transport.waiting).toBe(1);
    expect(healthOf(hooked)?.webhook.waiting).toBe(2);
  });
});

describe('a summary', () => {
  const name = nameOf(1);

  beforeEach(() => addAccounts(2, { fromStart: true }));

  /** The account has a summary that counts. */
  async function summed(): Promise<void> {
    await imported(name);
    outbox.now += 3 * minute;
    await summariseChanged(services, { signal });
    expect(accountRows.keys('summaries')).toEqual([`s:${name}`]);
  }

  const failed = (message: string) =>
    services.outbox.rows.write(name, [
      { kind: 'put', key: failureKey(outbox.now, message), columns: { at: outbox.now, message, code: '550' } },
    ]);

  it('says what the status says after an import, a failed mail and an event, at once and ever after', async () => {
    await summed();
    await expectSame(name);
    const steps: readonly (() => Promise<unknown>)[] = [
      () => idle(name),
      () => failed('m1'),
      () => imported(name),
      () => services.inbox.rows.deleteEach(name, [{ key: inbox.rows.keys(name, prefixes.pending)[0] ?? '' }]),
      async () => {
        const event = cloudEvent({ type: 'mailroom.webhook.test', account: name, subject: '1', time: 1, data: {} });
        await addDelivery(services.webhooks, name, event, 1);
      },
    ];
    for (const step of steps) {
      await step();
      await expectSame(name);
      outbox.now += 3 * minute;
      await expectSame(name);
      await summariseChanged(services, { signal });
      expect(accountRows.keys('summaries')).toEqual([`s:${name}`]);
      await expectSame(name);
    }
    // What is a question of time needs no change.
    outbox.now += 23 * hour;
    await expectSame(name);
    outbox.now += 2 * hour;
    await expectSame(name);
  });

  it('does not count once another process has changed anything, and a change costs one note in half a minute', async () => {
    await summed();
    const other = newProcess();
    const key = `${prefixes.quarantine}1`;
    const before = accountRows.requests;
    for (let n = 0; n < 20; n += 1)
      await other.inbox.rows.write(name, [{ kind: 'put', key: `${key}${n}`, columns: { at: n } }]);
    expect(accountRows.requests - before).toBe(1);
    await expectSame(name);
    outbox.now += 40_000;
    await other.inbox.rows.write(name, [{ kind: 'put', key, columns: { at: 1 } }]);
    expect(accountRows.requests).toBeGreaterThan(before + 1);
  });

  it('of a process that stood still between reading and keeping does not take the place of what is true now', async () => {
    await summed();
    await failed('m1');
    outbox.now += 3 * minute;
    const stopped = newProcess();
    accountRows.onWrite = async (_, writes) => {
      if (!writes.some(({ key }) => key === `s:${name}`)) return;
      accountRows.onWrite = () => undefined;
      // Between its reading and this write others change and sum up.
      await failed('m2');
      outbox.now += 3 * minute;
      await summariseChanged(services, { signal });
      await failed('m3');
    };
    await summariseChanged(stopped, { signal });
    expect(accountRows.keys('summaries')).toEqual([`c:${name}`, `s:${name}`]);
    await expectSame(name);
  });

  it('does not count where a process stood still between its note and its change', async () => {
    await summed();
    inbox.rows.onWrite = async () => {
      inbox.rows.onWrite = () => undefined;
      outbox.now += 5 * minute;
      await summariseChanged(newProcess(), { signal });
    };
    await services.inbox.rows.write(name, [{ kind: 'put', key: `${prefixes.quarantine}1`, columns: { at: 1 } }]);
    await expectSame(name);
  });

  it('that a process, ended right then, has left wrong is right after the next night', async () => {
    await summed();
    // The change of a process that was killed before it could note it once more.
    await inbox.rows.write(name, [{ kind: 'put', key: `${prefixes.quarantine}1`, columns: { at: 1 } }]);
    await doubtSummaries(services, { signal });
    await expectSame(name);
    outbox.now += 3 * minute;
    await summariseChanged(services, { signal });
    await expectSame(name);
  });

  it('is not believed for longer than a day, whatever became of the timer', async () => {
    await summed();
    await inbox.rows.write(name, [{ kind: 'put', key: `${prefixes.quarantine}1`, columns: { at: 1 } }]);
    outbox.now += 27 * hour;
    await expectSame(name);
  });

  it('is kept of no account with so many failures that it would be long', async () => {
    for (let n = 0; n < 201; n += 1) await failed(`m${n}`);
    outbox.now += 3 * minute;
    await summariseChanged(services, { signal });
    await expectSame(name);
  });
});
