/**
 * What names a mail within its maildrop: its UIDL. Where the server gives one UIDL to several mails, or none to any, the
 * SHA-256 of the content follows after a space, which no UIDL holds. Mails with the same UIDL and the same octets are one.
 */
export interface MailName {
  readonly uidl: string;
  readonly sha256?: string;
}

/** The item of a mail: `{uidl}`, or `{uidl} {sha256}`. */
export function encodeItem({ uidl, sha256 }: MailName): string {
  return sha256 === undefined ? uidl : `${uidl} ${sha256}`;
}

/** Undefined for what cannot be an item of this store. */
export function decodeItem(item: string): MailName | undefined {
  const [uidl = '', sha256, ...rest] = item.split(' ');
  if (rest.length > 0 || (sha256 === undefined && uidl === '')) return undefined;
  if (sha256 === undefined) return { uidl };
  return /^[0-9a-f]{64}$/.test(sha256) ? { uidl, sha256 } : undefined;
}
