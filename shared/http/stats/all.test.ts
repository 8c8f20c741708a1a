import { expect, it } from 'vitest';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { AccountStore } from '../../accounts/account-store.ts';
import { AccountSummaries } from '../../accounts/account-summaries.ts';
import { accountsPartition } from '../../accounts/keys.ts';
import { SummedRows } from '../../accounts/summed-rows.ts';
import { changesFacts } from '../../inbox/inbox-facts.ts';
import { singleKeys } from '../../inbox/keys.ts';
import { openPartition } from '../../outbox/keys.ts';
import { DayCounts } from '../../stats/day-counts.ts';
import type { Services } from '../services.ts';
import { handle } from './all.ts';
import type { Stats } from './answers.ts';

const { signal } = new AbortController();

it.each([
  ['reads the counts of those accounts alone that have any', true],
  ['reads every account that an earlier version has added', false],
])('%s', async (_, fromStart) => {
  const outbox = new MemoryOutbox();
  const { clock } = outbox.context;
  const accountRows = new MemoryRows(clock.now);
  const inboxRows = new MemoryRows(clock.now);
  const summaries = new AccountSummaries(accountRows, clock);
  const noted = new SummedRows(inboxRows, summaries, changesFacts);
  const counts = { inbox: new DayCounts(noted), outbox: outbox.context.dayCounts };
  const services = {
    accounts: new AccountStore(accountRows, {} as never, clock),
    summaries,
    outbox: outbox.context,
    inbox: { dayCounts: counts.inbox },
    stats: { clock, counts: [counts.inbox, counts.outbox] },
  } as unknown as Services;
  const names = Array.from({ length: 100 }, (_, n) => `account-${n}`);
  await accountRows.writeAll(
    accountsPartition,
    names.map((key) => ({ kind: 'put', key, columns: { createdAt: outbox.now, fromStart } })),
  );
  await noted.write('account-3', [
    { kind: 'insert', key: singleKeys.turn, columns: {} },
    counts.inbox.row('account-3', { at: outbox.now, imported: 7, bytes: 1 }),
  ]);
  await outbox.accept({ account: 'account-5' });
  await outbox.rows.write('account-5', [counts.outbox.row('account-5', { at: outbox.now, accepted: 1 })]);
  if (!fromStart) await outbox.rows.write(openPartition, [{ kind: 'delete', key: 'account-5' }]);

  const asked = () => [accountRows, inboxRows, outbox.rows].reduce((sum, { requests }) => sum + requests, 0);
  const before = asked();
  const request = { query: new URLSearchParams('days=1'), headers: new Headers(), body: undefined as never };
  const { jsonBody } = await handle({ request, param: () => '', signal, services });
  expect((jsonBody as Stats).items).toMatchObject([{ imported: 7, accepted: 1 }]);
  const requests = asked() - before;
  if (fromStart) expect(requests).toBeLessThanOrEqual(6);
  else expect(requests).toBeGreaterThan(200);
});

it('tells the counts of an account whose records are gone, and which an earlier version has added', async () => {
  const outbox = new MemoryOutbox();
  const { clock } = outbox.context;
  const accountRows = new MemoryRows(clock.now);
  const services = {
    accounts: new AccountStore(accountRows, {} as never, clock),
    summaries: new AccountSummaries(accountRows, clock),
    outbox: outbox.context,
    stats: { clock, counts: [outbox.context.dayCounts] },
  } as unknown as Services;
  const columns = { createdAt: outbox.now, fromStart: false };
  await accountRows.write(accountsPartition, [{ kind: 'put', key: 'old', columns }]);
  await outbox.rows.write('old', [outbox.context.dayCounts.row('old', { at: outbox.now, accepted: 100 })]);
  await outbox.context.open.found('old', 0, { signal });
  const request = { query: new URLSearchParams('days=1'), headers: new Headers(), body: undefined as never };
  const { jsonBody } = await handle({ request, param: () => '', signal, services });
  expect((jsonBody as Stats).items).toMatchObject([{ accepted: 100 }]);
});
