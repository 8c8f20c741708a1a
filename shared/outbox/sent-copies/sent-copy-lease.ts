import { type Acquired, isAcquired, type Unavailable } from '../../platform/acquired.ts';
import { isLeased, type LeaseKind, RowLease } from '../../platform/row-lease.ts';
import { type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { isClaimed } from '../delivering/claim.ts';
import { localIdOf, recordKey } from '../keys.ts';
import type { MessageRecord, SentCopy } from '../record.ts';
import { type CopyState, copyColumns, copyStateOf } from './sent-copy-state.ts';

const kind: LeaseKind = {
  name: 'sentCopy',
  lapseMs: 60_000,
  renewEveryMs: 20_000,
  ownRow: true,
  // As with a claim: the commit point is guarded by a conditional write.
  stopsWhenUnsure: false,
};

/** Whether somebody appends the copy of a row now. */
export function isBeingCopied(row: Row, now: number): boolean {
  return isLeased(row, kind, now);
}

/** The right to append one copy: a lease of its row. Its methods throw LeaseLost. */
export class SentCopyLease implements Acquired {
  readonly account: string;
  readonly localId: string;
  readonly #context: OutboxContext;
  readonly #key: string;
  readonly #lease: RowLease;
  #state: CopyState;

  private constructor(context: OutboxContext, account: string, row: Row, lease: RowLease) {
    this.#context = context;
    this.account = account;
    this.#key = row.key;
    this.localId = localIdOf(row.key);
    this.#state = copyStateOf(row);
    this.#lease = lease;
  }

  /** Unavailable if somebody else was faster. */
  static async acquire(context: OutboxContext, account: string, row: Row): Promise<SentCopyLease | Unavailable> {
    const { rows, clock } = context;
    const place = { rows, clock, partition: account, key: row.key };
    const now = clock.now();
    // The recovery timer looks after it when the lease has lapsed.
    const state = { ...copyStateOf(row), checkAt: now + kind.lapseMs };
    const lease = await RowLease.acquire(place, kind, row, copyColumns(state, now));
    return isAcquired(lease) ? new SentCopyLease(context, account, row, lease) : lease;
  }

  get state(): CopyState {
    return this.#state;
  }

  /** Aborted when the lease is lost. */
  get lost(): AbortSignal {
    return this.#lease.lost;
  }

  /** The commit point: from here on no second copy is appended unless the first one is known to be missing. */
  async commit(): Promise<void> {
    const columns = { committedAt: this.#context.clock.now() };
    this.#state = { ...this.#state, ...columns };
    await this.#lease.confirm(columns);
  }

  /** Keeps the transport's note (see SendOptions.remember). */
  async remember(note: string): Promise<void> {
    await this.#lease.merge({ note });
    this.#state = { ...this.#state, note };
  }

  /** Writes the copy's new state and ends the lease: the copy is tried again later. */
  async finish(state: CopyState): Promise<void> {
    const columns = copyColumns(state, this.#context.clock.now());
    await this.#lease.finish((etag) => [{ kind: 'replace', key: this.#key, columns, etag }]);
  }

  /**
   * Says in the message's record how the copy ended, and removes the copy's row. False: the record is being worked on;
   * the lease is kept, try again later.
   */
  async end(ended: Exclude<SentCopy, 'pending'>): Promise<boolean> {
    const { rows, clock } = this.#context;
    const record = await rows.get(this.account, recordKey(this.localId));
    const columns: Pick<MessageRecord, 'sentCopy'> = { sentCopy: ended };
    if (record && isClaimed(record, clock.now())) {
      return false;
    }
    try {
      await this.#lease.finish((etag) => [
        ...(record ? [{ kind: 'merge' as const, key: record.key, columns, etag: record.etag }] : []),
        { kind: 'delete', key: this.#key, etag },
      ]);
      return true;
    } catch (error) {
      // Somebody wrote the record meanwhile.
      if (error instanceof RowConflict) {
        return false;
      }
      throw error;
    }
  }

  /** Gives the lease up without a result. Nothing is written: it lapses. */
  release(): void {
    this.#lease.abandon();
  }
}
