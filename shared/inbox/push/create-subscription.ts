import { isValidationError, takenError } from '../../adapters/graph/subscription-errors.ts';
import type { KnownSubscription, Subscriptions } from '../../adapters/graph/subscriptions.ts';
import { StoreError } from '../../adapters/store.ts';
import { log } from '../../platform/log.ts';
import { clientState, nameText, newGeneration, parseName, rowKeyOf, type SubscriptionName } from './client-state.ts';
import type { PushContext } from './context.ts';
import { dueAt, insertRow, readSubscription, replaceRow, type SubscriptionRow } from './subscription-rows.ts';
import { attemptMs, lifetimeMs, renewEveryMs, undecidedMs } from './timing.ts';
import type { WantedSubscription } from './wanted.ts';

/** What a creation works with. */
export interface Creation {
  readonly push: PushContext;
  readonly wanted: WantedSubscription;
  readonly subscriptions: Subscriptions;
  readonly signal: AbortSignal;
}

/** Notes that a subscription is wanted, before anything is asked of Graph; undefined: somebody else has noted it. */
export async function noteWanted(push: PushContext, wanted: WantedSubscription): Promise<SubscriptionRow | undefined> {
  const { key, folder, fingerprint, mailbox } = wanted;
  const now = push.clock.now();
  return await insertRow(push, {
    ...{ key, folder, fingerprint, mailbox },
    ...{ state: 'creating', generation: newGeneration(), tries: 0 },
    ...dueAt(now, now),
  });
}

/**
 * Makes the subscription that a row notes as wanted. The row says so before the call, so that whoever comes after a
 * process that ended within it looks whether Graph has made one. Imports what came while there was none. Throws
 * StoreError.
 */
export async function createSubscription(creation: Creation, noted: SubscriptionRow): Promise<void> {
  const { push, wanted } = creation;
  const now = push.clock.now();
  if (isUndecided(noted, now)) return;
  const row = await replaceRow(push, noted, { attemptAt: now, ...dueAt(now + attemptMs, now) });
  if (!row) return;
  const inDoubt = noted.attemptAt !== undefined;
  const made = (inDoubt ? await findOwn(creation, row) : undefined) ?? (await create(creation, row));
  await push.enqueueImport(wanted.account);
  await keep(creation, row, made);
}

/** Graph has refused to make one: there is none. */
export class NotMade extends Error {
  override readonly name = 'NotMade';
  readonly reason: StoreError;

  constructor(reason: StoreError) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

/** Somebody may be at it, or Graph may still be calling the app for a request whose answer was lost. */
export function isUndecided({ attemptAt }: Pick<SubscriptionRow, 'attemptAt'>, now: number): boolean {
  return attemptAt !== undefined && Math.abs(now - attemptAt) < undecidedMs;
}

/** Writes down what there is. A process that stood still meanwhile takes back what it made: another one took over. */
async function keep({ push, subscriptions, signal }: Creation, row: SubscriptionRow, made: KnownSubscription) {
  const now = push.clock.now();
  const { id, expiresAt } = made;
  const kept = await replaceRow(push, row, {
    ...{ state: 'active', id, expiresAt, attemptAt: undefined },
    ...{ tries: 0, endTries: undefined, code: undefined, hint: undefined },
    ...dueAt(now + renewEveryMs, now),
  });
  if (kept) {
    log.info('push.subscribed', { account: nameOf(row).account });
    return;
  }
  const current = await readSubscription(push, row.key);
  if (current?.id !== id && current?.attemptAt !== row.attemptAt) await subscriptions.remove(id, signal);
}

async function create(creation: Creation, row: SubscriptionRow): Promise<KnownSubscription> {
  const { push, wanted, subscriptions, signal } = creation;
  const name = nameOf(row);
  const wish = {
    folder: wanted.folder,
    notificationUrl: notificationUrl(wanted, name),
    clientState: clientState(wanted.place.key.value, name),
    expiresAt: push.clock.now() + lifetimeMs,
  };
  const ask = () => subscriptions.create(wish, signal).catch(notMade);
  const first = await ask();
  if (first.kind === 'created') return first.subscription;
  // An answer that was lost, or one that nobody wants any more.
  const own = await findOwn(creation, row);
  if (own) return own;
  await removeUnwanted(creation, first.resource);
  const second = await ask();
  if (second.kind === 'created') return second.subscription;
  throw new NotMade(takenError());
}

/** What was refused was not done; of anything else nobody knows. */
function notMade(error: unknown): never {
  const refused =
    error instanceof StoreError && ['signIn', 'permission', 'throttled', 'folderMissing'].includes(error.kind);
  throw refused || isValidationError(error) ? new NotMade(error) : error;
}

/** The subscription that Graph has made for this very row, where there is one; of several, all but one are ended. */
async function findOwn({ wanted, subscriptions, signal }: Creation, row: SubscriptionRow) {
  const url = notificationUrl(wanted, nameOf(row));
  const [first, ...others] = (await subscriptions.list(signal)).filter((each) => each.notificationUrl === url);
  for (const { id } of others) await subscriptions.remove(id, signal);
  return first;
}

/** Ends this service's subscriptions to the same folder whose rows are gone, or have another one now. */
async function removeUnwanted({ push, wanted, subscriptions, signal }: Creation, resource: string): Promise<void> {
  for (const each of await subscriptions.list(signal)) {
    const name = nameOfUrl(each.notificationUrl, wanted);
    const isSame = name && (rowKeyOf(name) === wanted.key || plain(each.resource) === plain(resource));
    if (!isSame) continue;
    const row = await readSubscription(push, rowKeyOf(name));
    if (row?.generation !== name.generation) await subscriptions.remove(each.id, signal);
  }
}

const plain = (resource: string) => resource.toLowerCase().replace(/^\//, '');

/** Ends whatever Graph has made for a row whose creation came to no known end. */
export async function removeAttempted(
  row: SubscriptionRow,
  subscriptions: Subscriptions,
  signal: AbortSignal,
): Promise<void> {
  const text = nameText(nameOf(row));
  for (const { id, notificationUrl } of await subscriptions.list(signal)) {
    if (URL.parse(notificationUrl)?.searchParams.get('subscription') === text) await subscriptions.remove(id, signal);
  }
}

/** The address carries the name, since a list shows addresses, and no `clientState`. */
function notificationUrl({ place }: WantedSubscription, name: SubscriptionName): string {
  return `${place.url}?subscription=${nameText(name)}`;
}

/** The name in an address of this service; undefined for any other address. */
function nameOfUrl(url: string, { place }: WantedSubscription): SubscriptionName | undefined {
  const begin = `${place.url}?subscription=`;
  return url.startsWith(begin) ? parseName(url.slice(begin.length)) : undefined;
}

/** The name of a row's subscription. */
export function nameOf({ key, generation }: Pick<SubscriptionRow, 'key' | 'generation'>): SubscriptionName {
  const [, account = '', folder = ''] = key.split(':');
  return { account, folder, generation };
}
