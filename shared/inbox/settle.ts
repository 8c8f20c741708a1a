import { type Disposal, type DisposalOutcome, StoreError } from '../adapters/store.ts';
import { accountId } from '../platform/ids.ts';
import { errorText, log } from '../platform/log.ts';
import { RowConflict, type RowWrite } from '../platform/rows.ts';
import { type LedgerRow, readLedger, sourceOf } from './ledger.ts';
import { disposals } from './rule.ts';
import type { Work } from './work.ts';

/** Events under way at once. */
const eventsAtOnce = 8;

/** Rows finished together: their clearing, with the rows that hold them, is one transaction. */
const settledAtOnce = 48;

export interface SettleOptions {
  /** The mails were fetched in another session: compare before anything is done to an original. */
  readonly verify: boolean;
  /** The rows that hold these mails together until all of them are done. */
  readonly unfinished: readonly string[];
}

/** Runs `task` over items, a few at a time. The first failure is thrown once none is under way any more. */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      await task(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length > 0) {
    throw failures[0];
  }
}

/**
 * What comes after the commit: the event, then the disposal of the original as the account's rule says now, then the
 * ledger rows and the page's row are cleared. A crash anywhere leaves the rows, and the next run comes here again.
 */
export async function settle(work: Work, rows: readonly LedgerRow[], options: SettleOptions): Promise<void> {
  const { context, name, signal } = work;
  await inParallel(
    rows.filter((row) => row.todoEvent),
    eventsAtOnce,
    (row) => publishImported(work, row),
  );
  const disposed = await disposeOriginals(
    work,
    rows.filter((row) => row.todoDispose),
    options.verify,
  );
  signal.throwIfAborted();
  const cleared: RowWrite[] = rows.flatMap((row) => {
    const { done, outcome } = disposed.get(row.key) ?? { done: !row.todoDispose, outcome: undefined };
    return [
      {
        kind: 'merge' as const,
        key: row.key,
        columns: {
          todoEvent: false,
          ...(done ? { todoDispose: false } : {}),
          ...(outcome ? { disposed: outcome } : {}),
        },
      },
    ];
  });
  const complete = rows.every((row) => !row.todoDispose || disposed.get(row.key)?.done);
  if (complete) {
    cleared.push(...options.unfinished.map((key) => ({ kind: 'delete' as const, key })));
  }
  try {
    await context.rows.writeAll(name, cleared);
  } catch (error) {
    // A row that was rebound or removed meanwhile took the others with it: each on its own.
    if (!(error instanceof RowConflict)) {
      throw error;
    }
    for (const write of cleared) {
      await context.rows.write(name, [write]).catch(ignoreConflict);
    }
  }
}

export function ignoreConflict(error: unknown): void {
  if (!(error instanceof RowConflict)) {
    throw error;
  }
}

async function publishImported({ context, name, signal }: Work, row: LedgerRow): Promise<void> {
  await context.events.publish(
    {
      type: 'mailroom.mail.imported',
      account: name,
      subject: accountId(name, row.asset),
      time: row.importedAt,
      data: { assetId: accountId(name, row.asset), size: row.size, sha256: row.sha256 },
    },
    { signal },
  );
}

interface Disposed {
  /** Nothing is left to do for the original. */
  readonly done: boolean;
  readonly outcome: string | undefined;
}

async function disposeOriginals(
  work: Work,
  rows: readonly LedgerRow[],
  verify: boolean,
): Promise<ReadonlyMap<string, Disposed>> {
  const results = new Map<string, Disposed>();
  if (rows.length === 0) {
    return results;
  }
  const current = await work.context.account(work.name, work.signal);
  if (!current?.account.enabled) {
    // The rule is read again first: an account that is off or gone leaves originals alone.
    for (const row of rows) {
      results.set(row.key, { done: true, outcome: 'canceled' });
    }
    return results;
  }
  for (const [keepOriginal, group] of [
    [false, rows.filter((row) => !row.keepOriginal)],
    [true, rows.filter((row) => row.keepOriginal)],
  ] as const) {
    const wanted = disposals(current.account, work.store.abilities, keepOriginal);
    for (const row of group) {
      results.set(row.key, { done: true, outcome: undefined });
    }
    for (const disposal of wanted) {
      await disposeGroup(work, group, disposal, verify, results);
    }
  }
  return results;
}

