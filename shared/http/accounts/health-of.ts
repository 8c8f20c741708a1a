import type { StoredAccount } from '../../accounts/account-store.ts';
import { webhookSummary } from '../../events/webhooks/view.ts';
import { pushStatus } from '../../inbox/push/status.ts';
import { accountStatus } from '../../inbox/status.ts';
import { transportStatus } from '../../outbox/status.ts';
import type { Services } from '../services.ts';
import type { StatusAnswer } from './answers.ts';

/** How an account's store, transport and webhook are, as storage and Key Vault say; no mail server is asked. */
export async function healthOf(
  { inbox, outbox, push, secrets, webhooks }: Services,
  stored: StoredAccount,
  options: { readonly signal: AbortSignal },
): Promise<StatusAnswer> {
  const { account, etag } = stored;
  const [status, pushed, transport, webhook] = await Promise.all([
    accountStatus(inbox, secrets, stored, options),
    pushStatus(push, account, options),
    transportStatus(outbox, account.name, options),
    webhookSummary(webhooks, account.name, { webhook: account.webhook, version: etag }, options),
  ]);
  return { ...status, push: pushed, transport, webhook };
}
