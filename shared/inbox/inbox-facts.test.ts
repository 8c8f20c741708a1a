import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { assetIndexKey } from '../assets/asset.ts';
import { leftoverPrefix } from '../assets/leftover-row.ts';
import type { RowWrite } from '../platform/rows.ts';
import { newPrefix } from '../stats/count-rows.ts';
import { fakeMail, importOnce, TestInbox } from './inbox.test-support.ts';
import { changesFacts, noInboxFacts, readInbox, recentRuns, withTurn } from './inbox-facts.ts';
import { droppedKey, dueKey, fingerprintKey, prefixes, quarantineKey, refusedKey, runKey, singleKeys } from './keys.ts';
import { pendingRow } from './ledger/pending.ts';
import { type Run, runRow, writeRun } from './ledger/runs.ts';
import { countLimit } from './left-rows.ts';
import { noCounts } from './run-counts.ts';
import { readTurn } from './session/turn-row.ts';

/** What the rows of an account say of its imports. */

const options = { signal: new AbortController().signal };
let inbox: TestInbox;

beforeEach(() => {
  vi.spyOn(console, 'info').mockReturnValue(undefined);
  inbox = new TestInbox();
});
afterEach(() => vi.restoreAllMocks());

const read = () => readInbox(inbox.context, inbox.name, options);
const factsNow = async () => (await read()).facts;
const write = (...writes: readonly RowWrite[]) => inbox.rows.writeAll(inbox.name, writes);

const put = (key: string): RowWrite => ({ kind: 'put', key, columns: { at: 1_000, code: 'X', reason: 'no' } });

function pending(n: number, receivedAt: number): RowWrite {
  const mail = { source: { store: 's', scope: 'i', item: `${n}` }, folder: 'INBOX', receivedAt };
  return pendingRow(mail, { attempts: 1, reason: 'failed', now: 1_000 });
}

/** A run that has begun; later ones have ids that sort first. */
const runOf = (id: string, run: Partial<Run>): Run => ({
  ...{ ...noCounts(), id: id.padEnd(16, '0'), status: 'done', startedAt: 1_000, begun: true },
  ...run,
});

describe('a write to the rows of an account', () => {
  const failed = runOf('a', { status: 'failed', finishedAt: 2_000, error: 'no' });
  const done = runOf('a', { finishedAt: 2_000, backlog: 0 });

  /** What stands there before, and the write. */
  const told: readonly [string, readonly RowWrite[], RowWrite][] = [
    ['a new run', [], runRow(done)],
    ['a run that has failed', [runRow(done)], runRow(failed)],
    ['the progress of a run', [runRow(failed)], { kind: 'merge', key: runKey(failed.id), columns: { imported: 1 } }],
    ['a run that is removed', [runRow(failed)], { kind: 'delete', key: runKey(failed.id) }],
    ['a pending mail', [], pending(1, 5_000)],
    ['a mail in quarantine', [], put(quarantineKey(1, 'a'))],
    ['one that has left it', [put(quarantineKey(1, 'a'))], { kind: 'delete', key: quarantineKey(1, 'a') }],
    ['a deletion to come', [], put(dueKey(1, 'l:a'))],
    ['a disposal that was refused', [], put(refusedKey(1, 'l:a'))],
    ['a disposal that was dropped', [], put(droppedKey(1, 'l:a'))],
    ['the first turn', [], { kind: 'insert', key: singleKeys.turn, columns: {} }],
  ];

  it.each(told)('is said to change what is told of it, and does: %s', async (_, before, change) => {
    await write(...before);
    const facts = await factsNow();
    await write(change);
    expect(changesFacts(change)).toBe(true);
    expect(await factsNow()).not.toEqual(facts);
  });

  const turn = { kind: 'insert', key: singleKeys.turn, columns: {} } as const;
  const quietKeys = [
    `${prefixes.ledger}x`,
    `${prefixes.checkpoint}x`,
    `${prefixes.scope}x`,
    `${prefixes.startingPoint}x`,
    `${prefixes.unfinished}x`,
    `${prefixes.inProgress}x`,
    `${leftoverPrefix}x`,
    fingerprintKey(undefined, 'l:x'),
    assetIndexKey(1_000, 'x'),
    'k:x',
    `${newPrefix}x`,
  ];
  const untold: readonly [string, readonly RowWrite[], RowWrite][] = [
    ['a later turn', [turn], { kind: 'merge', key: singleKeys.turn, columns: { leaseOwner: 'me', leaseUntil: 1 } }],
    ...quietKeys.map((key): [string, readonly RowWrite[], RowWrite] => [
      `a row ${key.slice(0, 2)}`,
      [],
      { kind: 'insert', key, columns: { at: 1_000 } },
    ]),
  ];

  it.each(untold)('is said to change nothing that is told of it, and does not: %s', async (_, before, change) => {
    await write(...before);
    const facts = await factsNow();
    await write(change);
    expect(changesFacts(change)).toBe(false);
    expect(await factsNow()).toEqual(facts);
  });
});

