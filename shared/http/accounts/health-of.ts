import type { StoredAccount } from '../../accounts/account-store.ts';
import type { FailingSince } from '../../accounts/health.ts';
import { webhookSummary } from '../../events/webhooks/view.ts';
import { pushStatus } from '../../inbox/push/status.ts';
import { accountStatus } from '../../inbox/status.ts';
import { transportStatus } from '../../outbox/status.ts';
import type { Services } from '../services.ts';
import type { StatusAnswer } from './answers.ts';

/** What is read for many accounts together. */
export interface ReadTogether {
  readonly failing: ReadonlyMap<string, readonly FailingSince[]>;
  /** Accounts that may have open mail. */
  readonly open: ReadonlySet<string>;
}

/** Reads what `healthOf` needs of every account, for a listing. Throws storage's trouble. */
export async function readTogether(
  { inbox, outbox }: Services,
  options: { readonly signal: AbortSignal },
): Promise<ReadTogether> {
  const [failing, open] = await Promise.all([inbox.health.currentOfAll(options), outbox.open.names(options)]);
  return { failing, open };
}

/** How an account's store, transport and webhook are, as storage and Key Vault say; no mail server is asked. */
export async function healthOf(
  { inbox, outbox, push, secrets, webhooks }: Services,
  stored: StoredAccount,
  { signal, together }: { readonly signal: AbortSignal; readonly together?: ReadTogether },
): Promise<StatusAnswer> {
  const { account, etag } = stored;
  const options = { signal };
  const known = together && {
    failing: together.failing.get(account.name) ?? [],
    nothingOpen: !together.open.has(account.name),
  };
  const [status, pushed, transport, webhook] = await Promise.all([
    accountStatus(inbox, secrets, stored, { signal, ...known }),
    pushStatus(push, account, options),
    transportStatus(outbox, account.name, { signal, ...known }),
    webhookSummary(webhooks, account.name, { webhook: account.webhook, version: etag }, options),
  ]);
  return { ...status, push: pushed, transport, webhook };
}
