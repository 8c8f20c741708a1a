import { firstOfAll } from '../../platform/first-of-all.ts';
import { accountId, instantOf, newestFirst } from '../../platform/ids.ts';
import { log } from '../../platform/log.ts';
import { odataText, prefixEnd, type Row } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { localIdOf, openPrefix, recordKey, recordPrefix } from '../keys.ts';
import { type MessageRecord, type MessageStatus, readableRecord } from '../record.ts';
import { comparableAddress } from './comparable.ts';
import { findingPrefixes, messageIdPrefix, rareEnds, recipientPrefix } from './index-rows.ts';
import type { SearchedAccount } from './searched-accounts.ts';

/** What a message must have, all of it, to be found. */
export interface MessageFilters {
  readonly status?: MessageStatus;
  /** An address of the envelope, in any letter case. */
  readonly recipient?: string;
  /** The Message-ID, with its angle brackets. */
  readonly messageId?: string;
  /** Accepted at or after, and before; ms since the epoch. */
  readonly since?: number;
  readonly until?: number;
}

/** Which messages are found, and from where on. */
export interface FindOptions extends MessageFilters {
  readonly signal: AbortSignal;
  /** Records at most. */
  readonly top: number;
  /** Only records that come after this `localId` in the list. */
  readonly after?: string;
}

/** A page of messages. */
export interface FoundMessages {
  /** Newest first. */
  readonly records: readonly MessageRecord[];
  /** Where looking ended before the end of the list: at the message with this `localId`. Absent: there are no others. */
  readonly lookedTo?: string;
}

/** Index rows that one call looks behind, of one account: what bounds its time. */
const maxLooked = 1_000;

/** Records read at one time. */
const together = 16;

/**
 * One account's messages that have all that is asked for, newest first. Those of a recipient, a Message-ID, or a status
 * that few have, are read by their index rows: a transaction for the index and one for each record behind it.
 */
export async function findMessages(
  context: OutboxContext,
  account: string,
  options: FindOptions,
): Promise<FoundMessages> {
  const index = indexOf(options);
  return index === undefined
    ? await readRecords(context, account, options)
    : await readIndexed(context, account, index, options);
}

interface Index {
  readonly prefix: string;
  readonly filter?: string;
}

/** The index with the fewest rows for what is asked for; undefined where the records themselves are no more. */
function indexOf({ messageId, recipient, status }: MessageFilters): Index | undefined {
  if (messageId !== undefined) return { prefix: messageIdPrefix(messageId) };
  if (recipient !== undefined) return { prefix: recipientPrefix(recipient) };
  if (status === undefined || status === 'sent') return undefined;
  return rareEnds.includes(status)
    ? { prefix: findingPrefixes.ended, filter: `status eq ${odataText(status)}` }
    : { prefix: openPrefix };
}

/** The keys with a prefix of what was accepted between the instants and comes after the page before. */
function rangeOf(prefix: string, { since, until, after }: FindOptions): readonly [from: string, before: string] {
  // Newest first: what is before `until` comes after its key, what is not before `since` up to its key.
  const begin = until === undefined ? prefix : prefix + newestFirst(sortable(until - 1));
  const next = after === undefined ? prefix : `${prefix}${after}!`;
  const before = since === undefined ? prefixEnd(prefix) : `${prefix}${newestFirst(sortable(since))}~`;
  return [next > begin ? next : begin, before];
}

/** Keys sort by time from 1970 to the year 5188. */
function sortable(milliseconds: number): number {
  return Math.min(Math.max(0, milliseconds), 36 ** 9 - 1);
}

async function readRecords(context: OutboxContext, account: string, options: FindOptions): Promise<FoundMessages> {
  const { signal, top, status } = options;
  const [from, before] = rangeOf(recordPrefix, options);
  const filter = status === undefined ? {} : { filter: `status eq ${odataText(status)}` };
  const records: MessageRecord[] = [];
  if (from >= before) return { records };
  let rows = 0;
  let last: string | undefined;
  for await (const row of context.rows.range(account, from, before, { signal, top, ...filter })) {
    rows += 1;
    last = localIdOf(row.key);
    const record = listed(account, row);
    if (record) records.push(record);
  }
  return { records, ...(rows === top && records.length < top && last !== undefined ? { lookedTo: last } : {}) };
}