describe('what the rows of an account say', () => {
  it('is nothing, where nothing was ever begun', async () => {
    const { facts, turn } = await read();
    expect(facts).toEqual(noInboxFacts());
    expect(facts).toEqual({
      ...{ hasTurn: false, runs: [], pending: 0, quarantined: 0, dropped: 0, deletionsToCome: 0 },
      refused: { count: 0, last: null },
    });
    expect([turn.last, turn.underWay]).toEqual([undefined, undefined]);
  });

  it('is when the oldest of the pending mails came', async () => {
    await write(pending(1, 7_000), pending(2, 5_000), pending(3, 9_000));
    expect(await factsNow()).toMatchObject({ pending: 3, oldestPendingAt: 5_000 });
  });

  it('is what was refused, beside the turn and pages that are not finished', async () => {
    const pages = [`${prefixes.unfinished}run:1`, `${prefixes.inProgress}run:2`].map(put);
    await write(...pages, put(refusedKey(1, 'l:a')), { kind: 'insert', key: singleKeys.turn, columns: {} });
    expect(await factsNow()).toMatchObject({ hasTurn: true, refused: { count: 1, last: { code: 'X', reason: 'no' } } });
  });

  it('is up to 5,000 of what was refused', async () => {
    await write(...Array.from({ length: countLimit + 1 }, (_, n) => put(refusedKey(1, `l:${n}`))));
    expect((await factsNow()).refused.count).toBe(countLimit);
  });

  it('is the turn, with an import that has no row of its own', async () => {
    const first = await importOnce(inbox);
    const last = await importOnce(inbox);
    const { facts, turn } = await read();
    expect([facts.hasTurn, facts.runs, turn.last]).toEqual([true, [first], last]);
    expect(turn).toEqual(await readTurn(inbox.context, inbox.name));
  });
});

describe('of the recent runs', () => {
  const waits = runOf('a', { status: 'running', begun: false });
  const underWay = runOf('b', { status: 'running' });
  const never = runOf('c', { status: 'failed', begun: false, finishedAt: 2_000 });
  const silent = runOf('d', { finishedAt: 2_000 });
  const failed = runOf('e', { status: 'failed', finishedAt: 2_000, error: 'no' });
  const knows = runOf('f', { finishedAt: 2_000, backlog: 3 });
  const older = runOf('g', { finishedAt: 2_000, backlog: 7 });

  it.each([
    ['the one under way, and the last that knows its backlog', [waits, underWay, knows, older], [underWay, knows]],
    ['the last that has ended, though it never began', [waits, never, silent, knows, older], [never, knows]],
    ['the last, if it knows its backlog', [waits, knows, older], [knows]],
    ['each that has failed', [waits, silent, failed, knows, older], [silent, failed, knows]],
    ['none that only waits', [waits], []],
  ])('is told: %s', async (_, runs, told) => {
    for (const run of runs) await writeRun(inbox.context, inbox.name, run);
    expect((await factsNow()).runs).toEqual(told);
  });

  it('those that failed longer ago are told no more', async () => {
    const ids = Array.from({ length: recentRuns + 1 }, (_, n) => `a${String(n).padStart(2, '0')}`);
    for (const id of ids) await writeRun(inbox.context, inbox.name, { ...failed, id: id.padEnd(16, '0') });
    expect((await factsNow()).runs.map(({ id }) => id.slice(0, 3))).toEqual(ids.slice(0, recentRuns));
  });
});

describe('facts that are known', () => {
  const known = (facts = noInboxFacts()) => withTurn(inbox.context, inbox.name, facts, options);

  it('cost no reading where nothing was ever begun', async () => {
    const before = inbox.rows.requests;
    const all = await known();
    expect(inbox.rows.requests).toBe(before);
    expect(all).toEqual(await read());
  });

  it('are right after imports that find nothing, with one reading of the turn', async () => {
    inbox.store.mails = [fakeMail(1)];
    await importOnce(inbox);
    const { facts } = await read();
    const last = await importOnce(inbox);
    const before = inbox.rows.requests;
    const all = await known(facts);
    expect(inbox.rows.requests - before).toBe(1);
    expect(all.turn.last).toEqual(last);
    expect(all).toEqual(await read());
  });
});
