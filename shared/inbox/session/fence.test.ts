import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { singleKeys } from '../keys.ts';
import { Fence, Superseded } from './fence.ts';
import type { ImportContext } from './import-context.ts';
import { askAgain, Rounds } from './rounds.ts';

const account = 'corpus';
const put = (n: number): RowWrite => ({ kind: 'put', key: 'a', columns: { n } });

async function begun(runId = 'run') {
  const rows = new MemoryRows();
  const fence = new Fence(rows, account, runId);
  await fence.begin();
  return { rows, fence };
}

const isTurn = (writes: readonly RowWrite[]) => writes.some(({ key }) => key === singleKeys.turn);

describe('a write behind the fence', () => {
  it('names its run in the row of the turn', async () => {
    const { rows, fence } = await begun();
    expect((await rows.get(account, singleKeys.turn))?.columns).toEqual({ run: 'run' });
    await fence.write([put(1)]);
    expect((await rows.get(account, singleKeys.turn))?.columns).toEqual({ run: 'run' });
    expect(rows.keys(account)).toEqual(['a', singleKeys.turn]);
  });

  it('before the turn is a mistake', async () => {
    const fence = new Fence(new MemoryRows(), account, 'run');
    await expect(fence.write([put(1)])).rejects.toThrow('before its turn');
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
    ['is another’s', [{ kind: 'put', key: singleKeys.turn, columns: { run: 'another' } }]],
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
  function running() {
    const { context, name, rows } = new TestInbox();
    const rounds = new Rounds({ inbox: context, account: name, runId: 'run' } as ImportContext);
    return { context, name, rows, rounds, ask: (run = 'run') => askAgain(context, name, run) };
  }

  it('is heard once for all that asked in one round', async () => {
    const { rounds, ask } = running();
    await rounds.begin();
    expect([await ask(), await ask()]).toEqual([true, true]);
    expect(await rounds.askedAgain()).toBe(true);
    await rounds.begin();
    expect(await rounds.askedAgain()).toBe(false);
  });

  it('comes too late once it has looked for the last time, and too early before it begins', async () => {
    const { rounds, ask } = running();
    expect(await ask()).toBe(false);
    await rounds.begin();
    expect(await ask('another')).toBe(false);
    expect(await rounds.askedAgain()).toBe(false);
    expect(await ask()).toBe(false);
  });

  it.each([
    ['closes it', true, false],
    ['does not', false, true],
  ])('at the moment in which somebody writes the row, where the run %s', async (_, closes, heard) => {
    const { context, name, rows, rounds, ask } = running();
    await rounds.begin();
    rows.onWrite = async () => {
      rows.onWrite = () => undefined;
      if (closes) expect(await rounds.askedAgain()).toBe(false);
      else expect(await askAgain(context, name, 'run')).toBe(true);
    };
    expect(await ask()).toBe(heard);
  });

  it('fails with storage, on both sides', async () => {
    const { rows, rounds, ask } = running();
    await rounds.begin();
    rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(ask()).rejects.toThrow('storage is away');
    await expect(rounds.askedAgain()).rejects.toThrow('storage is away');
  });
});
