import type { ListedMail, SourceId } from '../store.ts';

/** Largest UID and UIDVALIDITY: 32 bits, never 0 (RFC 3501 section 9, nz-number). */
export const MAX_UID = 0xffff_ffff;
/** Enough digits for every 32-bit number, so that items sort in the order of arrival. */
const ITEM_DIGITS = 10;

/** Where an IMAP mail is: the folder, and the UIDVALIDITY without which a UID means nothing. */
export interface ImapScope {
  readonly folder: string;
  readonly uidValidity: number;
  /**
   * How often the folder was seen to use its UIDs again under one UIDVALIDITY, which RFC 3501 forbids and some servers
   * do. Absent: never, or, where a folder was opened, not known.
   */
  readonly epoch?: number;
}

/** INBOX is one folder in every letter case (RFC 3501 section 5.1); the case of other names counts. */
export function canonicalFolder(folder: string): string {
  return folder.toUpperCase() === 'INBOX' ? 'INBOX' : folder;
}

/** `{folder};{uidvalidity}`, and `+{epoch}` from the first on: unambiguous, since the last semicolon is ours. */
export function encodeScope({ folder, uidValidity, epoch = 0 }: ImapScope): string {
  return epoch === 0 ? `${folder};${uidValidity}` : `${folder};${uidValidity}+${epoch}`;
}

/** Undefined for what cannot be a scope of this store. */
export function decodeScope(text: string): ImapScope | undefined {
  const at = text.lastIndexOf(';');
  const [validity, epoch, ...rest] = text.slice(at + 1).split('+');
  const uidValidity = parseUid(validity);
  const reuses = epoch === undefined ? 0 : parseUid(epoch);
  if (at < 1 || uidValidity === undefined || reuses === undefined || rest.length > 0) return undefined;
  return { folder: text.slice(0, at), uidValidity, ...(reuses === 0 ? {} : { epoch: reuses }) };
}

/** A UID in ten digits, so that items sort in the order of arrival. */
export function encodeItem(uid: number): string {
  return String(uid).padStart(ITEM_DIGITS, '0');
}

/** Undefined for what cannot be an item of this store. */
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

/** Takes the source id apart; undefined where it is not one of the store `identity`. */
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

/** A listed mail with its folder and UID. */
export type LocatedMail = Located<ListedMail>;

/**
 * A UID means a mail only together with UIDVALIDITY (RFC 3501 section 2.3.1.1). `opened`: the folder as it is now; where
 * its epoch is not known in this session, the mail has to be compared.
 */
export function sameFolder(opened: ImapScope, scope: ImapScope): boolean {
  const sameEpoch = opened.epoch === undefined || opened.epoch === (scope.epoch ?? 0);
  return opened.folder === scope.folder && opened.uidValidity === scope.uidValidity && sameEpoch;
}
