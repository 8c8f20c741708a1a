import { ledgerKey, pageKeys } from '../keys.ts';
import { readLedger } from '../ledger/ledger.ts';
import { beginPage } from '../ledger/pages-in-progress.ts';
import { type AfterCommit, nothingLeft } from './after-commit.ts';
import { commit } from './commit.ts';
import { type Quarantined, quarantine } from './quarantine-mail.ts';
import type { RoundContext } from './round-context.ts';
import { type Retry, retryEachAlone } from './unfinished.ts';

/**
 * Quarantines a mail that has failed too often, or whose process ended each time, without another attempt. `limit`: when
 * its raw MIME is no longer waited for. Where the line breaks meanwhile, it waits until later, as a mail that is tried again
 * does.
 */
export async function giveUp(
  round: Pick<RoundContext, 'context'>,
  retry: Retry,
  options: { readonly limit: AbortSignal },
): Promise<AfterCommit> {
  const { context } = round;
  const { key, mail, reason, attempts } = retry.pending;
  const [known] = await readLedger(context.inbox.rows, context.account, [ledgerKey(mail.source)], context);
  if (known) {
    await context.fence.write([{ kind: 'delete', key }]);
    return nothingLeft;
  }
  const { inProgress, unfinished } = pageKeys(context.runId, context.nextPage());
  await beginPage(context, inProgress, [mail]);
  let quarantined: Quarantined;
  try {
    quarantined = await quarantine(context, mail, { reason, attempts, inProgress, ...options });
  } catch (error) {
    await retryEachAlone(round, [mail], error, { inProgress, retry });
    throw error;
  }
  const { toFinish } = await commit(context, [], { inProgress, unfinished, quarantined: [quarantined], alongside: [] });
  context.counts.quarantined += 1;
  return { items: toFinish, verify: true };
}
