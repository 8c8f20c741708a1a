import { afterEach, describe, expect, it, vi } from 'vitest';
import { newestFirstId } from '../../platform/ids.ts';
import { runImport } from '../importing/run.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { singleKeys } from '../keys.ts';
import { askAgain } from './ask-again.ts';
import { takenBy } from './lease.test-support.ts';
import { type AccountLease, acquireLease, leaseHolder } from './lease.ts';
import { leaseMs, readTurn } from './turn-row.ts';

const options = { signal: new AbortController().signal };
const another = { runId: 'another', purpose: 'sweep' };

afterEach(() => vi.useRealTimers());

/** A run under way, which may be asked for another round. */
async function running(purpose = 'import') {
  const inbox = new TestInbox();
  const { context, name, rows } = inbox;
  await runImport(context, name, {});
  const before = await readTurn(context, name);
  const runId = newestFirstId(inbox.now + 1);
  const lease = await takenBy(inbox, { runId, purpose });
  const ask = () => askAgain(context, name, runId, options);
  return { inbox, context, name, rows, before, runId, lease, ask };
}

const end = (lease: AccountLease, heedsAsks = true) => lease.end({}, () => [], { heedsAsks });

describe('the lease of an account', () => {
  it('is refused while somebody has it, who is named and goes on', async () => {
    const { context, name, rows, runId, lease } = await running();
    expect(await acquireLease(context, name, another)).toEqual({ runId, purpose: 'import' });
    await lease.fence.write([{ kind: 'put', key: 'a', columns: { n: 1 } }]);
    expect((await rows.get(name, 'a'))?.columns.n).toBe(1);
  });

  it.each([
    ['has it', false, another],
    ['had it', true, { runId: '', purpose: '' }],
  ])('is refused where it was seen free, and somebody who was faster %s', async (_, givenBack, holder) => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    const found = { row: await inbox.rows.get(name, singleKeys.turn) };
    const faster = await takenBy(inbox, another);
    if (givenBack) await faster.release();
    expect(await acquireLease(context, name, { runId: 'one', purpose: 'import' }, { found })).toEqual(holder);
  });

  it.each([
    // Where these end without a word, the next one reads everything.
    ['import', false, false],
    ['sweep', false, false],
    ['retention', true, false],
    ['retention', false, true],
  ])('that a worker (%s, has written: %s) gives back keeps what was known: %s', async (purpose, writes, known) => {
    const { context, name, before, lease, ask } = await running(purpose);
    expect([before.works, before.quiet]).toEqual([true, expect.anything()]);
    if (writes) await lease.fence.write([{ kind: 'put', key: 'a', columns: { n: 1 } }]);
    await lease.release();
    const { works, quiet } = await readTurn(context, name);
    expect({ works, quiet }).toEqual(known ? { works: true, quiet: before.quiet } : { works: false });
    // Nobody is promised a worker that has gone.
    expect(await ask()).toBeUndefined();
  });
});

describe('a run', () => {
  it('that goes round once more keeps its account, however long that takes', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { inbox, context, name, runId, lease, ask } = await running();
    await ask();
    expect(await end(lease)).toBe(false);
    await lease.goRound();
    for (let ms = 0; ms < 2 * leaseMs; ms += 8_000) {
      inbox.now += 8_000;
      await vi.advanceTimersByTimeAsync(8_000);
    }
    expect(await leaseHolder(context, name)).toMatchObject({ runId });
  });

  it('takes no other write to its row for an ask, also when it was asked before', async () => {
    const { name, rows, lease, ask } = await running();
    await ask();
    expect(await end(lease)).toBe(false);
    await lease.goRound();
    await rows.write(name, [{ kind: 'merge', key: singleKeys.turn, columns: { works: false } }]);
    expect(await end(lease)).toBe(true);
  });

  it('that has no time for another round knows that it was asked for one', async () => {
    const { lease, ask } = await running();
    expect(lease.asked).toBe(false);
    await ask();
    expect([await end(lease, false), lease.asked]).toEqual([true, true]);
  });

  it('that ends leaves what it says nothing of', async () => {
    const { context, name, before, lease } = await running();
    await end(lease);
    const { last } = await readTurn(context, name);
    expect(last).toMatchObject({ status: 'done' });
    expect(last).toEqual(before.last);
  });
});
