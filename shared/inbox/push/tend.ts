import type { GraphMailbox, Subscriptions } from '../../adapters/graph/subscriptions.ts';
import { StoreError } from '../../adapters/store.ts';
import { errorText, inLogScope, log } from '../../platform/log.ts';
import { newGeneration } from './client-state.ts';
import type { PushContext } from './context.ts';
import { createSubscription, isUndecided, NotMade, noteWanted, removeAttempted } from './create-subscription.ts';
import {
  deleteRow,
  dueAt,
  readSubscription,
  readSubscriptions,
  replaceRow,
  type SubscriptionColumns,
  type SubscriptionRow,
} from './subscription-rows.ts';
import { lifetimeMs, renewEveryMs, retryWait, tendingMs } from './timing.ts';
import { isSameApp, pushedStore, pushPlace, type WantedSubscription, wantedSubscriptions } from './wanted.ts';

/** Failures after which a subscription that nobody wants is left to its own end. */
const maxEndTries = 12;
/** The same, where another one of the same app is to take its place: Graph allows one. */
const maxReplaceTries = 2;

interface Tending {
  readonly push: PushContext;
  readonly account: string;
  readonly open: (mailbox: GraphMailbox) => Promise<Subscriptions>;
  readonly signal: AbortSignal;
}

/**
 * Sees that an account has the subscriptions that it is to have, and no others: one for each folder while its store has
 * `push`. What fails is noted on the subscription's row and comes again; it stops no other folder. Throws storage's and
 * Key Vault's trouble.
 */
export async function tendSubscriptions(
  push: PushContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  const stored = await push.account(account, signal);
  const before = await readSubscriptions(push, account, { signal });
  const place = pushedStore(stored?.account) ? await pushPlace(push, signal) : undefined;
  await tendAll(push, account, { before, wanted: wantedSubscriptions(stored?.account, place), signal });
}

/** Does what an entry of queue `mail-import` asks for that is about subscriptions. Throws as `tendSubscriptions`. */
export async function tendFromQueue(push: PushContext, account: string): Promise<void> {
  if (push.shutdown.stopping.aborted) {
    // Another process takes it; this one begins nothing any more.
    await push.enqueue(account);
    return;
  }
  const signal = AbortSignal.timeout(tendingMs);
  await inLogScope({ fields: { account } }, () => push.shutdown.track(tendSubscriptions(push, account, { signal })));
}

/** Ends every subscription of an account that is gone, while its secrets are still there. Throws storage's trouble. */
export async function endSubscriptions(
  push: PushContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const before = await readSubscriptions(push, account, options);
  if (before.length > 0) await tendAll(push, account, { before, wanted: new Map(), ...options });
}

