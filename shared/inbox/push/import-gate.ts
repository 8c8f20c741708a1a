import type { Clock } from '../../platform/clock.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { RowConflict, type Rows } from '../../platform/rows.ts';
import { askedKey, partition } from './keys.ts';

/** Imports of one account begin so far apart, in ms: a burst of mail is one import, and no mail waits for longer. */
export const gapMs = 1_000;

/** Clocks of two processes differ by less: what begins sooner may have begun by another clock. */
const skewMs = 250;

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
 * Queues imports that notifications ask for: at most one of an account in a second, over all processes, and none of them
 * is lost. The first is queued at once; whatever else comes within a second is seen by one that is queued for its end.
 * One that meets an import under way has it go round once more. Row `n:` says when the last one begins.
 */
export class ImportGate {
  readonly #options: ImportGateOptions;
  /** By account: when the last import begins that is known to be queued, in ms since the epoch. */
  readonly #queued = new LruMap<string, number>({ max: maxKnown });
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: ImportGateOptions) {
    this.#options = options;
  }

  /** Whether an import is queued that begins later than now: there is nothing to ask for. */
  isQueued(account: string): boolean {
    return isLater(this.#queued.get(account), this.#options.clock.now());
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
      const now = clock.now();
      const last = typeof row?.columns.beginsAt === 'number' ? row.columns.beginsAt : undefined;
      if (isLater(last, now)) {
        this.#queued.set(account, last);
        return false;
      }
      const beginsAt = isCredible(last, now) ? Math.max(now, last + gapMs) : now;
      const columns = { beginsAt, at: now };
      try {
        await rows.write(partition, [
          row ? { kind: 'replace', key, columns, etag: row.etag } : { kind: 'insert', key, columns },
        ]);
      } catch (error) {
        if (error instanceof RowConflict && round < maxRounds) continue;
        throw error;
      }
      await enqueue(account, beginsAt - clock.now());
      this.#queued.set(account, beginsAt);
      return true;
    }
  }
}

/** A time that no right clock can have written yet is none. */
function isCredible(beginsAt: number | undefined, now: number): beginsAt is number {
  return beginsAt !== undefined && beginsAt <= now + gapMs + skewMs;
}

function isLater(beginsAt: number | undefined, now: number): beginsAt is number {
  return isCredible(beginsAt, now) && beginsAt > now + skewMs;
}
