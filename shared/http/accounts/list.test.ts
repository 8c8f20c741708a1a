import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { AccountStore } from '../../accounts/account-store.ts';
import { AccountHealth } from '../../accounts/health.ts';
import { accountsPartition } from '../../accounts/keys.ts';
import { resolveAccount } from '../../accounts/rules.ts';
import { addDelivery } from '../../events/deliveries/delivery-rows.ts';
import { cloudEvent } from '../../events/events.ts';
import { TestInbox } from '../../inbox/inbox.test-support.ts';
import { prefixes } from '../../inbox/keys.ts';
import { pendingRow } from '../../inbox/ledger/pending.ts';
import { jsonColumns } from '../../platform/rows.ts';
import type { Call } from '../call.ts';
import type { ListAnswer } from '../paging.ts';
import type { Services } from '../services.ts';
import type { ListedAccount } from './answers.ts';
import { handle } from './list.ts';
import { handle as handleStatus } from './status.ts';

const count = 200;
const signal = new AbortController().signal;
const nameOf = (n: number) => `account-${String(n).padStart(4, '0')}`;

let inbox: TestInbox;
let outbox: MemoryOutbox;
let accountRows: MemoryRows;
let eventRows: MemoryRows;
let services: Services;

beforeEach(async () => {
  inbox = new TestInbox();
  outbox = new MemoryOutbox();
  const { clock } = outbox.context;
  accountRows = new MemoryRows(clock.now);
  eventRows = new MemoryRows(clock.now);
  const secrets = { expiry: async () => undefined };
  const uses = { secrets, bound: () => secrets, webhookTargets: {}, reachable: false } as never;
  const events = { publish: async () => undefined };
  services = {
    accounts: new AccountStore(accountRows, uses, clock),
    inbox: { ...inbox.context, clock, health: new AccountHealth(accountRows, events, clock) },
    outbox: outbox.context,
    push: { clock, rows: accountRows, publicUrl: undefined },
    secrets,
    webhooks: { clock, rows: eventRows },
  } as unknown as Services;
  await accountRows.writeAll(
    accountsPartition,
    Array.from({ length: count }, (_, n) => {
      const { account } = resolveAccount(nameOf(n), {
        from: 'test@example.com',
        transport: { protocol: 'sink' },
        store: { protocol: 'imap', host: 'mail.example.com', auth: { type: 'none' }, tls: { starttls: 'never' } },
      });
      return { kind: 'put', key: nameOf(n), columns: { ...jsonColumns(account), version: '1', createdAt: n } };
    }),
  );
});

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

describe('the list of many accounts with health', () => {
  it('comes in pages as large as are asked for', async () => {
    const page = await list('health=true&top=150');
    expect(page.items.map(({ health }) => health?.account)).toEqual(
      Array.from({ length: 150 }, (_, n) => nameOf(count - 1 - n)),
    );
    const rest = await list(`health=true&top=1000&continue=${page.continue}`);
    expect(rest.items).toHaveLength(50);
    expect(rest.continue).toBeUndefined();
  });

  it('asks storage six times for an account of which nothing waits, and three times for all of them', async () => {
    const before = asked();
    await list('health=true&top=1000');
    expect(asked() - before).toBeLessThanOrEqual(6 * count + 3);
  });

  it('has of each what its status has', async () => {
    const [busy, failing, sending, hooked] = [7, 8, 9, 10].map(nameOf) as [string, string, string, string];
    const mail = (item: string) => ({ source: { store: 's', scope: 'i', item }, folder: 'INBOX', receivedAt: 1_000 });
    const pending = [1, 2].map((n) => pendingRow(mail(String(n)), { attempts: 1, reason: 'failed', now: 1 }));
    const rows = ['1', '2', '3'].map((n) => ({ kind: 'put', columns: { at: 1 }, n }) as const);
    const kinds = [prefixes.quarantine, prefixes.dropped, prefixes.due].map((prefix) =>
      rows.map(({ n, ...row }) => ({ ...row, key: `${prefix}${n}` })),
    );
    await inbox.rows.writeAll(busy, [...pending, ...kinds.flat().slice(1)]);
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
