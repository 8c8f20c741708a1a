import { StoreError } from '../adapters/store.ts';
import { EmptyMailError } from '../assets/mime/mail.ts';
import { storageStatus } from '../platform/storage.ts';

/** Something is wrong with this one mail: counts as an attempt of it. */
export class MailTrouble extends Error {
  override readonly name = 'MailTrouble';
}

/** The mail turned out larger than the account imports whole, which its server had not told: its headers are enough. */
export class Oversize extends Error {
  override readonly name = 'Oversize';
}

/** Trouble that this one mail makes, as against servers, storage, network, time. */
export function isOwnTrouble(error: unknown): boolean {
  if (error instanceof MailTrouble || error instanceof EmptyMailError) {
    return true;
  }
  if (error instanceof StoreError || storageStatus(error) !== undefined) {
    return false;
  }
  const name = error instanceof Error ? error.name : '';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return (
    name !== 'AbortError' &&
    name !== 'RestError' &&
    name !== 'TimeoutError' &&
    name !== 'LeaseLost' &&
    typeof code !== 'string'
  );
}
