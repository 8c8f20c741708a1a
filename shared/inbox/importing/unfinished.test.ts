import { describe, expect, it } from 'vitest';
import { type ListedMail, StoreError } from '../../adapters/store.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { pageKeys, prefixes } from '../keys.ts';
import { beginPage } from '../ledger/pages-in-progress.ts';
import { maxAttempts, type PendingMail, pendingOf, pendingRow } from '../ledger/pending.ts';
import { listed, withRound } from './round.test-support.ts';
import { type Retry, retryEachAlone, type Unfinished, unfinishedRows } from './unfinished.ts';

/** What becomes of mails that were not checked in, with an inbox in memory. */

const plain = { kind: 'failed' } as const;
const doubtful = { kind: 'doubt', bytes: 7 } as const;
const slow = { kind: 'slow' } as const;

/** A pending mail as a row says. */
function parsed(write: RowWrite): PendingMail {
  if (write.kind !== 'put') throw new Error(write.kind);
  return pendingOf({ key: write.key, etag: '', columns: write.columns } as Parameters<typeof pendingOf>[0]);
}

/** What is known of the mail that is tried again. `turn`, `limitMs`: how long. */
interface Before {
  readonly attempts?: number;
  readonly troubles?: number;
  readonly turn?: Retry['turn'];
  /** Part of the run's time. */
  readonly share?: number;
}

type Of<T> = T extends unknown ? Omit<T, 'mail'> : never;

/** What becomes of a mail. `before`: it was tried alone. */
async function outcome(one: Of<Unfinished>, before?: Before) {
  const inbox = new TestInbox();
  const mail: ListedMail = listed(inbox, 1);
  const { inProgress } = pageKeys('run', 1);
  const came = { attempts: -1, troubles: -1, cause: undefined as unknown, reason: '', pending: -1, quarantined: -1 };
  await withRound(inbox, async (round) => {
    const { context } = round;
    await beginPage(context, inProgress, [mail]);
    const { attempts = 0, troubles = 0, turn = 'first', share = 1 } = before ?? {};
    const row = pendingRow(mail, { attempts, troubles, reason: '', now: inbox.now });
    const retry = { pending: parsed(row), turn, limitMs: inbox.context.budgetMs * share };
    const options = before ? { inProgress, retry } : { inProgress };
    const { pending, quarantined } = await unfinishedRows(round, [{ ...one, mail }], options);
    came.pending = context.counts.pending;
    came.quarantined = quarantined.length;
    for (const write of pending) {
      const { attempts, troubles, cause, reason } = parsed(write);
      Object.assign(came, { attempts, troubles, cause, reason });
    }
  });
  return came;
}

const failed = { kind: 'failed', reason: 'No mail' } as const;
const refused = { kind: 'refused', reason: 'No', passing: false } as const;
const passing = { ...refused, passing: true };
const setAside = { kind: 'setAside' } as const;
const isPending = { pending: 1, quarantined: 0 };
const isQuarantined = { pending: 0, quarantined: 1 };

describe('a mail that failed', () => {
  it('has one attempt more, and is pending', async () => {
    expect(await outcome(failed)).toEqual({ ...isPending, attempts: 1, troubles: 0, cause: plain, reason: 'No mail' });
    expect(await outcome(failed, { attempts: 3 })).toMatchObject({ ...isPending, attempts: 4 });
  });

  it('remembers how many octets were in doubt', async () => {
    expect(await outcome({ ...failed, bytes: 7 })).toMatchObject({ ...isPending, attempts: 1, cause: doubtful });
  });

  it('for the last time is quarantined', async () => {
    expect(await outcome(failed, { attempts: maxAttempts - 1 })).toMatchObject(isQuarantined);
  });
});

describe('a mail that only has to be fetched once more', () => {
  it('has no attempt, and is not counted as pending', async () => {
    const again = { pending: 0, quarantined: 0, attempts: 0, cause: { kind: 'reread' } };
    expect(await outcome({ kind: 'reread' })).toMatchObject(again);
  });
});

describe('a mail that was refused', () => {
  it('has one attempt more', async () => {
    expect(await outcome(refused)).toMatchObject({
      ...isPending,
      attempts: 1,
      troubles: 1,
      cause: plain,
      reason: 'No',
    });
    expect(await outcome(refused, { attempts: maxAttempts - 1 })).toMatchObject(isQuarantined);
  });

  it('for now has none, ten times; from then on it has', async () => {
    expect(await outcome(passing)).toMatchObject({ ...isPending, attempts: 0, troubles: 1 });
    expect(await outcome(passing, { attempts: 2, troubles: 9 })).toMatchObject({
      ...isPending,
      attempts: 2,
      troubles: 10,
    });
    expect(await outcome(passing, { attempts: 2, troubles: 10 })).toMatchObject({
      ...isPending,
      attempts: 3,
      troubles: 11,
    });
    expect(await outcome(passing, { attempts: maxAttempts - 1, troubles: 9 })).toMatchObject(isPending);
    expect(await outcome(passing, { attempts: maxAttempts - 1, troubles: 10 })).toMatchObject(isQuarantined);
  });
});

describe('a mail for which there was no time', () => {
  it('among others is not blamed, and not held to be slow', async () => {
    expect(await outcome(setAside)).toMatchObject({ ...isPending, attempts: 0, troubles: 0, cause: plain });
  });

  it('while others waited is slow, and not blamed', async () => {
    const before = { attempts: 1, troubles: 2, turn: 'first', share: 1 } as const;
    expect(await outcome(setAside, before)).toMatchObject({ ...isPending, attempts: 1, troubles: 2, cause: slow });
  });

  it.each([
    ['half a run or more was an attempt', 0.5, 2],
    ['less than half a run was none', 0.49, 1],
  ])('when none waited is slow: %s', async (_, share, attempts) => {
    const before = { attempts: 1, troubles: 2, turn: 'last', share } as const;
    expect(await outcome(setAside, before)).toMatchObject({ ...isPending, attempts, troubles: 3, cause: slow });
  });

  it('is never quarantined for that alone', async () => {
    const before = { attempts: maxAttempts - 1, turn: 'last' } as const;
    expect(await outcome(setAside, before)).toMatchObject({ ...isPending, attempts: maxAttempts, cause: slow });
  });
});

describe('when the page of some mails failed', () => {
  /** What is pending afterwards, and whether the page is still in progress. */
  async function left(error: unknown, cut?: AbortController) {
    const inbox = new TestInbox();
    const mails = [listed(inbox, 1), listed(inbox, 2)];
    const { inProgress } = pageKeys('run', 1);
    const use = withRound(
      inbox,
      async (round) => {
        await beginPage(round.context, inProgress, mails);
        cut?.abort(error);
        await retryEachAlone(round, mails, error, { inProgress });
      },
      cut?.signal,
    );
    // The round ends with its signal.
    await (cut ? use.catch(() => undefined) : use);
    const pending = (await inbox.rowsOf(prefixes.pending)).map(({ columns }) => columns.attempts);
    return { pending, inProgress: (await inbox.rowsOf(prefixes.inProgress)).length };
  }

  const alone = { pending: [0, 0], inProgress: 0 };

  it('by the server, each is tried alone, without blame', async () => {
    expect(await left(new StoreError('connection', 'the line broke'))).toEqual(alone);
  });

  it('by the end of the run, each is tried alone, without blame', async () => {
    expect(await left(new Error('the run is over'), new AbortController())).toEqual(alone);
  });

  it('by storage, the page stands as it is: the next run ends it', async () => {
    expect(await left(new Error('storage is away'))).toEqual({ pending: [], inProgress: 1 });
  });
});
