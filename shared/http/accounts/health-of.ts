import type { StoredAccount } from '../../accounts/account-store.ts';
import type { AccountSummaries, KnownSummaries } from '../../accounts/account-summaries.ts';
import type { FailingSince } from '../../accounts/health.ts';
import { webhookSummary } from '../../events/webhooks/view.ts';
import { withTurn } from '../../inbox/inbox-facts.ts';
import { pushStatus } from '../../inbox/push/status.ts';
import { accountStatus } from '../../inbox/status.ts';
import { transportStatus } from '../../outbox/status.ts';
import { errorText, log } from '../../platform/log.ts';
import type { Services } from '../services.ts';
import { factsOf, type ReadAccount, readAccount, summaryOf } from './account-facts.ts';
import type { StatusAnswer } from './answers.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** What is read for many accounts together. */
export interface ReadTogether {
  readonly failing: ReadonlyMap<string, readonly FailingSince[]>;
  /** Accounts that may have open mail. */
  readonly open: ReadonlySet<string>;
  readonly summaries: KnownSummaries;
  /** What was read of accounts whose summary does not count. */
  readonly read: Map<string, ReadAccount>;
}

/** Reads what `healthOf` needs of every account on a page, for a listing of `all`. Throws storage's trouble. */
export async function readTogether(
  { inbox, outbox, summaries }: Services,
  all: readonly StoredAccount[],
  page: readonly string[],
  options: Options,
): Promise<ReadTogether> {
  const summed = all.map(({ account, fromStart, createdAt }) => ({ name: account.name, fromStart, createdAt }));
  const [failing, open, known] = await Promise.all([
    inbox.health.currentOfAll(options),
    outbox.open.names(options),
    summaries.known(summed, new Set(page), options),
  ]);
  return { failing, open, summaries: known, read: new Map() };
}

/** How an account's store, transport and webhook are, as storage and Key Vault say; no mail server is asked. */
export async function healthOf(
  services: Services,
  stored: StoredAccount,
  { signal, together }: Options & { readonly together?: ReadTogether },
): Promise<StatusAnswer> {
  const { inbox, outbox, push, secrets, webhooks } = services;
  const { account, etag } = stored;
  const options = { signal };
  const known = together && {
    failing: together.failing.get(account.name) ?? [],
    nothingOpen: !together.open.has(account.name),
  };
  const rows = rowsOf(services, account.name, { signal, together });
  const [status, pushed, transport, webhook] = await Promise.all([
    rows.then(({ inbox: read }) => accountStatus(inbox, secrets, stored, { signal, ...known, read })),
    pushStatus(push, account, options),
    rows.then(({ failures }) => transportStatus(outbox, account.name, { signal, ...known, failures })),
    rows.then(({ target }) =>
      webhookSummary(webhooks, account.name, { webhook: account.webhook, version: etag }, { signal, facts: target }),
    ),
  ]);
  return { ...status, push: pushed, transport, webhook };
}

/** What the rows of an account say: by its summary and row `turn`, where the summary counts. */
async function rowsOf(
  services: Services,
  name: string,
  { signal, together }: Options & { readonly together: ReadTogether | undefined },
): Promise<ReadAccount> {
  const facts = factsOf(together?.summaries.of(name));
  if (facts) return { ...facts, inbox: await withTurn(services.inbox, name, facts.inbox, { signal }) };
  const read = await readAccount(services, name, { signal });
  together?.read.set(name, read);
  return read;
}

/**
 * Keeps summaries of the accounts that a listing has read: the next one does not. An account of which nothing was known is
 * noted, and has its summary by the timer. Never throws.
 */
export async function keepSummaries(
  { summaries }: { readonly summaries: AccountSummaries },
  { read, summaries: { changed } }: ReadTogether,
): Promise<void> {
  try {
    const unknown = [...read.keys()].filter((name) => !changed.has(name));
    // Those of the same turn share transactions.
    const kept = [...read].map(async ([name, account]) => {
      const note = changed.get(name);
      const summary = summaryOf(account);
      if (note && summary && summaries.isSettled(note)) await summaries.keep(name, note, summary);
    });
    await Promise.all([summaries.note(unknown), ...kept]);
  } catch (error) {
    log.warn('accounts.summariesNotKept', { error: errorText(error) });
  }
}
