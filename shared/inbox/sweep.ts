import { newestFirstId } from '../platform/ids.ts';
import { errorText, inLogScope, log, msSince } from '../platform/log.ts';
import { pageSize } from './commit.ts';
import type { InboxContext } from './context.ts';
import { eachAccount } from './each-account.ts';
import { ledgerKey, scopeKey } from './keys.ts';
import { knownItems } from './ledger.ts';
import { importPage } from './page.ts';
import { readPending } from './pending.ts';
import { Reconciler } from './reconcile.ts';
import { withSession } from './with-session.ts';
import type { Work } from './work.ts';

/** Mails a listing page. */
const listPage = 500;

/**
 * The nightly sweep: compares what a folder lists with the ledger and imports what is missing there, whatever the
 * checkpoint believes. It never concludes that a mail is gone.
 */
export async function sweepAll(context: InboxContext, options: { readonly signal: AbortSignal }): Promise<void> {
  const names = (await context.accounts(options.signal))
    .filter(({ account }) => account.enabled && account.store)
    .map(({ account }) => account.name);
  await eachAccount(names, (name) => sweep(context, name, options), { ...options, task: 'sweep' });
}

/** Sweeps one account; answers how many mails were found missing, or `busy` while somebody else works on it. */
export async function sweep(
  context: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<number | 'busy'> {
  const runId = newestFirstId(context.clock.now());
  const session = { runId, purpose: 'sweep' as const, budgetMs: context.budgetMs, signal: options.signal };
  const began = performance.now();
  return await inLogScope({ fields: { account, run: runId } }, async () => {
    try {
      const result = await withSession(context, account, session, async () => undefined, sweepFolders);
      if (result.kind !== 'done') {
        return result.kind === 'off' ? 0 : 'busy';
      }
      log.info('inbox.sweep', { ...result.result, ms: msSince(began) });
      return result.result.imported;
    } catch (error) {
      log.error('inbox.sweepFailed', { ms: msSince(began), error: errorText(error) });
      throw error;
    }
  });
}

async function sweepFolders(work: Work) {
  const { context, name, session, signal, store } = work;
  const scopes = new Map<string, string>();
  for (const folder of work.folders) {
    scopes.set(folder, await session.scope(folder, signal));
  }
  const reconciler = await Reconciler.prepare(work, scopes);
  const pending = await readPending(context, name, work);
  const pendingKeys = new Set(pending.map((each) => `l:${each.key.slice(2)}`));
  for (const [folder, scope] of scopes) {
    const known = await knownItems(context.rows, name, scopeKey({ store: store.identity, scope }), { signal });
    for await (const page of session.list(folder, { signal, pageSize: listPage, details: reconciler.active })) {
      const missing = page.filter((mail) => !known.has(mail.source.item) && !pendingKeys.has(ledgerKey(mail.source)));
      for (let from = 0; from < missing.length; from += pageSize) {
        const mails = missing.slice(from, from + pageSize);
        const settling = await importPage(work, mails, { reconciler, pendingKeys, checkpoint: [] });
        await settling();
      }
    }
  }
  const { imported, quarantined } = work.counts;
  return { imported, quarantined };
}
