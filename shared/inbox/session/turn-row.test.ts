import { describe, expect, it } from 'vitest';
import { newestFirstId } from '../../platform/ids.ts';
import type { Columns } from '../../platform/rows.ts';
import { runImport } from '../importing/run.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { singleKeys } from '../keys.ts';
import { takenBy } from './lease.test-support.ts';
import { leaseMs, readTurn, takenColumns, turnState } from './turn-row.ts';
import { withSession } from './with-session.ts';

const now = 1_800_000_000_000;
const one = { id: 'one', startedAt: now };
const held = { leaseOwner: 'somebody', leaseUntil: now + leaseMs };
const lapsed = { leaseOwner: 'somebody', leaseUntil: now };
const ended = { leaseOwner: '', leaseUntil: 0 };

describe('the row of a turn', () => {
  it.each<[string, Columns, { underWay?: typeof one; died?: typeof one }]>([
    ['import', held, { underWay: one }],
    ['import', lapsed, { died: one }],
    ['import', ended, {}],
    // Only imports are runs.
    ['retention', held, {}],
    ['retention', lapsed, {}],
    ['retention', ended, {}],
  ])('of the purpose %s, with the lease %o, names the runs %o', (purpose, lease, runs) => {
    const taken = takenColumns({ purpose, runId: 'one' }, turnState(undefined, now), now);
    const { underWay, died } = turnState({ key: singleKeys.turn, etag: 'e', columns: { ...taken, ...lease } }, now);
    expect({ underWay, died }).toEqual(runs);
  });

  it('names a run that died to the next import alone', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    const dead = { id: newestFirstId(inbox.now), startedAt: inbox.now };
    await takenBy(inbox, { runId: dead.id, purpose: 'import' });
    inbox.now += leaseMs + 1_000;
    const looks = {
      runId: 'looks',
      purpose: 'retention' as const,
      budgetMs: 60_000,
      signal: new AbortController().signal,
    };
    await withSession(context, name, looks, async () => undefined);
    expect(await readTurn(context, name)).toMatchObject({ unclear: true, died: dead });
    await runImport(context, name, {});
    expect(await readTurn(context, name)).toMatchObject({ unclear: false, died: undefined });
  });
});
