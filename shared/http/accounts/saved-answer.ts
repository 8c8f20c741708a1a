import type { SavedAccountView } from '../../accounts/account-view.ts';
import { accountSides, endpointOf } from '../../accounts/health.ts';
import type { PutAccount } from '../../accounts/put-account.ts';
import type { Account } from '../../accounts/rules.ts';
import { fixStart } from '../../inbox/fix-start.ts';
import { pushedStore } from '../../inbox/push/wanted.ts';
import { requestRelease } from '../../outbox/delivering/release.ts';
import type { Answer } from '../call.ts';
import type { Services } from '../services.ts';

/** Whether mail that waits may succeed now. */
function sendsDifferently(before: Account | undefined, after: Account): boolean {
  const sending = (account: Account | undefined) => JSON.stringify([account?.enabled, account?.transport]);
  return after.enabled && after.transport !== undefined && sending(before) !== sending(after);
}

/**
 * The answer to a `PUT` or `PATCH` of an account, which was `before`. After a dry run there is no version to name. Mail
 * that waits is released where it would leave in another way now. With `since: "now"` the mailbox is asked what it holds.
 */
export async function savedAnswer(
  saved: PutAccount,
  services: Services,
  options: { readonly dryRun: boolean; readonly before: Account | undefined; readonly signal: AbortSignal },
): Promise<Answer> {
  const { account, created, etag, report } = saved;
  const warnings = [...saved.warnings];
  if (!options.dryRun) {
    const gone = accountSides.filter((side) => !account[endpointOf(side)]);
    await services.outbox.health.forget(account.name, gone);
    if (!created && sendsDifferently(options.before, account)) {
      await requestRelease(services.outbox, account.name, 'changed');
    }
    // Subscriptions are made, changed or ended apart from the answer; the timer does it where this is lost.
    if (pushedStore(account) || pushedStore(options.before)) await services.push.enqueue(account.name);
    // A webhook that had stopped is asked again.
    services.webhooks.wakeUps.resume(account.name);
    if (account.webhook) await services.webhooks.wakeUps.request(account.name);
    if (account.import.since === 'now') {
      warnings.push(...(await fixStart(services.inbox, account.name, { signal: options.signal })));
    }
  }
  const answer: SavedAccountView = { ...account, warnings, ...(report ? { report } : {}) };
  return {
    status: created ? 201 : 200,
    headers: {
      ...(options.dryRun ? {} : { ETag: etag }),
      ...(created ? { Location: `/api/accounts/${account.name}` } : {}),
    },
    jsonBody: answer,
  };
}
