import { createHash, randomBytes } from 'node:crypto';

/** Later instants sort first: 9 base-36 digits hold milliseconds until the year 5188. */
const farFuture = 36 ** 9 - 1;

/** Key part for an instant such that the newest sorts first. */
export function newestFirst(milliseconds: number): string {
  return (farFuture - milliseconds).toString(36).padStart(9, '0');
}

/** The instant of a `newestFirst` part. */
export function instantOf(part: string): number {
  return farFuture - Number.parseInt(part.slice(0, 9), 36);
}

/** A new id of which later ones sort first: 9 digits of time, 14 of chance (72 bits). */
export function newestFirstId(milliseconds: number): string {
  return (
    newestFirst(milliseconds) +
    BigInt(`0x${randomBytes(9).toString('hex')}`)
      .toString(36)
      .padStart(14, '0')
  );
}

/** Lower-case hex digits of the SHA-256 of parts that cannot run into one another. */
export function digest(length: number, ...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.digest('hex').slice(0, length);
}

/** An id that begins with the account's name: whoever holds it can find its partition. Names hold no dot. */
export function accountId(account: string, localId: string): string {
  return `${account}.${localId}`;
}

/** The account that a text names, by itself or by an `accountId`; undefined for anything that can be neither. */
export function accountNamed(text: string): string | undefined {
  return /^([a-z0-9][a-z0-9-]{0,31})(\.[0-9a-z]{16,64})?$/.exec(text)?.[1];
}

/** Takes an `accountId` apart; undefined for anything that cannot be one. */
export function splitAccountId(id: string): { account: string; localId: string } | undefined {
  const match = /^([a-z0-9][a-z0-9-]{0,31})\.([0-9a-z]{16,64})$/.exec(id);
  return match?.[1] && match[2] ? { account: match[1], localId: match[2] } : undefined;
}
