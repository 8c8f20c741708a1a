import type { ImapAttribute, ImapResponse } from 'imapflow';
import { parseInternalDate } from './internal-date.ts';
import { parseUid } from './source-id.ts';

/** What one untagged FETCH answer tells. Items that were not asked for, or make no sense, are absent. */
export interface FetchRow {
  readonly uid: number;
  readonly size?: number;
  /** INTERNALDATE in milliseconds since the epoch. */
  readonly receivedAt?: number;
  readonly flags?: ReadonlySet<string>;
  /** The octets of the one BODY section asked for; null where the server sent NIL. */
  readonly body?: Buffer | null;
}

/** Reads `* n FETCH (…)`; undefined for one without a UID, which no answer to a UID FETCH is (RFC 3501 section 6.4.8). */
export function readFetchRow(response: ImapResponse): FetchRow | undefined {
  const list = response.attributes?.[1];
  if (!Array.isArray(list)) return undefined;
  let row: { -readonly [K in keyof FetchRow]?: FetchRow[K] } = {};
  for (let at = 0; at + 1 < list.length; at += 2) {
    row = { ...row, ...readItem(list[at] ?? null, list[at + 1] ?? null) };
  }
  return row.uid === undefined ? undefined : { ...row, uid: row.uid };
}

function readItem(name: ImapAttribute, value: ImapAttribute): Partial<FetchRow> {
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
      return { body: octetsOf(value) };
    default:
      return {};
  }
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
  if (response.numbers) return response.numbers;
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

export function readResponseCode(response: ImapResponse | undefined): ResponseCode | undefined {
  const first = response?.attributes?.[0];
  if (first === null || first === undefined || Array.isArray(first) || first.value || !first.section) return undefined;
  const name = textOf(first.section[0]);
  if (name === undefined) return undefined;
  const rest = first.section.slice(1).flatMap((attribute) => textOf(attribute) ?? []);
  return { name: name.toUpperCase(), argument: textOf(first.section[1]), arguments: rest };
}

/** The number of `* n EXISTS`. */
export function readExists(response: ImapResponse): number | undefined {
  const text = response.command ?? '';
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