async function tendAll(
  push: PushContext,
  account: string,
  {
    before,
    wanted,
    signal,
  }: {
    readonly before: readonly SubscriptionRow[];
    readonly wanted: ReadonlyMap<string, WantedSubscription>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const opened = new Map<string, Promise<Subscriptions>>();
  const open = (mailbox: GraphMailbox) => {
    const key = JSON.stringify(mailbox);
    const known = opened.get(key) ?? push.open(account, mailbox, signal);
    opened.set(key, known);
    return known;
  };
  const tending: Tending = { push, account, open, signal };
  try {
    const left = new Map<string, SubscriptionRow>();
    for (const row of before) {
      const wish = wanted.get(row.key);
      const stays = wish?.fingerprint === row.fingerprint;
      if (stays || !(await end(tending, row, wish))) left.set(row.key, row);
    }
    for (const wish of wanted.values()) {
      const row = left.get(wish.key);
      if (!row) await begin(tending, wish);
      else if (row.fingerprint === wish.fingerprint) await goOn(tending, wish, row);
    }
  } finally {
    for (const subscriptions of opened.values()) {
      subscriptions.then(
        (each) => each.close(),
        () => undefined,
      );
    }
  }
}

async function begin(tending: Tending, wanted: WantedSubscription): Promise<void> {
  const row = await noteWanted(tending.push, wanted);
  if (row) await goOn(tending, wanted, row);
}

/** Does what there is to do at a subscription that is to be there. */
async function goOn(tending: Tending, wanted: WantedSubscription, noted: SubscriptionRow): Promise<void> {
  const { push, open, signal } = tending;
  const wait = noted.workAt - push.clock.now();
  // What failed is tried whenever somebody asks. A clock that was ahead wrote a time that is none to wait for.
  if (noted.tries === 0 && wait > 0 && wait <= 2 * renewEveryMs) return;
  let row = noted;
  try {
    const subscriptions = await open(wanted.mailbox);
    if (row.stray !== undefined) {
      if (row.stray !== row.id) await subscriptions.remove(row.stray, signal);
      const without = await replaceRow(push, row, { stray: undefined });
      if (!without) return;
      row = without;
    }
    if (row.state === 'active' && row.id !== undefined) {
      const renewed = await subscriptions.renew(row.id, push.clock.now() + lifetimeMs, signal);
      if (renewed) {
        await noteRenewed(push, row, wanted, renewed.expiresAt);
        return;
      }
      log.warn('push.subscriptionGone', { account: wanted.account });
      const again = await replaceRow(push, row, {
        ...{ state: 'creating', generation: newGeneration(), id: undefined, expiresAt: undefined },
        attemptAt: undefined,
      });
      if (!again) return;
      row = again;
    }
    await createSubscription({ push, wanted, subscriptions, signal }, row);
  } catch (error) {
    await noteFailure(tending, row, error);
  }
}

async function noteRenewed(
  push: PushContext,
  row: SubscriptionRow,
  { mailbox }: WantedSubscription,
  expiresAt: number,
) {
  const now = push.clock.now();
  const well = { tries: 0, endTries: undefined, code: undefined, hint: undefined };
  await replaceRow(push, row, { mailbox, expiresAt, ...well, ...dueAt(now + renewEveryMs, now) });
}

/** Ends a subscription that is not to be there. False where it may still be, and is come back to. */
async function end(tending: Tending, row: SubscriptionRow, wish: WantedSubscription | undefined): Promise<boolean> {
  const { push, account, open, signal } = tending;
  // Graph may still be making it: then it would not be seen yet.
  if (isUndecided(row, push.clock.now())) return false;
  try {
    const subscriptions = await open(row.mailbox);
    const ids = [row.id, row.stray].filter((id) => id !== undefined);
    for (const id of ids) await subscriptions.remove(id, signal);
    if (row.attemptAt !== undefined) await removeAttempted(row, subscriptions, signal);
    await deleteRow(push, row);
    log.info('push.unsubscribed', { account });
    return true;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const endTries = (row.endTries ?? 0) + 1;
    if (endTries >= mostEndTries(row, wish)) {
      // Without its row nothing that it tells of is heard, and it ends by itself.
      log.warn('push.subscriptionLeft', { account, code: error.code });
      await deleteRow(push, row);
      return true;
    }
    await noteFailure(tending, row, error, { endTries });
    return false;
  }
}

function mostEndTries(row: SubscriptionRow, wish: WantedSubscription | undefined): number {
  if (!wish) return maxEndTries;
  return isSameApp(row.mailbox, wish.mailbox) ? maxReplaceTries : 1;
}

/** Notes a failure for `status`, and when to come again. Throws what is not Graph's trouble. */
async function noteFailure(
  { push, account }: Tending,
  row: SubscriptionRow,
  error: unknown,
  changes: Pick<SubscriptionColumns, 'endTries'> = {},
): Promise<void> {
  const trouble = error instanceof NotMade ? error.reason : error;
  if (!(trouble instanceof StoreError)) throw error;
  const now = push.clock.now();
  const tries = row.tries + 1;
  const { code = trouble.kind, hint, kind, retryAfterMs } = trouble;
  log.warn('push.failed', { account, code, kind, tries, error: errorText(trouble) });
  const current = await readSubscription(push, row.key);
  if (current?.generation !== row.generation) return;
  await replaceRow(push, current, {
    ...{ tries, code, hint, ...changes },
    ...(error instanceof NotMade ? { attemptAt: undefined } : {}),
    ...dueAt(now + retryWait(changes.endTries ?? tries, retryAfterMs), now),
  });
}
