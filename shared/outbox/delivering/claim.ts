import { type Acquired, isAcquired, type Unavailable } from '../../platform/acquired.ts';
import type { Clock } from '../../platform/clock.ts';
import { isLeased, type LeaseKind, RowLease } from '../../platform/row-lease.ts';
import type { Columns, Row, Rows, RowWrite } from '../../platform/rows.ts';
import { endedRows } from '../finding/index-rows.ts';
import { openKey, recordKey } from '../keys.ts';
import { type Attempt, type MessageRecord, recordColumns } from '../record.ts';
import { withAttempt } from './outcome.ts';

/** A claim that is not renewed for this long has lapsed: its process is gone. In ms. */
export const claimMs = 60_000;

const kind: LeaseKind = {
  name: 'claim',
  lapseMs: claimMs,
  renewEveryMs: 20_000,
  ownRow: false,
  // What leaves is guarded by `commit`; from there on the answer is worth waiting for.
  stopsWhenUnsure: false,
};

/**
 * Of a mail that is likely to have left before anybody can ask: its claim is written with its commit point, and by
 * itself only where that is not reached within a second.
 */
const quickKind: LeaseKind = { ...kind, writtenWithinMs: 1_000 };

/** Whether somebody delivers the message of a row now, as far as the row says. */
export function isClaimed(row: Row, now: number): boolean {
  return isLeased(row, kind, now);
}

/** Where claims are kept. */
interface ClaimContext {
  readonly rows: Rows;
  readonly clock: Clock;
}

/** The right to deliver one message: a lease of its record. All writes of a delivery go through it. Its methods throw LeaseLost. */
export class Claim implements Acquired {
  readonly #context: ClaimContext;
  readonly #lease: RowLease;
  #record: MessageRecord;

  private constructor(context: ClaimContext, record: MessageRecord, lease: RowLease) {
    this.#context = context;
    this.#record = record;
    this.#lease = lease;
  }

  /**
   * Claims a record that was read a moment ago and that nobody has claimed. Unavailable if somebody else was faster. An
   * attempt that ended before its commit point is written down with the claim, for this one may end in the same way.
   * `quick`: see `quickKind`; another one is then found to be faster only by a method that writes.
   */
  static async acquire(
    context: ClaimContext,
    record: MessageRecord,
    row: Row,
    { quick = false }: { readonly quick?: boolean } = {},
  ): Promise<Claim | Unavailable> {
    const { rows, clock } = context;
    const now = clock.now();
    const columns = { status: 'sending' as const, claimedAt: now, firstAttemptAt: record.firstAttemptAt ?? now };
    const interrupted = interruptedAttempt(record);
    const attempts = interrupted ? withAttempt(record.attempts, interrupted) : record.attempts;
    const document = interrupted ? recordColumns({ ...record, attempts }) : {};
    const place = { rows, clock, partition: record.account, key: row.key };
    const lease = await RowLease.acquire(place, quick ? quickKind : kind, row, { ...document, ...columns });
    if (!isAcquired(lease)) return lease;
    return new Claim(context, { ...record, ...columns, attempts, leaseOwner: lease.owner }, lease);
  }

  get record(): MessageRecord {
    return this.#record;
  }

  /** Aborted when the claim is lost. */
  get lost(): AbortSignal {
    return this.#lease.lost;
  }

  /** The commit point: from here on the outcome without a receipt is `uncertain`. */
  async commit(): Promise<void> {
    const columns = { committing: true, committedAt: this.#context.clock.now() };
    this.#record = { ...this.#record, ...columns };
    await this.#lease.confirm(columns);
  }

  /** Keeps a transport's note (see SendOptions.remember). */
  async remember(note: string): Promise<void> {
    await this.#lease.merge({ remembered: note });
    this.#record = { ...this.#record, remembered: note };
  }

  /**
   * Writes the record as it is after the attempt, with what else is to be true then, and ends the claim. Where no other
   * attempt follows, its row of open messages says that its end is to be told. Answers the record row's etag.
   */
  async finish(record: MessageRecord, more: readonly RowWrite[]): Promise<string> {
    const { localId, nextAttemptAt } = record;
    const now = this.#context.clock.now();
    const waits = nextAttemptAt === undefined ? undefined : waitColumns(nextAttemptAt, now);
    const openColumns = waits ? waits.open : { ...waitColumns(now, now).open, ended: true };
    const [etag = ''] = await this.#lease.finish((known) => [
      {
        kind: 'replace',
        key: recordKey(localId),
        columns: { ...recordColumns(record), ...waits?.record },
        etag: known,
      },
      ...endedRows(record),
      ...more,
      { kind: 'put', key: openKey(localId), columns: openColumns },
    ]);
    return etag;
  }

  /** Gives the claim up without a result. Nothing is written: the recovery timer takes over when it lapses. */
  release(): void {
    this.#lease.abandon();
  }
}

/** The attempt of a claim that lapsed before its commit point. */
function interruptedAttempt({ claimedAt, committing }: MessageRecord): Attempt | undefined {
  if (claimedAt === undefined || committing) return undefined;
  return { at: new Date(claimedAt).toISOString(), outcome: 'interrupted' };
}

/**
 * Columns of a message that waits until `at`: of its record, and of its row of open messages. How long the wait is
 * stands beside its end, so that one written by a wrong clock is known (`dueTime`).
 */
export function waitColumns(at: number, now: number): { readonly record: Columns; readonly open: Columns } {
  const waitMs = Math.max(0, at - now);
  return { record: { waitMs }, open: { checkAt: at + claimMs, waitMs: waitMs + claimMs } };
}