async function disposeGroup(
  work: Work,
  rows: readonly LedgerRow[],
  disposal: Disposal,
  verify: boolean,
  results: Map<string, Disposed>,
): Promise<void> {
  // What an earlier step found gone, or to be another mail, is not asked for again.
  const left = rows.filter((row) => {
    const before = results.get(row.key);
    return before?.done && before.outcome !== 'gone' && before.outcome !== 'mismatch';
  });
  const outcomes = await disposeNow(work, left, disposal, verify);
  if (!outcomes) {
    for (const row of left) {
      results.set(row.key, { done: false, outcome: undefined });
    }
    return;
  }
  const ended: LedgerRow[] = [];
  for (const [row, outcome] of outcomes) {
    const told = disposal.action === 'markRead' && outcome === 'done' ? undefined : outcome;
    results.set(row.key, { done: true, outcome: told });
    if (disposal.action !== 'markRead' && (outcome === 'done' || outcome === 'markedOnly')) {
      ended.push(row);
    }
  }
  await tellDisposed(work, ended, disposal);
}

/**
 * Disposes of originals; undefined where the server refuses for a reason that a person has to mend (a missing target
 * folder, a missing right): the import goes on and the disposal is tried again by the next run.
 */
export async function disposeNow(
  work: Work,
  rows: readonly LedgerRow[],
  disposal: Disposal,
  verify: boolean,
): Promise<readonly (readonly [LedgerRow, DisposalOutcome])[] | undefined> {
  if (rows.length === 0) {
    return [];
  }
  // Originals at a server the account no longer points to are out of reach, and must not be looked for on this one.
  const here = rows.filter((row) => row.store === work.store.identity);
  const elsewhere = rows.filter((row) => row.store !== work.store.identity).map((row) => [row, 'mismatch'] as const);
  const targets = here.map((row) => ({
    source: sourceOf(row),
    folder: row.folder,
    ...(row.listedSize === undefined ? {} : { size: row.listedSize }),
    ...(row.receivedAt === undefined ? {} : { receivedAt: row.receivedAt }),
  }));
  try {
    const outcomes =
      targets.length === 0 ? [] : await work.session.dispose(targets, disposal, { signal: work.signal, verify });
    return [...here.map((row, index) => [row, outcomes[index] ?? 'mismatch'] as const), ...elsewhere];
  } catch (error) {
    if (error instanceof StoreError && (error.kind === 'folderMissing' || error.kind === 'permission')) {
      log.warn('inbox.disposalRefused', { action: disposal.action, error: errorText(error) });
      work.note(`${disposal.action}: ${error.message}`);
      return undefined;
    }
    throw error;
  }
}

/** Events for originals that were deleted or moved. */
export async function tellDisposed(work: Work, rows: readonly LedgerRow[], disposal: Disposal): Promise<void> {
  const { context, name, signal } = work;
  work.counts.disposed += rows.length;
  await inParallel(rows, eventsAtOnce, (row) =>
    context.events.publish(
      {
        type: 'mailroom.mail.disposed',
        account: name,
        subject: accountId(name, row.asset),
        time: context.clock.now(),
        data: { assetId: accountId(name, row.asset), action: disposal.action },
      },
      { signal },
    ),
  );
}

/** Finishes what was committed, or rebound, and not settled: by a run that did not live to, or a moment ago. */
export async function settleUnfinished(work: Work): Promise<void> {
  const { context, name, signal } = work;
  const pages: { readonly key: string; readonly ledger: readonly string[] }[] = [];
  for await (const row of context.rows.prefix(name, 'u:', { signal })) {
    const keys = typeof row.columns.keys === 'string' ? row.columns.keys : '';
    pages.push({ key: row.key, ledger: keys.split('\n').filter((key) => key !== '') });
  }
  while (pages.length > 0) {
    const together: typeof pages = [];
    for (let count = 0; count < settledAtOnce; ) {
      const page = pages.shift();
      if (!page) {
        break;
      }
      together.push(page);
      count += page.ledger.length + 1;
    }
    const ledger = together.flatMap((page) => page.ledger);
    const rows = await readLedger(context.rows, name, ledger, { signal });
    await settle(work, rows, { verify: true, unfinished: together.map((page) => page.key) });
  }
}
