import type { ListedMail, SourceId } from '../store.ts';

/** Largest UID and UIDVALIDITY: 32 bits, never 0 (RFC 3501 section 9, nz-number). */
export const MAX_UID = 0xffff_ffff;
/** Enough digits for every 32-bit number, so that items sort in the order of arrival. */
const ITEM_DIGITS = 10;

/** Where an IMAP mail is: the folder, and the UIDVALIDITY without which a UID means nothing. */
export interface ImapScope {
  readonly folder: string;
  readonly uidValidity: number;
}

/** INBOX is one folder in every letter case (RFC 3501 section 5.1); other names are taken to the letter. */
export function canonicalFolder(folder: string): string {
  return folder.toUpperCase() === 'INBOX' ? 'INBOX' : folder;
}

/** `{folder};{uidvalidity}`: unambiguous, since what follows the last semicolon is digits alone. */
export function encodeScope(scope: ImapScope): string {
  return `${scope.folder};${scope.uidValidity}`;
}

export function decodeScope(text: string): ImapScope | undefined {
  const at = text.lastIndexOf(';');
  const uidValidity = parseUid(text.slice(at + 1));
  return at < 1 || uidValidity === undefined ? undefined : { folder: text.slice(0, at), uidValidity };
}

export function encodeItem(uid: number): string {
  return String(uid).padStart(ITEM_DIGITS, '0');
}

export function decodeItem(item: string): number | undefined {
  return item.length === ITEM_DIGITS ? parseUid(item) : undefined;
}

/** A number that can be a UID or a UIDVALIDITY; undefined for anything else, 0 included. */
export function parseUid(text: unknown): number | undefined {
  if (typeof text !== 'string' || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= 1 && value <= MAX_UID ? value : undefined;
}

/** A mail or target with its place taken apart; undefined where the source id is not one of this store. */
export interface Located<T> {
  readonly subject: T;
  readonly scope: ImapScope;
  readonly uid: number;
}

export function locate<T extends { readonly source: SourceId }>(subject: T, identity: string): Located<T> | undefined {
  const scope = decodeScope(subject.source.scope);
  const uid = decodeItem(subject.source.item);
  if (subject.source.store !== identity || scope === undefined || uid === undefined) return undefined;
  return { subject, scope, uid };
}

/** Puts what lies in the same folder (of the same UIDVALIDITY) together, in the order of first sight. */
export function groupByScope<T>(located: readonly Located<T>[]): readonly (readonly Located<T>[])[] {
  const groups = new Map<string, Located<T>[]>();
  for (const one of located) {
    const key = encodeScope(one.scope);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()];
}

export type LocatedMail = Located<ListedMail>;

/** A UID means a mail only together with UIDVALIDITY (RFC 3501 section 2.3.1.1). */
export function sameFolder(opened: ImapScope, scope: ImapScope): boolean {
  return opened.folder === scope.folder && opened.uidValidity === scope.uidValidity;
}