/** One that cannot be read must not hide the others. */
function listed(account: string, row: Row): MessageRecord | undefined {
  const record = readableRecord(account, row);
  if (!record) log.error('outbox.recordUnreadable', { account, message: accountId(account, localIdOf(row.key)) });
  return record;
}

async function readIndexed(
  context: OutboxContext,
  account: string,
  { prefix, filter }: Index,
  options: FindOptions,
): Promise<FoundMessages> {
  const { signal, top } = options;
  const [from, before] = rangeOf(prefix, options);
  if (from >= before) return { records: [] };
  const ids: string[] = [];
  const range = { signal, top: maxLooked, select: [], ...(filter === undefined ? {} : { filter }) };
  for await (const { key } of context.rows.range(account, from, before, range)) ids.push(key.slice(prefix.length));
  const records: MessageRecord[] = [];
  for (let at = 0; at < ids.length && records.length < top; at += together) {
    signal.throwIfAborted();
    const some = ids.slice(at, at + together).map((id) => context.rows.get(account, recordKey(id), { signal }));
    for (const row of await Promise.all(some)) {
      const record = row && listed(account, row);
      if (record && fits(record, options)) records.push(record);
    }
  }
  const lookedTo = ids.length === maxLooked && records.length < top ? ids.at(-1) : undefined;
  return { records: records.slice(0, top), ...(lookedTo === undefined ? {} : { lookedTo }) };
}

/** An index says where to look; whether a record is what is asked for, it says itself. */
function fits(record: MessageRecord, { status, recipient, messageId }: MessageFilters): boolean {
  if (status !== undefined && record.status !== status) return false;
  if (messageId !== undefined && record.messageId !== messageId) return false;
  if (recipient === undefined) return true;
  const wanted = comparableAddress(recipient);
  return record.recipients.some(({ address }) => comparableAddress(address) === wanted);
}

/** A page of the messages of several accounts, newest first. */
export interface MessagePage {
  readonly records: readonly MessageRecord[];
  /** `localId` after which the next page begins; undefined on the last one. */
  readonly next: string | undefined;
}

/**
 * Messages of these accounts together; a page may have fewer than `top` where another one follows. An account whose last
 * mail is older than the page is not read.
 */
export async function findInAccounts(
  context: OutboxContext,
  accounts: readonly SearchedAccount[],
  options: FindOptions,
): Promise<MessagePage> {
  const { top, since } = options;
  const ends: string[] = [];
  // The epoch says that an account has no mail now.
  const withMail = accounts.filter(({ handedUntil }) => handedUntil !== 0);
  const lastHanded = new Map(withMail.map(({ name, handedUntil = Number.POSITIVE_INFINITY }) => [name, handedUntil]));
  const untilOf = (name: string) => lastHanded.get(name) ?? Number.POSITIVE_INFINITY;
  // Those with the newest mail fill the page, and the others need not be asked.
  const names = [...lastHanded.keys()].sort((a, b) => untilOf(b) - untilOf(a) || 0);
  const isBehind = (name: string, last: MessageRecord | undefined) => {
    const behind = [...ends, ...(last ? [last.localId] : [])].sort().at(0);
    const oldest = Math.max(since ?? 0, behind === undefined ? 0 : instantOf(behind));
    return untilOf(name) < oldest;
  };
  // Ids sort by time, the newest first, whichever account they are of.
  const wanted = { top: top + 1, keyOf: ({ localId }: MessageRecord) => localId, isBehind };
  const found = await firstOfAll(names, wanted, async (account) => {
    const { records, lookedTo } = await findMessages(context, account, { ...options, top: top + 1 });
    if (lookedTo !== undefined) ends.push(lookedTo);
    return records;
  });
  // Behind where the looking ended for one account, messages of another one would come before its own.
  const end = ends.sort().at(0);
  const records = found.filter(({ localId }) => end === undefined || localId <= end);
  const page = records.slice(0, top);
  return { records: page, next: records.length > page.length ? page.at(-1)?.localId : end };
}
