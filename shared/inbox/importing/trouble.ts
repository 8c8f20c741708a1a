import { RestError } from '@azure/data-tables';
import { BrokenMail, type ContentDoubt } from '../../adapters/mail-content.ts';
import { StoreError } from '../../adapters/store.ts';
import { EmptyMailError } from '../../mime/mail.ts';
import { LeaseLost } from '../../platform/row-lease.ts';
import { storageStatus } from '../../platform/storage.ts';
import { Superseded } from '../session/fence.ts';

/** The mail's bytes are not what its server had announced: counts as an attempt of it. */
export class Doubtful extends Error {
  override readonly name = 'Doubtful';
  /** How many came. */
  readonly bytes: number;

  constructor(doubt: ContentDoubt, bytes: number) {
    super(new BrokenMail(doubt).message);
    this.bytes = bytes;
  }
}

/** Something is odd about the mail that came with others: it is fetched once more, alone. No failure. */
export class ToBeReread extends Error {
  override readonly name = 'ToBeReread';
}

/** The mail turned out larger than the account imports whole, which its server had not announced: its headers are enough. */
export class Oversize extends Error {
  override readonly name = 'Oversize';
}

/** Trouble that this one mail makes, as against servers, storage, network, time. */
export function isOwnTrouble(error: unknown): boolean {
  if (error instanceof Doubtful || error instanceof BrokenMail || error instanceof EmptyMailError) {
    return true;
  }
  if (error instanceof StoreError || error instanceof Superseded || storageStatus(error) !== undefined) {
    return false;
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  // A time that is over is a DOMException, or what Azure's libraries make of it, which has a name alone; what the system or
  // storage says has a code.
  const cut = error instanceof DOMException || (error instanceof Error && error.name === 'AbortError');
  const others = error instanceof LeaseLost || cut || error instanceof RestError;
  return !others && typeof code !== 'string';
}
