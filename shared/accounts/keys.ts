/** Rows of table `accounts`: which partitions it has, and what the keys in them are. */

/** One row for each account there is or was; its key is the account's name. */
export const accountsPartition = 'accounts';

/** One row for each side of an account that fails. */
export const healthPartition = 'health';

/** What is known of each account for a list of many (see account-summaries.ts). */
export const summariesPartition = 'summaries';

/** What of an account works or fails. `originals`: what is to be done with mail that was imported. */
export type AccountSide = (typeof accountSides)[number];

/** Every side there is. */
export const accountSides = ['transport', 'store', 'originals'] as const;

/** The key of a side's row in `healthPartition`. */
export function healthKey(account: string, side: AccountSide): string {
  return `${healthKeyPrefix(account)}${side}`;
}

/** What the keys of an account's sides begin with. */
export function healthKeyPrefix(account: string): string {
  return `${account}:`;
}

/** The account and the side of a key of `healthPartition`; undefined for a key of another form. */
export function parseHealthKey(key: string): { readonly account: string; readonly side: AccountSide } | undefined {
  const [account = '', text] = key.split(':');
  const side = accountSides.find((each) => each === text);
  return side && account !== '' ? { account, side } : undefined;
}
