import { digest } from '../../platform/ids.ts';

/**
 * Rows of partition `push` in table `accounts`:
 *
 *   s:{account}:{folder}   the subscription to a folder, or the intention to make one
 *   n:{account}            when notifications had an import queued, and when it begins
 *
 * Names of accounts hold no colon.
 */
export const partition = 'push';

export const prefixes = { subscription: 's:', asked: 'n:' } as const;

/** A folder, as the account names it, in keys. */
export const folderKey = (folder: string): string => digest(24, folder);

/** Subscriptions of one account. */
export const accountPrefix = (account: string): string => `${prefixes.subscription}${account}:`;

/** Key of the subscription to a folder; `folder` as `folderKey` makes it. */
export const subscriptionKey = (account: string, folder: string): string => accountPrefix(account) + folder;

/** The account of a subscription's key. */
export const accountOf = (key: string): string => key.slice(prefixes.subscription.length).split(':')[0] ?? '';

/** Key of the time at which notifications had an import of an account queued. */
export const askedKey = (account: string): string => prefixes.asked + account;
