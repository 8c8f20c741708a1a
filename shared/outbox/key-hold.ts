import { randomUUID } from 'node:crypto';
import { HttpProblem } from '../http/problem.ts';
import { errorText, log } from '../platform/log.ts';
import { type Row, RowConflict, type RowWrite } from '../platform/rows.ts';
import type { OutboxContext } from './context.ts';
import { idempotencyRowKey, keepKeyMs } from './idempotency.ts';

/** A key is held this long without a renewal; beyond it the process that took the request is gone. */
const holdMs = 15_000;
const renewEveryMs = 4_000;

/** A key that brought a mail within the 7 days: which, and for what request. */
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

function isHeld(row: Row | undefined, now: number): boolean {
  const until = row?.columns.until;
  return typeof until === 'number' && until > now;
}

function stillAccepting(): HttpProblem {
  return new HttpProblem(409, 'A request with this Idempotency-Key is still being accepted; try again.');
}

/**
 * A caller's key from the first sight of its request until the mail is durable, so that a second request with the same
 * key cannot bring a second mail meanwhile. Ends by the write that makes the record durable, or given back.
 */
export class KeyHold {
  readonly #context: OutboxContext;
  readonly #account: string;
  readonly #key: string;
  readonly #owner: string;
  readonly #renewal: NodeJS.Timeout;
  #etag: string;
  #writes: Promise<void> = Promise.resolve();

  private constructor(context: OutboxContext, account: string, key: string, owner: string, etag: string) {
    this.#context = context;
    this.#account = account;
    this.#key = key;
    this.#owner = owner;
    this.#etag = etag;
    this.#renewal = setInterval(() => {
      this.#writes = this.#writes.then(() => this.#renew());
    }, renewEveryMs);
    this.#renewal.unref();
  }

  /** Holds the key, or answers what it was used for. Throws HttpProblem 409 while another request holds it. */
  static async take(
    context: OutboxContext,
    account: string,
    caller: string,
    options: { readonly signal: AbortSignal },
  ): Promise<KeyHold | UsedKey> {
    const key = idempotencyRowKey(caller);
    const row = await context.rows.get(account, key, options);
    const now = context.clock.now();
    const used = usedKey(row, now);
    if (used) {
      return used;
    }
    if (isHeld(row, now)) {
      throw stillAccepting();
    }
    const owner = randomUUID();
    const columns = { owner, until: now + holdMs, at: now };
    try {
      const [etag] = await context.rows.write(account, [
        row ? { kind: 'replace', key, columns, etag: row.etag } : { kind: 'insert', key, columns },
      ]);
      return new KeyHold(context, account, key, owner, etag ?? '');
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      // Storage may have carried out the write and the SDK repeated it: then the row says our name.
      const there = await context.rows.get(account, key, options);
      if (there?.columns.owner === owner) {
        return new KeyHold(context, account, key, owner, there.etag);
      }
      const faster = usedKey(there, now);
      if (faster) {
        return faster;
      }
      throw stillAccepting();
    }
  }

  /** The write by which the key names its mail, to be made together with the mail's record. Renews no more. */
  async naming(message: string, requestHash: string): Promise<RowWrite> {
    await this.#end();
    const columns = { message, requestHash, at: this.#context.clock.now() };
    return { kind: 'replace', key: this.#key, columns, etag: this.#etag };
  }

  /** Gives the key back: its request was refused. Never throws; what cannot be given back lapses. */
  async release(): Promise<void> {
    await this.#end();
    const columns = { until: 0, at: this.#context.clock.now() };
    try {
      await this.#context.rows.write(this.#account, [{ kind: 'replace', key: this.#key, columns, etag: this.#etag }]);
    } catch (error) {
      // Changed: the record is durable after all, or another request has it by now.
      if (!(error instanceof RowConflict)) {
        log.warn('outbox.keyNotReleased', { account: this.#account, error: errorText(error) });
      }
    }
  }

  async #end(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#writes;
  }

  /** A failure shows when the record is written: that write is conditional on this row. */
  async #renew(): Promise<void> {
    const now = this.#context.clock.now();
    const columns = { owner: this.#owner, until: now + holdMs, at: now };
    try {
      const [etag] = await this.#context.rows.write(this.#account, [
        { kind: 'replace', key: this.#key, columns, etag: this.#etag },
      ]);
      this.#etag = etag ?? '';
    } catch (error) {
      log.warn('outbox.keyNotRenewed', { account: this.#account, error: errorText(error) });
      const row = await this.#context.rows.get(this.#account, this.#key).catch(() => undefined);
      if (row?.columns.owner === this.#owner) {
        this.#etag = row.etag;
      }
    }
  }
}
