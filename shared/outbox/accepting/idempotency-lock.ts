import { type Acquired, isAcquired } from '../../platform/acquired.ts';
import { errorText, log } from '../../platform/log.ts';
import { Refusal } from '../../platform/refusal.ts';
import { isLeased, type LeaseKind, LeaseLost, RowLease } from '../../platform/row-lease.ts';
import type { Row, RowWrite } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { idempotencyRowKey } from '../keys.ts';

/** Keys are kept this long per account (design section 3). In ms. */
export const keepKeyMs = 7 * 86_400_000;

const kind: LeaseKind = {
  name: 'idempotencyKey',
  lapseMs: 15_000,
  renewEveryMs: 4_000,
  ownRow: true,
  // A loss shows when the record is written: that write is conditional on this row.
  stopsWhenUnsure: false,
};

/** A key that a mail was accepted with in the last 7 days: which mail, and for what request. */
export interface UsedKey {
  readonly message: string;
  readonly requestHash: string;
}

/** What a key's row says; undefined where it is free: never used, given back, lapsed or older than 7 days. */
export function usedKey(row: Row | undefined, now: number): UsedKey | undefined {
  const { message, requestHash, at } = row?.columns ?? {};
  return typeof message === 'string' &&
    typeof requestHash === 'string' &&
    typeof at === 'number' &&
    at > now - keepKeyMs
    ? { message, requestHash }
    : undefined;
}

function stillAccepting(): Refusal {
  return new Refusal('conflict', 'A request with this Idempotency-Key is still being accepted; try again.');
}

/**
 * A caller's key from the first sight of its request until the mail is durable, so that a second request with the same
 * key cannot bring a second mail meanwhile. Ends by the write that makes the record durable, or is given back.
 */
export class IdempotencyLock implements Acquired {
  readonly #context: OutboxContext;
  readonly #key: string;
  readonly #lease: RowLease;

  private constructor(context: OutboxContext, key: string, lease: RowLease) {
    this.#context = context;
    this.#key = key;
    this.#lease = lease;
  }

  /** Locks the key, or answers what it was used for. Throws Refusal `conflict` while another request has it. */
  static async acquire(
    context: OutboxContext,
    account: string,
    caller: string,
    options: { readonly signal: AbortSignal },
  ): Promise<IdempotencyLock | UsedKey> {
    const { rows, clock } = context;
    const key = idempotencyRowKey(caller);
    const row = await rows.get(account, key, options);
    const now = clock.now();
    const used = usedKey(row, now);
    if (used) {
      return used;
    }
    if (isLeased(row, kind, now)) {
      throw stillAccepting();
    }
    const lease = await RowLease.acquire({ rows, clock, partition: account, key }, kind, row, { at: now });
    if (isAcquired(lease)) {
      return new IdempotencyLock(context, key, lease);
    }
    const faster = usedKey(await rows.get(account, key, options), now);
    if (faster) {
      return faster;
    }
    throw stillAccepting();
  }

  /** The write by which the key names its mail, to be made together with the mail's record. Renews no more. */
  async naming(message: string, requestHash: string): Promise<RowWrite> {
    const etag = await this.#lease.close();
    const columns = { message, requestHash, at: this.#context.clock.now() };
    return { kind: 'replace', key: this.#key, columns, etag };
  }

  /** Gives the key back: its request was refused. Never throws; what cannot be given back lapses. */
  async release(): Promise<void> {
    try {
      // A key that named no mail leaves nothing behind: whoever sends refused requests fills no table.
      await this.#lease.finish((etag) => [{ kind: 'delete', key: this.#key, etag }]);
    } catch (error) {
      if (!(error instanceof LeaseLost)) log.warn('lease.notReleased', { lease: kind.name, error: errorText(error) });
    }
  }
}
