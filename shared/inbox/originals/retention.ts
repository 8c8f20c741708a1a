import { newestFirstId } from '../../platform/ids.ts';
import { errorText, inLogScope, log, msSince } from '../../platform/log.ts';
import { ignoreConflict, type Row } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { dueUntil, endOf, prefixes, refusedUntil } from '../keys.ts';
import { readLedger } from '../ledger/ledger.ts';
import { eachAccount } from '../session/each-account.ts';
import type { ImportContext } from '../session/import-context.ts';
import { withSession } from '../session/with-session.ts';
import { finishAll, finishUnfinished, retryRefused } from './finish.ts';
import { ledgerKeysOf } from './items.ts';
import { reportRefusals } from './refused.ts';
import { dueDisposal } from './rule.ts';

/** Originals deleted in one retention of an account at most; the next brings the rest. */
const maxDue = 20_000;

/** Deletes originals whose N days are over, account by account. */
export async function runRetention(inbox: InboxContext, options: { readonly signal: AbortSignal }): Promise<void> {
  const names = (await inbox.accounts(options.signal)).map(({ account }) => account.name);
  await eachAccount(names, (name) => runAccountRetention(inbox, name, options), { ...options, label: 'retention' });
}

/** Deletes one account's due originals; answers how many, or `leased` while somebody else works on the account. */
export async function runAccountRetention(
  inbox: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<number | 'leased'> {
  const runId = newestFirstId(inbox.clock.now());
  const began = performance.now();
  return await inLogScope({ fields: { account, run: runId } }, async () => {
    try {
      const disposed = await retainAccount(inbox, account, runId, options);
      if (disposed !== 'leased' && disposed > 0) {
        log.info('inbox.retention', { disposed, ms: msSince(began) });
      }
      return disposed;
    } catch (error) {
      log.error('inbox.retentionFailed', { ms: msSince(began), error: errorText(error) });
      throw error;
    }
  });
}

async function retainAccount(
  inbox: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal: AbortSignal },
): Promise<number | 'leased'> {
  const { signal } = options;
  const stored = await inbox.account(account, signal);
  const enabled = stored?.account.enabled === true;
  if (!stored || !dueDisposal(stored.account)) {
    await cancelRows(inbox, account, { from: prefixes.due, before: dueUntil(inbox.clock.now()), signal });
  }
  if (!enabled) {
    const refused = { from: prefixes.refused, before: refusedUntil(inbox.clock.now()), signal };
    // What nobody wants any more does not fail.
    if ((await cancelRows(inbox, account, refused)) > 0 && stored) await reportRefusals({ inbox, account, signal });
    return 0;
  }
  if (!(await isAnythingDue(inbox, account, signal))) {
    return 0;
  }
  const session = { runId, purpose: 'retention' as const, budgetMs: inbox.budgetMs, signal };
  const result = await withSession(inbox, account, session, disposeDue);
  if (result.kind !== 'done') {
    return result.kind === 'inactive' ? 0 : 'leased';
  }
  return result.result;
}

/** Deletions that are due, disposals that were refused, and pages that nobody finished. */
async function isAnythingDue({ rows, clock }: InboxContext, account: string, signal: AbortSignal): Promise<boolean> {
  const ranges = [
    [prefixes.due, dueUntil(clock.now())],
    [prefixes.unfinished, endOf(prefixes.unfinished)],
    [prefixes.refused, refusedUntil(clock.now())],
  ] as const;
  for (const [from, before] of ranges) {
    for await (const _ of rows.range(account, from, before, { signal, top: 1, select: ['ledger'] })) {
      return true;
    }
  }
  return false;
}

/** The account's rule, read again, no longer wants these disposals. Answers how many there were. */
async function cancelRows(
  inbox: InboxContext,
  account: string,
  { from, before, signal }: { readonly from: string; readonly before: string; readonly signal: AbortSignal },
): Promise<number> {
  let canceled = 0;
  for await (const row of inbox.rows.range(account, from, before, { signal })) {
    canceled += 1;
    const ledger = await readLedger(inbox.rows, account, ledgerKeysOf(row), { signal });
    await inbox.rows
      .write(account, [
        { kind: 'delete', key: row.key, etag: row.etag },
        ...ledger.map(({ key, disposing }) => ({
          kind: 'merge' as const,
          key,
          // Noted, and its end was not: what became of it nobody knows for certain.
          columns: { disposed: disposing ? 'uncertain' : 'canceled', todoDispose: false, disposing: false },
        })),
      ])
      .catch(ignoreConflict);
  }
  return canceled;
}

async function disposeDue(context: ImportContext): Promise<number> {
  const { inbox, account, signal } = context;
  const due: Row[] = [];
  for await (const row of inbox.rows.range(account, prefixes.due, dueUntil(inbox.clock.now()), {
    signal,
    top: maxDue,
  })) {
    due.push(row);
  }
  const mayContinue = () => true;
  if (await finishAll(context, due, mayContinue)) {
    await finishUnfinished(context);
    await retryRefused(context, mayContinue);
  }
  return context.counts.disposed;
}
