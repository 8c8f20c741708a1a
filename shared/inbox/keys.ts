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
 *   x:{next try}:{ledger key}  a disposal that was refused, to be tried again
 *   o:{newest first}:{ledger key}  a disposal that was dropped
 *   w:{run}:{page}           a page in progress
 *   y:{run}:{page}, y:deleted:{asset}  blobs to be removed unless they are committed
 *   c:{folder}  s:{scope}    checkpoint of a folder; scopes met so far
 *   n:{folder}, n:{folder}:{since}:{n}  what a folder held when the account began to import from now on
 *   r:{newest first}         runs
 *   t:{...}                  what is counted per day (see stats/count-rows.ts)
 *   turn                     whose turn it is: lease, fence, and what the last run left (see session/turn-row.ts)
 *   k:{server}               connections to a mailbox's server (see limits/keys.ts)
 *
 * What stands here in `assets` too (`a:`, `y:`) has its key functions there.
 */
export const prefixes = {
  ledger: 'l:',
  due: 'd:',
  pending: 'p:',
  quarantine: 'q:',
  unfinished: 'u:',
  refused: 'x:',
  dropped: 'o:',
  inProgress: 'w:',
  checkpoint: 'c:',
  scope: 's:',
  startingPoint: 'n:',
  run: 'r:',
} as const;

/** Keys of the rows of which an account has one. `turn` sorts right before what runs left open: both are one range. */
export const singleKeys = { turn: 'turn' } as const;

/** Where the rows with a prefix end, for a range. */
export function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)};`;
}

/** Store and scope of a source as one short digest, which stands in every ledger key of that scope. */
export function scopeKey(source: Pick<SourceId, 'store' | 'scope'>): string {
  return digest(16, source.store, source.scope);
}

/** Characters a row key may hold as they are; anything else is written as `=` and hex. */
function keySafe(item: string): string {
  const safe = item.replace(/[^0-9A-Za-z._~+@-]/gu, (character) => `=${Buffer.from(character).toString('hex')}=`);
  // Row keys hold 1 KiB; a longer id keeps its order and differs by its hash.
  return safe.length <= 300 ? safe : `${safe.slice(0, 200)}~${digest(40, item)}`;
}

/** Ledger rows of one scope. */
export function ledgerPrefix(scope: string): string {
  return `${prefixes.ledger}${scope}:`;
}

/** The ledger key that a row's key ends with, behind `before`. */
export function ledgerKeyBehind(key: string, before: string): string {
  return prefixes.ledger + key.slice(before.length);
}

/** Sorts within a scope as the items do, so that a page of UIDs is one range. */
export function ledgerKey(source: SourceId): string {
  return `${ledgerPrefix(scopeKey(source))}${keySafe(source.item)}`;
}

/** A space, as it stands in keys: what follows is the hash of the content of a mail whose id alone does not name it. */
const contentMark = '=20=';

/**
 * The ledger key of the id alone, where a key names a mail by id and content; else the key itself, also where there is no
 * id at all: mails named by content alone have nothing in common.
 */
export function idKey(ledger: string): string {
  const at = ledger.lastIndexOf(contentMark);
  return at < 0 || ledger[at - 1] === ':' ? ledger : ledger.slice(0, at);
}

/** The range of keys that name mails by this key's id and their contents. */
export function contentKeyRange(ledger: string): readonly [string, string] {
  return [ledger + contentMark, `${ledger}${contentMark}~`];
}

/** A key without its prefix: what rows that refer to a ledger row, or to a page, have in common with it. */
export function tail(key: string): string {
  return key.slice(2);
}

/** Derived from account and source alone: importing again, after whatever crash, makes the same asset. */
export function assetLocalId(account: string, source: SourceId): string {
  return digest(32, account, source.store, source.scope, source.item);
}

/** 13 digits of ms: sorts by time until the year 2286. */
function timeKey(at: number): string {
  return String(at).padStart(13, '0');
}

/** Key of a deletion to come; sorts by when it is due, in ms since the epoch. */
export function dueKey(dueAt: number, ledger: string): string {
  return `${prefixes.due}${timeKey(dueAt)}:${tail(ledger)}`;
}

/** End of the range of deletions that are due. */
export function dueUntil(now: number): string {
  return prefixes.due + timeKey(now + 1);
}

/** A refused disposal, sorted by its next try in ms. */
export function refusedKey(nextTryAt: number, ledger: string): string {
  return `${prefixes.refused}${timeKey(nextTryAt)}:${tail(ledger)}`;
}

/** End of the range of refused disposals that may be tried again. */
export function refusedUntil(now: number): string {
  return prefixes.refused + timeKey(now + 1);
}

/** Key of a disposal that was dropped at `at` (ms since the epoch), the newest first. */
export const droppedKey = (at: number, ledger: string) => `${prefixes.dropped}${newestFirst(at)}:${tail(ledger)}`;

/** Keys of the rows that stand for one page of a run: while it is worked on, and while it is not finished. */
export function pageKeys(runId: string, page: number) {
  const suffix = `${runId}:${page}`;
  return { inProgress: prefixes.inProgress + suffix, unfinished: prefixes.unfinished + suffix };
}

/** A rebound mail, whose original is to be disposed of again: finished like a page. */
export const reboundKey = (runId: string, ledger: string) => `${prefixes.unfinished}${runId}:rebound:${tail(ledger)}`;

/** A Message-ID as a ledger row keeps it: a mail may bring one of any length. */
export const keptMessageId = (messageId: string | undefined) => messageId?.slice(0, 500);

/**
 * Fingerprint rows of one Message-ID begin with this; mails without one share a prefix. A ledger row has no more of an id
 * than `keptMessageId`, so no more counts.
 */
export function fingerprintPrefix(messageId: string | undefined): string {
  const kept = keptMessageId(messageId);
  // Listings and parsers cut white space and comments around the id differently: the id itself counts.
  const id = kept?.match(/<([^<>\s]+)>/)?.[1] ?? kept?.trim() ?? '';
  return `f:${digest(24, id.slice(0, 400))}:`;
}

/** Key of the row by which a ledger row is found where its mail is met under another source id. */
export function fingerprintKey(messageId: string | undefined, ledger: string): string {
  return fingerprintPrefix(messageId) + tail(ledger);
}

/** Key of the pending row of the mail with this ledger key. */
export const pendingKey = (ledger: string) => prefixes.pending + tail(ledger);
/** Key of the checkpoint of a folder, as the account names it, in this store. */
export const checkpointKey = (store: string, folder: string) => prefixes.checkpoint + digest(24, store, folder);
/** Key of what a folder held when the account began to import from now on. */
export const startingPointKey = (store: string, folder: string) => prefixes.startingPoint + digest(24, store, folder);
/** Key of the row of a scope that was met; `scope` as `scopeKey` makes it. */
export const scopeRowKey = (scope: string) => prefixes.scope + scope;
/** Key of a run; run ids sort the newest first. */
export const runKey = (runId: string) => prefixes.run + runId;
/** Key of a mail in quarantine since `at` (ms since the epoch), the newest first; `localId`: of its asset. */
export const quarantineKey = (at: number, localId: string) => `${prefixes.quarantine}${newestFirst(at)}:${localId}`;

/** The source id as people read it, in `asset.json` and answers. */
export function sourceText(source: SourceId): string {
  return [source.store, source.scope, source.item].filter((part) => part !== '').join(';');
}
