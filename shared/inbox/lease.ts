import { randomUUID } from 'node:crypto';
import { errorText, log } from '../platform/log.ts';
import { type Row, RowConflict } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';

/** A lease that is not renewed for this long has lapsed: its process is gone. */
export const leaseMs = 30_000;
const renewEveryMs = 8_000;

export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** What the holder of an account's lease is doing. */
export interface LeaseView {
  readonly purpose: string;
  readonly runId: string;
  /** The one folder it goes through; absent: all of the account's. */
  readonly folder?: string;
}

/**
 * Whether a lease holds. One that ends later than any can was taken by a clock that was wrong: it must not keep the
 * account from everybody until then.
 */
function holds(row: Row | undefined, now: number): boolean {
  const until = row?.columns.until;
  return typeof until === 'number' && until > now && until <= now + 2 * leaseMs;
}

function viewOf(row: Row | undefined): LeaseView {
  const { purpose, runId, folder } = row?.columns ?? {};
  return {
    purpose: String(purpose ?? ''),
    runId: String(runId ?? ''),
    ...(typeof folder === 'string' ? { folder } : {}),
  };
}

/** Who holds the account's lease now. */
export async function leaseHolder(
  context: InboxContext,
  account: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<LeaseView | undefined> {
  const row = await context.rows.get(account, 'lease', options);
  return holds(row, context.clock.now()) ? viewOf(row) : undefined;
}

/**
 * One worker per account at a time: an import, a retention, a sweep or a dry run. It keeps servers from being asked
 * twice; that nothing is imported twice rests on conditional writes alone.
 */
export class Lease {
  readonly #context: InboxContext;
  readonly #account: string;
  readonly #owner: string;
  readonly #view: LeaseView;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #etag: string;
  #renewal: Promise<void> = Promise.resolve();
  #until: number;

  private constructor(context: InboxContext, account: string, owner: string, view: LeaseView, etag: string) {
    this.#context = context;
    this.#account = account;
    this.#owner = owner;
    this.#view = view;
    this.#etag = etag;
    this.#until = context.clock.now() + leaseMs;
    this.#timer = setInterval(() => {
      this.#renewal = this.#renew();
    }, renewEveryMs);
    this.#timer.unref();
  }

  /** Takes the account's lease, or answers who holds it. */
  static async take(context: InboxContext, account: string, view: LeaseView): Promise<Lease | LeaseView> {
    const row = await context.rows.get(account, 'lease');
    const now = context.clock.now();
    if (holds(row, now)) {
      return viewOf(row);
    }
    const owner = randomUUID();
    const columns = { owner, until: now + leaseMs, ...view };
    try {
      const [etag] = await context.rows.write(account, [
        row ? { kind: 'replace', key: 'lease', columns, etag: row.etag } : { kind: 'insert', key: 'lease', columns },
      ]);
      return new Lease(context, account, owner, view, etag ?? '');
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      const held = await context.rows.get(account, 'lease');
      if (held?.columns.owner === owner) {
        return new Lease(context, account, owner, view, held.etag);
      }
      return viewOf(held);
    }
  }

  /** Aborted when the lease is lost or can no longer be held for certain. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async #renew(): Promise<void> {
    const now = this.#context.clock.now();
    try {
      const columns = { owner: this.#owner, until: now + leaseMs, ...this.#view };
      const [etag] = await this.#context.rows.write(this.#account, [
        { kind: 'replace', key: 'lease', columns, etag: this.#etag },
      ]);
      this.#etag = etag ?? '';
      this.#until = now + leaseMs;
    } catch (error) {
      if (error instanceof RowConflict) {
        const row = await this.#context.rows.get(this.#account, 'lease').catch(() => undefined);
        if (row?.columns.owner === this.#owner) {
          this.#etag = row.etag;
          return;
        }
      } else if (this.#until > this.#context.clock.now()) {
        // Storage is away for a moment; the lease still holds.
        log.warn('inbox.leaseRenewal', { error: errorText(error) });
        return;
      }
      this.#end();
      this.#lost.abort(new LeaseLost('The lease of the account was lost'));
    }
  }

  #end(): void {
    clearInterval(this.#timer);
  }

  /** Gives the lease back. Never throws: a lease that cannot be given back lapses. */
  async release(): Promise<void> {
    this.#end();
    await this.#renewal;
    try {
      const columns = { owner: '', until: 0, ...this.#view };
      await this.#context.rows.write(this.#account, [{ kind: 'replace', key: 'lease', columns, etag: this.#etag }]);
    } catch (error) {
      log.warn('inbox.leaseRelease', { error: errorText(error) });
    }
  }
}
