import { StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { errorText, inLogScope, log, msSince } from '../../platform/log.ts';
import type { InboxContext } from '../context.ts';
import { ledgerKey, scopeKey } from '../keys.ts';
import { readAccountRows } from '../ledger/account-rows.ts';
import { Checkpoints } from '../ledger/checkpoints.ts';
import { knownItems } from '../ledger/ledger.ts';
import { recoverInterrupted } from '../ledger/pages-in-progress.ts';
import { eachAccount } from '../session/each-account.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type Notes, withSession } from '../session/with-session.ts';
import { pipelineOf } from './after-commit.ts';
import { pageSize } from './commit.ts';
import { FolderFailures } from './folder-failures.ts';
import { PageImport } from './page.ts';
import { Reconciler } from './reconcile.ts';
import { pendingLedgerKeys } from './retry.ts';
import type { RoundContext } from './round-context.ts';
import { RunTime } from './run-time.ts';
import { ServerEvidence } from './server-evidence.ts';
import { StartingPoints } from './starting-points.ts';

/** Mails a listing page. */
const listPage = 500;

/**
 * The nightly sweep: compares what a folder lists with the ledger and imports what is missing there, whatever the
 * checkpoint believes. It never concludes that a mail is gone.
 */
export async function sweepAll(inbox: InboxContext, options: { readonly signal: AbortSignal }): Promise<void> {
  const names = (await inbox.accounts(options.signal))
    .filter(({ account }) => account.enabled && account.store)
    .map(({ account }) => account.name);
  await eachAccount(names, (name) => sweep(inbox, name, options), { ...options, label: 'sweep' });
}

/** Sweeps one account; answers how many mails were found missing, or `leased` while somebody else works on it. */
async function sweep(
  inbox: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<number | 'leased'> {
  const runId = newestFirstId(inbox.clock.now());
  const session = { runId, purpose: 'sweep' as const, budgetMs: inbox.budgetMs, signal: options.signal };
  const began = performance.now();
  return await inLogScope({ fields: { account, run: runId } }, async () => {
    try {
      const result = await withSession(inbox, account, session, sweepFolders);
      if (result.kind !== 'done') {
        return result.kind === 'inactive' ? 0 : 'leased';
      }
      const { trouble, error: _, ...swept } = result.result;
      log.info('inbox.sweep', { ...swept, ms: msSince(began) });
      if (trouble) {
        log.error('inbox.sweepFailed', { ms: msSince(began), error: trouble.hint ?? trouble.code });
        await inbox.health.failing(account, 'store', trouble);
      }
      return swept.imported;
    } catch (error) {
      log.error('inbox.sweepFailed', { ms: msSince(began), error: errorText(error) });
      if (error instanceof StoreError && error.kind !== 'throttled') {
        const { code = error.kind, hint } = error;
        await inbox.health.failing(account, 'store', { code, ...(hint === undefined ? {} : { hint }) });
      }
      throw error;
    }
  });
}

async function sweepFolders(context: ImportContext, notes: () => Notes) {
  const { session, signal, folders } = context;
  await recoverInterrupted(context, context.found?.open.interrupted ?? []);
  const rows = await readAccountRows(context);
  const checkpoints = await Checkpoints.read(context, rows.checkpoints);
  const failures = new FolderFailures(context);
  const scopes = new Map<string, string>();
  for (const folder of folders) {
    const scope = await failures.attempt(folder, () => session.scope(folder, signal, checkpoints.of(folder)));
    if (scope !== undefined) {
      scopes.set(folder, scope);
    }
  }
  const reconciler = await Reconciler.prepare(context, scopes, { checkpoints, failures, known: rows.scopes });
  const round: RoundContext = {
    context,
    reconciler,
    failures,
    time: new RunTime(context),
    evidence: new ServerEvidence(context),
    starts: new StartingPoints(context, checkpoints),
    pipeline: pipelineOf(context),
  };
  const pendingKeys = pendingLedgerKeys(rows.pending);
  for (const [folder, scope] of scopes) {
    if (round.starts.isMissing(folder)) {
      // Nothing may be imported of it before its first run.
      continue;
    }
    await failures.attempt(folder, () => sweepFolder(round, { folder, scope, pendingKeys }), { serves: true });
  }
  failures.finish(folders);
  const { imported, quarantined } = context.counts;
  return { imported, quarantined, ...notes() };
}

interface SweptFolder {
  readonly folder: string;
  readonly scope: string;
  readonly pendingKeys: ReadonlySet<string>;
}

async function sweepFolder(round: RoundContext, { folder, scope, pendingKeys }: SweptFolder): Promise<void> {
  const { inbox, account, session, signal, store } = round.context;
  const known = await knownItems(inbox.rows, account, scopeKey({ store: store.identity, scope }), { signal });
  const options = { signal, pageSize: listPage, details: round.reconciler.active };
  for await (const page of session.list(folder, options)) {
    const missing = page.filter((mail) => !known.has(mail.source.item) && !pendingKeys.has(ledgerKey(mail.source)));
    for (let from = 0; from < missing.length; from += pageSize) {
      const mails = missing.slice(from, from + pageSize);
      await round.pipeline.next(await new PageImport(round, mails, { pendingKeys, checkpoint: () => [] }).run());
      await round.pipeline.idle();
    }
  }
}
