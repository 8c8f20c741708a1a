import type { SourceId } from '../adapters/store.ts';
import { digest, newestFirst } from '../platform/ids.ts';

/**
 * Row keys of an account's partition in table `inbox`:
 *
 *   l:{scope}:{item}         ledger: what became of one mail at its source
 *   a:{newest first}:{asset} asset index
 *   d:{due}:{ledger key}     a deletion to come
 *   f:{message id}:{ledger}  finds the ledger row of a mail that is met under another source id
 *   p:{ledger key}           pending: to be tried again
 *   q:{newest first}:{asset} quarantine
 *   u:{run}:{page}           a committed page whose events or disposals are not all done
 *   w:{run}:{page}           a page in work
 *   c:{folder}  s:{scope}    checkpoint of a folder; scopes met so far
 *   r:{newest first}         runs
 *   lease, again             who imports now; whether it was asked to go round once more
 */
export function scopeKey(source: Pick<SourceId, 'store' | 'scope'>): string {
  return digest(16, source.store, source.scope);
}

/** Characters a row key may hold as they are; anything else is written as `=` and hex. */
function keySafe(item: string): string {
  const safe = item.replace(/[^0-9A-Za-z._~+@-]/gu, (character) => `=${Buffer.from(character).toString('hex')}=`);
  // Row keys hold 1 KiB; a longer id keeps its order and is told apart by its hash.
  return safe.length <= 300 ? safe : `${safe.slice(0, 200)}~${digest(40, item)}`;
}

/** Sorts within a scope as the items do, so that a page of UIDs is one range. */
export function ledgerKey(source: SourceId): string {
  return `l:${scopeKey(source)}:${keySafe(source.item)}`;
}

/** A space, as it stands in keys: what follows is the hash of the content of a mail whose id alone does not name it. */
const doubleMark = '=20=';

/**
 * The ledger key of the id alone, where a key names a mail by id and content; else the key itself, also where there is no
 * id at all: mails named by content alone have nothing in common.
 */
export function singleKey(ledger: string): string {
  const at = ledger.lastIndexOf(doubleMark);
  return at < 0 || ledger[at - 1] === ':' ? ledger : ledger.slice(0, at);
}

/** The range of keys that name mails by this key's id and their contents. */
export function doubleKeys(ledger: string): readonly [string, string] {
  return [ledger + doubleMark, `${ledger}${doubleMark}~`];
}

/** A mail's place without the prefix, for the rows that refer to a ledger row. */
export function tail(key: string): string {
  return key.slice(2);
}

/** Derived from account and source alone: importing again, after whatever crash, makes the same asset. */
export function assetRest(account: string, source: SourceId): string {
  return digest(32, account, source.store, source.scope, source.item);
}

/** 13 digits of ms: sorts by time until the year 2286. */
export function dueKey(dueAt: number, ledger: string): string {
  return `d:${String(dueAt).padStart(13, '0')}:${tail(ledger)}`;
}

export function fingerprintPrefix(messageId: string | undefined): string {
  // Listings and parsers cut white space and comments around the id differently: the id itself counts.
  const id = messageId?.match(/<([^<>\s]+)>/)?.[1] ?? messageId?.trim() ?? '';
  return `f:${digest(24, id.slice(0, 400))}:`;
}

export function fingerprintKey(messageId: string | undefined, ledger: string): string {
  return fingerprintPrefix(messageId) + tail(ledger);
}

export const pendingKey = (ledger: string) => `p:${tail(ledger)}`;
export const checkpointKey = (store: string, folder: string) => `c:${digest(24, store, folder)}`;
export const scopeRowKey = (scope: string) => `s:${scope}`;
export const runKey = (runId: string) => `r:${runId}`;
export const quarantineKey = (at: number, rest: string) => `q:${newestFirst(at)}:${rest}`;

/** The source id as people read it, in `asset.json` and answers. */
export function sourceText(source: SourceId): string {
  return [source.store, source.scope, source.item].filter((part) => part !== '').join(';');
}
