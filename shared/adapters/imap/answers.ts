import type { ImapAttribute, ImapResponse } from 'imapflow';
import type { CommandNode } from './command-arguments.ts';
import { parseInternalDate } from './internal-date.ts';
import { MAX_UID, parseUid } from './source-id.ts';

/** What FETCH answers say of one mail. Items that were not asked for, or make no sense, are absent. */
export interface FetchRow {
  readonly uid: number;
  readonly size?: number;
  /** INTERNALDATE in milliseconds since the epoch. */
  readonly receivedAt?: number;
  readonly flags?: ReadonlySet<string>;
  /** The octets of the BODY section asked for; null where the server sent NIL. */
  readonly body?: Buffer | null;
  /** The server gave that section twice, and not the same: neither is to be believed, and `body` is absent. */
  readonly contested?: true;
}

/** A BODY section as an answer names it, such as `[]` or `[HEADER]`; and where its octets begin, if it is a part. */
export interface AskedSection {
  readonly section: string;
  readonly origin: number | undefined;
}

/** The BODY section among the items of a FETCH; undefined where none is asked for. */
export function askedSection(items: readonly CommandNode[]): AskedSection | undefined {
  for (const item of items) {
    if (!('value' in item) || item.section === undefined) continue;
    return { section: sectionText(item.section), origin: item.partial?.[0] };
  }
  return undefined;
}

/**
 * Reads `* n FETCH (…)`; undefined for one that does not name one mail by its UID, as every answer to a UID FETCH does
 * (RFC 3501 section 6.4.8). A server may answer more than it was asked (section 7): octets count as the mail's only where
 * section and origin are those asked for.
 */
export function readFetchRow(response: ImapResponse, asked?: AskedSection): FetchRow | undefined {
  const list = response.attributes?.[1];
  if (!Array.isArray(list)) return undefined;
  const uids = new Set<number>();
  let items: Omit<FetchRow, 'uid'> = {};
  for (let at = 0; at + 1 < list.length; at += 2) {
    const { uid, ...item } = readItem(list[at] ?? null, list[at + 1] ?? null, asked);
    if (uid !== undefined) uids.add(uid);
    items = mergeItems(items, item);
  }
  const [uid] = uids;
  return uid === undefined || uids.size > 1 ? undefined : { uid, ...items };
}

/** Puts together what several answers say of one mail. */
export function mergeRows(before: FetchRow | undefined, row: FetchRow): FetchRow {
  return { ...mergeItems(before ?? {}, row), uid: row.uid };
}

function mergeItems(before: Omit<FetchRow, 'uid'>, items: Omit<FetchRow, 'uid'>): Omit<FetchRow, 'uid'> {
  const { body: _, ...others } = { ...before, ...items };
  if (before.contested || items.contested) return { ...others, contested: true };
  if (before.body === undefined) return { ...others, ...(items.body === undefined ? {} : { body: items.body }) };
  if (items.body === undefined || sameOctets(before.body, items.body)) return { ...others, body: before.body };
  return { ...others, contested: true };
}

function sameOctets(one: Buffer | null, other: Buffer | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}

function readItem(name: ImapAttribute, value: ImapAttribute, asked: AskedSection | undefined): Partial<FetchRow> {
  switch (textOf(name)?.toUpperCase()) {
    case 'UID': {
      const uid = parseUid(textOf(value));
      return uid === undefined ? {} : { uid };
    }
    case 'RFC822.SIZE': {
      const text = textOf(value);
      return text !== undefined && /^\d{1,15}$/.test(text) ? { size: Number(text) } : {};
    }
    case 'INTERNALDATE': {
      const receivedAt = parseInternalDate(textOf(value) ?? '');
      return receivedAt === undefined ? {} : { receivedAt };
    }
    case 'FLAGS':
      return Array.isArray(value) ? { flags: new Set(value.map((flag) => (textOf(flag) ?? '').toLowerCase())) } : {};
    case 'BODY':
      return asked && isAsked(name, asked) ? { body: octetsOf(value) } : {};
    default:
      return {};
  }
}

/** A server that knows no partial fetch answers the first part with the whole, and names no origin. */
function isAsked(name: ImapAttribute, { section, origin }: AskedSection): boolean {
  if (name === null || Array.isArray(name) || name.section === undefined) return false;
  if (sectionText(name.section) !== section) return false;
  const begins: unknown = name.partial?.[0];
  return begins === origin || (begins === undefined && origin === 0);
}

type SectionNode = ImapAttribute | CommandNode;

/** `[HEADER.FIELDS (A B)]`, whatever the letter case, the quotes and the order of the fields. */
function sectionText(section: readonly SectionNode[]): string {
  const text = (node: SectionNode | undefined): string => {
    if (node === null || node === undefined) return '';
    if (Array.isArray(node)) return `(${node.map(text).sort().join(' ')})`;
    const { value } = node as { readonly value?: unknown };
    return typeof value === 'string' ? value.toUpperCase() : '';
  };
  return `[${section.map(text).join(' ')}]`;
}

/** A literal comes as the octets themselves; a quoted string holds US-ASCII only. */
function octetsOf(value: ImapAttribute): Buffer | null {
  if (value === null || Array.isArray(value)) return null;
  if (Buffer.isBuffer(value.value)) return value.value;
  return typeof value.value === 'string' ? Buffer.from(value.value, 'latin1') : null;
}

function textOf(attribute: ImapAttribute | undefined): string | undefined {
  if (attribute === null || attribute === undefined || Array.isArray(attribute)) return undefined;
  const { value } = attribute;
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined;
}

/** The numbers of `* SEARCH …`. */
export function readSearch(response: ImapResponse): readonly number[] {
  if (response.numbers) return response.numbers.filter((uid) => uid >= 1 && uid <= MAX_UID);
  return (response.attributes ?? []).flatMap((attribute) => {
    const uid = parseUid(textOf(attribute));
    return uid === undefined ? [] : [uid];
  });
}

/** The items of `* STATUS name (…)`, by their names in capitals. */
export function readStatus(response: ImapResponse): ReadonlyMap<string, string> {
  const items = new Map<string, string>();
  const list = response.attributes?.find((attribute) => Array.isArray(attribute));
  if (!Array.isArray(list)) return items;
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = textOf(list[at]);
    const value = textOf(list[at + 1]);
    if (name !== undefined && value !== undefined) items.set(name.toUpperCase(), value);
  }
  return items;
}

/** The words of a status response behind its response code, on one line. */
export function readWords(response: ImapResponse): string {
  const words = (response.attributes ?? []).flatMap((attribute) => textOf(attribute) ?? []);
  return words
    .join(' ')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
}

/** A response code, such as `[UIDVALIDITY 7]`: its name in capitals and its arguments. */
export interface ResponseCode {
  readonly name: string;
  readonly argument: string | undefined;
  readonly arguments: readonly string[];
}

/** The response code of an OK, NO, BAD or BYE (RFC 3501 section 7.1); undefined where it has none. */
export function readResponseCode(response: ImapResponse | undefined): ResponseCode | undefined {
  const first = response?.attributes?.[0];
  if (first === null || first === undefined || Array.isArray(first) || first.value || !first.section) return undefined;
  const name = textOf(first.section[0]);
  if (name === undefined) return undefined;
  const others = first.section.slice(1).flatMap((attribute) => textOf(attribute) ?? []);
  return { name: name.toUpperCase(), argument: textOf(first.section[1]), arguments: others };
}

/** The number of `* n EXISTS`. */
export function readExists(response: ImapResponse): number | undefined {
  const text = response.command ?? '';
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
