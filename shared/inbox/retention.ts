import { newestFirstId } from '../platform/ids.ts';
import { errorText, inLogScope, log, msSince } from '../platform/log.ts';
import { RowConflict, type RowWrite } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import { eachAccount } from './each-account.ts';
import { type LedgerRow, readLedger } from './ledger.ts';
import { dueDisposal } from './rule.ts';
import { disposeNow, ignoreConflict, tellDisposed } from './settle.ts';
import { withSession } from './with-session.ts';
import type { Work } from './work.ts';

/** Originals disposed of together: one command each way, one transaction for what is written about them. */
const batchSize = 48;

/** Deletes originals whose N days are over, account by account. */
export async function retainAll(context: InboxContext, options: { readonly signal: AbortSignal }): Promise<void> {
  const names = (await context.accounts(options.signal)).map(({ account }) => account.name);
  await eachAccount(names, (name) => retain(context, name, options), { ...options, task: 'retention' });
}

interface Due {
  readonly key: string;
  readonly ledger: string;
}

/** Deletes one account's due originals; answers how many, or `busy` while somebody else works on the account. */
export async function retain(
  context: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<number | 'busy'> {
  const runId = newestFirstId(context.clock.now());
  const began = performance.now();
  return await inLogScope({ fields: { account, run: runId } }, async () => {
    try {
      const disposed = await retainOnce(context, account, runId, options);
      if (disposed !== 'busy' && disposed > 0) {
        log.info('inbox.retention', { disposed, ms: msSince(began) });
      }
      return disposed;
    } catch (error) {
      log.error('inbox.retentionFailed', { ms: msSince(began), error: errorText(error) });
      throw error;
    }
  });
}

async function retainOnce(
  context: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal: AbortSignal },
): Promise<number | 'busy'> {
  const first = await dueRows(context, account, options.signal, 1);
  if (first.length === 0) {
    return 0;
  }
  const stored = await context.account(account, options.signal);
  if (!stored || !dueDisposal(stored.account)) {
    return await cancelDue(context, account, options.signal);
  }
  const session = { runId, purpose: 'retention' as const, budgetMs: context.budgetMs, signal: options.signal };
  const result = await withSession(context, account, session, async () => undefined, deleteDue);
  if (result.kind !== 'done') {
    return result.kind === 'off' ? 0 : 'busy';
  }
  return result.result;
}

async function dueRows(context: InboxContext, account: string, signal: AbortSignal, top: number): Promise<Due[]> {
  const before = `d:${String(context.clock.now() + 1).padStart(13, '0')}`;
  const due: Due[] = [];
  for await (const row of context.rows.range(account, 'd:', before, { signal, top })) {
    due.push({ key: row.key, ledger: String(row.columns.ledger) });
  }
  return due;
}

/** The account's rule, read again, no longer wants these deletions. */
async function cancelDue(context: InboxContext, account: string, signal: AbortSignal): Promise<number> {
  for (let due = await dueRows(context, account, signal, batchSize); due.length > 0; ) {
    for (const { key, ledger } of due) {
      const known = (await readLedger(context.rows, account, [ledger], { signal })).length > 0;
      await context.rows
        .write(account, [
          { kind: 'delete', key },
          ...(known ? [{ kind: 'merge' as const, key: ledger, columns: { disposed: 'canceled' } }] : []),
        ])
        .catch(ignoreConflict);
    }
    due = await dueRows(context, account, signal, batchSize);
  }
  return 0;
}

async function deleteDue(work: Work): Promise<number> {
  const { context, name, signal } = work;
  for (;;) {
    const due = await dueRows(context, name, signal, batchSize);
    const current = due.length === 0 ? undefined : await context.account(name, signal);
    const disposal = current && dueDisposal(current.account);
    if (!disposal) {
      return work.counts.disposed;
    }
    const ledger = await readLedger(
      context.rows,
      name,
      due.map((each) => each.ledger),
      { signal },
    );
    const rows = ledger.filter((row) => !row.keepOriginal);
    // Compared with what the ledger knows before anything is deleted: an id that names another mail now is left alone.
    const outcomes = await disposeNow(work, rows, disposal, true);
    if (!outcomes) {
      return work.counts.disposed;
    }
    const ended = outcomes.flatMap(([row, outcome]) => (outcome === 'done' || outcome === 'markedOnly' ? [row] : []));
    // The event before the rows: a crash between them repeats an event, and never loses one.
    await tellDisposed(work, ended, disposal);
    await forget(work, due, outcomes);
  }
}

async function forget(
  work: Work,
  due: readonly Due[],
  outcomes: readonly (readonly [LedgerRow, string])[],
): Promise<void> {
  const { context, name } = work;
  const writes: RowWrite[] = [
    ...due.map(({ key }) => ({ kind: 'delete' as const, key })),
    ...outcomes.map(([row, disposed]) => ({ kind: 'merge' as const, key: row.key, columns: { disposed } })),
  ];
  try {
    await context.rows.writeAll(name, writes);
  } catch (error) {
    if (!(error instanceof RowConflict)) {
      throw error;
    }
    for (const write of writes) {
      await context.rows.write(name, [write]).catch(ignoreConflict);
    }
  }
}
