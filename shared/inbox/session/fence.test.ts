import { afterEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { turns } from '../../../test/support/turns.ts';
import { systemClock } from '../../platform/clock.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { closeDeadRuns } from '../housekeeping.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { singleKeys } from '../keys.ts';
import { getRun } from '../ledger/runs.ts';
import { askAgain } from './ask-again.ts';
import { Fence, Superseded } from './fence.ts';
import { type AccountLease, acquireLease } from './lease.ts';
import { leaseMs } from './turn-row.ts';

const account = 'corpus';
const put = (n: number): RowWrite => ({ kind: 'put', key: 'a', columns: { n } });

const signal = new AbortController().signal;

const held: AccountLease[] = [];
afterEach(async () => {
  for (const lease of held.splice(0)) await lease.release();
});

async function leaseOf(
  inbox: Pick<InboxContext, 'rows' | 'clock'>,
  name: string,
  runId: string,
): Promise<AccountLease> {
  const lease = await acquireLease(inbox, name, { runId, purpose: 'import' });
  if (!('release' in lease)) return expect.fail('the lease is not free');
  held.push(lease);
  return lease;
}

async function begun(runId = 'run') {
  const rows = new MemoryRows();
  const { fence } = await leaseOf({ rows, clock: systemClock }, account, runId);
  return { rows, fence };
}

const isTurn = (writes: readonly RowWrite[]) => writes.some(({ key }) => key === singleKeys.turn);

describe('a write behind the fence', () => {
  it('names its run in the row of the turn', async () => {
    const { rows, fence } = await begun();
    expect((await rows.get(account, singleKeys.turn))?.columns).toMatchObject({ run: 'run' });
    await fence.write([put(1)]);
    expect((await rows.get(account, singleKeys.turn))?.columns).toMatchObject({ run: 'run' });
    expect(rows.keys(account)).toEqual(['a', singleKeys.turn]);
  });

  it('that is the first to be carried out, and no other, takes along what is to be known first', async () => {
    const written: string[][] = [];
    let away = true;
    const write = async (writes: readonly RowWrite[]) => {
      if (away) throw new Error('storage is away');
      written.push(writes.map(({ key }) => key));
    };
    const fence = new Fence({ write }, () => [{ kind: 'put', key: 'first', columns: {} }]);
    await expect(fence.write([put(1)])).rejects.toThrow('storage is away');
    away = false;
    await fence.write([put(1)]);
    await fence.write([put(2)]);
    expect(written).toEqual([['first', 'a'], ['a']]);
  });

  it('that is asked for beside the first waits for it, and takes nothing along', async () => {
    const written: string[][] = [];
    const first = Promise.withResolvers<void>();
    const write = async (writes: readonly RowWrite[]) => {
      written.push(writes.map(({ key }) => key));
      await first.promise;
    };
    const fence = new Fence({ write }, () => [{ kind: 'put', key: 'first', columns: {} }]);
    const both = [fence.write([put(1)]), fence.write([put(2)])];
    await turns();
    expect(written).toEqual([['first', 'a']]);
    first.resolve();
    await Promise.all(both);
    expect(written).toEqual([['first', 'a'], ['a']]);
  });

  it('is tried again where an own write was carried out although its answer was lost', async () => {
    const { rows, fence } = await begun();
    let lost = true;
    rows.onWrite = async (_, writes) => {
      if (!lost || !isTurn(writes)) return;
      lost = false;
      // The row is this run's still, and has another etag.
      await rows.write(account, [{ kind: 'merge', key: singleKeys.turn, columns: {} }]);
    };
    await fence.write([put(1)]);
    expect((await rows.get(account, 'a'))?.columns.n).toBe(1);
    await fence.write([put(2)]);
    expect((await rows.get(account, 'a'))?.columns.n).toBe(2);
  });

  it('is given up where that goes on and on', async () => {
    const { rows, fence } = await begun();
    let tries = 0;
    rows.onWrite = async (_, writes) => {
      if (!isTurn(writes) || writes.length === 1) return;
      tries += 1;
      await rows.write(account, [{ kind: 'merge', key: singleKeys.turn, columns: {} }]);
    };
    await expect(fence.write([put(1)])).rejects.toBeInstanceOf(RowConflict);
    expect(tries).toBe(5);
    expect(await rows.get(account, 'a')).toBeUndefined();
  });

  it('whose own condition does not hold is a conflict, and no other’s turn', async () => {
    const { rows, fence } = await begun();
    let tries = 0;
    rows.onWrite = () => {
      tries += 1;
    };
    await expect(fence.write([{ kind: 'merge', key: 'a', columns: {} }])).rejects.toBeInstanceOf(RowConflict);
    expect(tries).toBe(1);
  });

  it.each([
    ['is another’s', [{ kind: 'put', key: singleKeys.turn, columns: { run: 'another', leaseOwner: 'another' } }]],
    ['is gone', [{ kind: 'delete', key: singleKeys.turn }]],
  ] satisfies [string, RowWrite[]][])('is superseded where the turn %s', async (_, writes) => {
    const { rows, fence } = await begun();
    await rows.write(account, writes);
    await expect(fence.write([put(1)])).rejects.toBeInstanceOf(Superseded);
    expect(await rows.get(account, 'a')).toBeUndefined();
  });

  it('that storage fails has that error, and the next one is tried', async () => {
    const { rows, fence } = await begun();
    rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(fence.write([put(1)])).rejects.toThrow('storage is away');
    rows.onWrite = () => undefined;
    await fence.write([put(2)]);
    expect((await rows.get(account, 'a'))?.columns.n).toBe(2);
  });
});

describe('asking a run to go round once more', () => {
  const run = newestFirstId(1_800_000_000_000);

  async function running() {
    const inbox = new TestInbox();
    const { context, name, rows } = inbox;
    const lease = await leaseOf(context, name, run);
    const ask = async (id = run) => (await askAgain(context, name, id, { signal })) !== undefined;
    const ended = () => lease.end({}, () => [], { heedsAsks: true });
    return { inbox, rows, lease, ask, ended };
  }

  it('is heard once for all that asked in one round', async () => {
    const { lease, ask, ended } = await running();
    expect([await ask(), await ask()]).toEqual([true, true]);
    expect(await ended()).toBe(false);
    await lease.goRound();
    expect(await ended()).toBe(true);
  });

  it('comes too late once it has looked for the last time', async () => {
    const { ask, ended } = await running();
    expect(await ask(newestFirstId(1))).toBe(false);
    expect(await ended()).toBe(true);
    expect(await ask()).toBe(false);
  });

  it.each([
    ['ends', true, false],
    ['does not', false, true],
  ])('at the moment in which somebody writes the row, where the run %s', async (_, ends, heard) => {
    const { rows, lease, ask, ended } = await running();
    rows.onWrite = async () => {
      rows.onWrite = () => undefined;
      if (ends) expect(await ended()).toBe(true);
      else await lease.fence.write([put(1)]);
    };
    expect(await ask()).toBe(heard);
  });

  it('is given up where the row is written all the time', async () => {
    const { inbox, rows, ask } = await running();
    let tries = 0;
    rows.onWrite = async (_, writes) => {
      if (writes.length === 1) return;
      tries += 1;
      if (tries > 100) throw new Error('it goes on and on');
      await rows.write(inbox.name, [{ kind: 'merge', key: singleKeys.turn, columns: {} }]);
    };
    expect([await ask(), tries]).toEqual([false, 20]);
  });

  it('is of no use where the account has no rows any more', async () => {
    const { inbox, rows, ask } = await running();
    await rows.write(inbox.name, [{ kind: 'delete', key: singleKeys.turn }]);
    expect(await ask()).toBe(false);
  });

  it('makes it known to whoever asked, also where it dies', async () => {
    const { inbox } = await running();
    const { context, name } = inbox;
    const asked = await askAgain(context, name, run, { signal });
    expect(asked).toMatchObject({ id: run, status: 'running', startedAt: inbox.now });
    expect(await getRun(context, name, run, { signal })).toEqual(asked);
    inbox.now += leaseMs + 1_000;
    await closeDeadRuns(context, { signal });
    expect(await getRun(context, name, run, { signal })).toMatchObject({ status: 'failed' });
  });

  it('fails with storage, on both sides', async () => {
    const { rows, ask, ended } = await running();
    rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(ask()).rejects.toThrow('storage is away');
    await expect(ended()).rejects.toThrow('storage is away');
    rows.onWrite = () => undefined;
  });
});
