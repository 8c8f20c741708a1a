import { ledgerKey, pageKeys } from '../keys.ts';
import { readLedger } from '../ledger/ledger.ts';
import { beginPage } from '../ledger/pages-in-progress.ts';
import type { PendingMail } from '../ledger/pending.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type AfterCommit, nothingLeft } from './after-commit.ts';
import { commit } from './commit.ts';
import { quarantine } from './quarantine-mail.ts';

/**
 * Quarantines a mail that has failed too often, or whose process ended each time, without another attempt. `limit`: when
 * its raw MIME is no longer waited for.
 */
export async function giveUp(
  context: ImportContext,
  { key, mail, reason, attempts }: PendingMail,
  options: { readonly limit: AbortSignal },
): Promise<AfterCommit> {
  const [known] = await readLedger(context.inbox.rows, context.account, [ledgerKey(mail.source)], context);
  if (known) {
    await context.fence.write([{ kind: 'delete', key }]);
    return nothingLeft;
  }
  const { inProgress, unfinished } = pageKeys(context.runId, context.nextPage());
  await beginPage(context, inProgress, [mail]);
  const quarantined = await quarantine(context, mail, { reason, attempts, inProgress, ...options });
  const { toFinish } = await commit(context, [], { inProgress, unfinished, quarantined: [quarantined], alongside: [] });
  context.counts.quarantined += 1;
  return { items: toFinish, verify: true };
}
