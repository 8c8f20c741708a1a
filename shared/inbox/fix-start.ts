import type { StoredAccount } from '../accounts/account-row.ts';
import { newestFirstId } from '../platform/ids.ts';
import { errorText, inLogScope, log } from '../platform/log.ts';
import type { Mistake } from '../platform/refusal.ts';
import type { InboxContext } from './context.ts';
import { StartingPoints } from './importing/starting-points.ts';
import { Checkpoints } from './ledger/checkpoints.ts';
import type { ImportContext } from './session/import-context.ts';
import { withSession } from './session/with-session.ts';

/** A `PUT` waits so long for the mail server; and so long for an import under way to end. In ms. */
const budgetMs = 20_000;
const patienceMs = 5_000;

/**
 * Notes what the mailbox of an account with `since: "now"` holds, when the account is saved: what comes after the answer is
 * imported. Where it was noted before, no server is asked. Answers a warning where the server could not be asked in time;
 * then the first run notes it. Throws nothing but what `signal` was aborted with.
 */
export async function fixStart(
  inbox: InboxContext,
  name: string,
  options: { readonly signal: AbortSignal },
): Promise<readonly Mistake[]> {
  const runId = newestFirstId(inbox.clock.now());
  try {
    const stored = await inbox.account(name, options.signal);
    if (!stored?.account.enabled || !stored.account.store || stored.sinceId === undefined) {
      return [];
    }
    if (await isFixed(inbox, stored, options)) {
      return [];
    }
    const session = { runId, purpose: 'start' as const, budgetMs, patienceMs, ...options };
    const result = await inLogScope({ fields: { account: name, run: runId } }, () =>
      withSession(inbox, name, session, noteFolders),
    );
    return result.kind === 'done' || result.kind === 'inactive' ? [] : [notAskedYet];
  } catch (error) {
    options.signal.throwIfAborted();
    log.warn('inbox.startNotFixed', { account: name, error: errorText(error) });
    return [notAskedYet];
  }
}

const notAskedYet: Mistake = {
  pointer: '/import/since',
  detail:
    'the mailbox could not be asked yet for what it holds: "now" will be the moment of the first run that reaches it',
};

/** Whether all folders were noted before: asked without a session, since most saves change nothing of it. */
async function isFixed(
  inbox: InboxContext,
  { account, sinceId }: StoredAccount,
  { signal }: { readonly signal: AbortSignal },
): Promise<boolean> {
  const store = await inbox.store(account);
  const folders = account.store?.folders ?? [];
  if (!store) {
    return true;
  }
  const checkpoints = await Checkpoints.read({ inbox, account: account.name, signal, store });
  return folders.every((folder) => checkpoints.sinceOf(folder) === sinceId);
}

async function noteFolders(context: ImportContext): Promise<void> {
  const points = new StartingPoints(context, await Checkpoints.read(context));
  for (const folder of context.folders) {
    if (points.isMissing(folder)) {
      await points.note(folder);
    }
  }
}
