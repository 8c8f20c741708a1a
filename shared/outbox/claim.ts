import { randomUUID } from 'node:crypto';
import { log } from '../platform/log.ts';
import { type Row, RowConflict, type RowWrite } from '../platform/rows.ts';
import type { OutboxContext } from './context.ts';
import { type MessageRecord, openKey, recordColumns, recordKey, recordOf } from './record.ts';

/** A claim that is not renewed for this long has lapsed: its process is gone. */
export const claimMs = 60_000;
const renewEveryMs = 20_000;

/** The claim was lost to somebody else, or could not be renewed in time: stop before anything leaves. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

/**
 * The right to deliver one message, held by one process. Every write is conditional on the row as this process last
 * wrote it, one after the other, so that a claim that lapsed and was taken can change nothing any more.
 */
export class Claim {
  readonly #context: OutboxContext;
  readonly #lost = new AbortController();
  readonly #renewal: NodeJS.Timeout;
  #etag: string;
  #record: MessageRecord;
  #writes: Promise<unknown> = Promise.resolve();

  private constructor(context: OutboxContext, record: MessageRecord, etag: string) {
    this.#context = context;
    this.#record = record;
    this.#etag = etag;
    this.#renewal = setInterval(() => this.#renew(), renewEveryMs);
    this.#renewal.unref();
  }

  /** Claims a record read a moment ago; undefined where somebody else was faster. */
  static async take(context: OutboxContext, record: MessageRecord, row: Row): Promise<Claim | undefined> {
    const now = context.clock.now();
    const columns = {
      status: 'sending' as const,
      claimOwner: randomUUID(),
      claimUntil: now + claimMs,
      claimedAt: now,
      firstAttemptAt: record.firstAttemptAt ?? now,
    };
    try {
      const [etag] = await context.rows.write(record.account, [
        { kind: 'merge', key: row.key, columns, etag: row.etag },
      ]);
      return new Claim(context, { ...record, ...columns }, etag ?? '');
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      // Storage may have carried out the write and the SDK repeated it: then the row says our name.
      const again = await context.rows.get(record.account, row.key);
      if (again?.columns.claimOwner === columns.claimOwner) {
        return new Claim(context, recordOf(record.account, again), again.etag);
      }
      return undefined;
    }
  }

  get record(): MessageRecord {
    return this.#record;
  }

  /** Aborted when the claim is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The commit point: from here on the outcome without a receipt is `uncertain`. Throws ClaimLost. */
  async commit(): Promise<void> {
    const now = this.#context.clock.now();
    await this.#merge({ committing: true, committedAt: now, claimUntil: now + claimMs });
  }

  async remember(note: string): Promise<void> {
    await this.#merge({ remembered: note });
  }

  /** Writes the record as it is after the attempt, with what else is to be true then, and ends the claim. Answers the row's etag. Throws ClaimLost. */
  async finish(record: MessageRecord, open: boolean, more: readonly RowWrite[] = []): Promise<string> {
    clearInterval(this.#renewal);
    return this.#exclusively(async () => {
      const writes: RowWrite[] = [
        { kind: 'replace', key: recordKey(record.rest), columns: recordColumns(record), etag: this.#etag },
        ...more,
      ];
      if (open && record.nextAttemptAt !== undefined) {
        writes.push({ kind: 'put', key: openKey(record.rest), columns: { checkAt: record.nextAttemptAt + claimMs } });
      }
      const [etag] = await this.#write(writes, (row) => row.columns.claimOwner !== this.#record.claimOwner);
      return etag;
    });
  }

  /** Gives the claim up without a word; the recovery timer takes over when it lapses. */
  abandon(): void {
    clearInterval(this.#renewal);
  }

  #renew(): void {
    this.#merge({ claimUntil: this.#context.clock.now() + claimMs }).catch((error) => {
      if (error instanceof ClaimLost) {
        log.warn('outbox.claimLost');
      }
    });
  }

  async #merge(
    columns: Partial<Pick<MessageRecord, 'claimUntil' | 'committing' | 'committedAt' | 'remembered'>>,
  ): Promise<void> {
    await this.#exclusively(async () => {
      const key = recordKey(this.#record.rest);
      const [etag] = await this.#write([{ kind: 'merge', key, columns, etag: this.#etag }], (row) =>
        Object.entries(columns).every(([name, value]) => row.columns[name] === value),
      );
      this.#etag = etag;
      this.#record = { ...this.#record, ...columns };
    });
  }

  /** One write at a time: each needs the etag of the one before. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#writes.then(work, work);
    this.#writes = next.catch(() => undefined);
    return next;
  }

  /** `isOurs`: whether a row met instead of the expected one shows that this very write was carried out already. */
  async #write(writes: readonly RowWrite[], isOurs: (row: Row) => boolean): Promise<[string]> {
    const { account, rest, claimOwner } = this.#record;
    try {
      const [etag] = await this.#context.rows.write(account, writes);
      return [etag ?? ''];
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      const row = await this.#context.rows.get(account, recordKey(rest));
      if (row && (row.columns.claimOwner === claimOwner || row.columns.claimOwner === undefined) && isOurs(row)) {
        return [row.etag];
      }
      clearInterval(this.#renewal);
      this.#lost.abort(new ClaimLost('Another process took the message over'));
      throw this.#lost.signal.reason;
    }
  }
}
