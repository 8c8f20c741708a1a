import type { Clock } from '../../platform/clock.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { RowConflict, type Rows } from '../../platform/rows.ts';
import { askedKey, partition } from './keys.ts';

const minuteMs = 60_000;

/** Accounts remembered. */
const maxKnown = 10_000;

/** How often a write is tried that other processes were faster with. */
const maxRounds = 5;

export interface ImportGateOptions {
  readonly clock: Clock;
  readonly rows: Rows;
  /** Queues an import of the account. */
  readonly enqueue: (account: string, delayMs: number) => Promise<void>;
}

/**
 * Queues imports that notifications ask for: at most one of an account for each minute, over all processes, and none of
 * them is lost. The first is queued at once; whatever else comes in that minute is seen by one that is queued for the
 * next. Row `n:` says for which minute the last one was queued.
 */
export class ImportGate {
  readonly #options: ImportGateOptions;
  /** By account: the last minute for which an import is known to be queued. */
  readonly #queued = new LruMap<string, number>({ max: maxKnown });
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: ImportGateOptions) {
    this.#options = options;
  }

  /** Whether an import is queued that begins later than now: there is nothing to ask for. */
  isQueued(account: string): boolean {
    return (this.#queued.get(account) ?? 0) > this.#minute();
  }

  /** Queues an import, unless one that begins later is queued. False where there was nothing to do. Throws storage's trouble. */
  async ask(account: string): Promise<boolean> {
    if (this.isQueued(account)) return false;
    // Callers at the same time share what comes of the first, and then look again.
    const before = this.#asking.get(account);
    if (before) {
      await before.catch(() => undefined);
      return await this.ask(account);
    }
    const asked = this.#ask(account).finally(() => this.#asking.delete(account));
    this.#asking.set(account, asked);
    return await asked;
  }

  async #ask(account: string): Promise<boolean> {
    const { clock, rows, enqueue } = this.#options;
    const key = askedKey(account);
    for (let round = 1; ; round += 1) {
      const row = await rows.get(partition, key);
      const now = this.#minute();
      const last = typeof row?.columns.minute === 'number' ? row.columns.minute : 0;
      // A minute that no right clock can have written yet is none.
      const queued = last > now + 1 ? 0 : last;
      if (queued > now) {
        this.#queued.set(account, queued);
        return false;
      }
      const minute = queued === now ? now + 1 : now;
      const columns = { minute, at: clock.now() };
      try {
        await rows.write(partition, [
          row ? { kind: 'replace', key, columns, etag: row.etag } : { kind: 'insert', key, columns },
        ]);
      } catch (error) {
        if (error instanceof RowConflict && round < maxRounds) continue;
        throw error;
      }
      await enqueue(account, Math.max(0, minute * minuteMs - clock.now()));
      this.#queued.set(account, minute);
      return true;
    }
  }

  #minute(): number {
    return Math.floor(this.#options.clock.now() / minuteMs);
  }
}
