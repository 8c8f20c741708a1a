import type { Account } from '../../accounts/rules.ts';
import type { GraphMailbox } from '../../adapters/graph/subscriptions.ts';
import { digest } from '../../platform/ids.ts';
import type { PushContext } from './context.ts';
import { folderKey, subscriptionKey } from './keys.ts';
import type { CodeKey } from './notification-key.ts';

/** The path below the app's address that Graph calls. */
const notificationPath = '/api/graph/notifications';

/** Where Graph calls the app, and with which key codes are made. */
export interface PushPlace {
  readonly url: string;
  readonly key: CodeKey;
}

/** A subscription that an account is to have. */
export interface WantedSubscription {
  /** Of its row. */
  readonly key: string;
  readonly account: string;
  /** As the account names it. */
  readonly folder: string;
  readonly mailbox: GraphMailbox;
  readonly fingerprint: string;
  readonly place: PushPlace;
}

/** Where Graph calls the app; undefined: it cannot. Throws Key Vault's trouble. */
export async function pushPlace(push: PushContext, signal: AbortSignal): Promise<PushPlace | undefined> {
  const { publicUrl } = push;
  return publicUrl === undefined
    ? undefined
    : { url: `${publicUrl}${notificationPath}`, key: await push.key.newest(signal) };
}

/** The store of an account that wants to be told of new mail. */
export function pushedStore(account: Account | undefined) {
  const store = account?.enabled ? account.store : undefined;
  return store?.protocol === 'graph' && store.push ? store : undefined;
}

/** Keys of the rows of the subscriptions that an account is to have. */
export function wantedKeys(account: Account): readonly string[] {
  const { folders = [] } = pushedStore(account) ?? {};
  return folders.map((folder) => subscriptionKey(account.name, folderKey(folder)));
}

/** The subscriptions that an account is to have, by the keys of their rows. */
export function wantedSubscriptions(
  account: Account | undefined,
  place: PushPlace | undefined,
): ReadonlyMap<string, WantedSubscription> {
  const store = pushedStore(account);
  if (!account || !store || !place) return new Map();
  const { protocol, userId, credential, cloud } = store;
  const mailbox: GraphMailbox = { protocol, userId, credential, cloud };
  const fingerprint = fingerprintOf(mailbox, place);
  const wanted = store.folders.map((folder): WantedSubscription => {
    const key = subscriptionKey(account.name, folderKey(folder));
    return { key, account: account.name, folder, mailbox, fingerprint, place };
  });
  return new Map(wanted.map((each) => [each.key, each]));
}

/** What makes another subscription necessary. A secret that was rotated does not: a subscription is the app's. */
function fingerprintOf(mailbox: GraphMailbox, { url, key }: PushPlace): string {
  return digest(24, mailbox.userId.toLowerCase(), ...appOf(mailbox), url, key.id);
}

/** Whether two mailboxes are signed in to as the same app. */
export function isSameApp(one: GraphMailbox, other: GraphMailbox): boolean {
  return appOf(one).join() === appOf(other).join();
}

function appOf({ cloud, credential }: GraphMailbox): readonly string[] {
  return credential.type === 'managedIdentity'
    ? [cloud, 'identity', credential.clientId ?? '']
    : [cloud, credential.tenantId.toLowerCase(), credential.clientId.toLowerCase()];
}
