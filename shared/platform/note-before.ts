import type { Clock } from './clock.ts';
import { LruMap } from './lru-map.ts';

/** How long a process relies on what it noted. In ms. */
const believeMs = 30_000;

/** What was written so long after its note is noted once more. In ms. */
const sureMs = 60_000;

/**
 * A note is kept this long although there seems to be no reason for it: far longer than anybody relies on it. Whoever
 * finds one that is older, and then that its reason is gone, may remove it on the condition of its entity tag. In ms.
 */
export const keepNoteMs = 120_000;

/** Keys that a process remembers at most. */
const maxRemembered = 10_000;

interface Noted {
  /** By the process's own clock, which nobody sets, and by the system's. In ms. */
  readonly at: number;
  readonly clockAt: number;
}

/**
 * A note that is there before what it is about, in another partition of storage: of a thousand writes within half a minute,
 * one makes a note. A process that stands still between its note and its write, so long that somebody may have removed the
 * note meanwhile, makes it again; one that is ended at that very point leaves a write without a note.
 */
export class NoteBefore {
  readonly #clock: Clock;
  readonly #write: (key: string) => Promise<void>;
  readonly #unnoted: ((key: string, error: unknown) => void) | undefined;
  readonly #noted = new LruMap<string, Noted>({ max: maxRemembered });
  readonly #noting = new Map<string, Promise<void>>();

  /**
   * `write`: makes the note, which has another entity tag afterwards. `unnoted`: the note could not be made, and what it is
   * about is worth more; absent: nothing is written then.
   */
  constructor(
    clock: Clock,
    write: (key: string) => Promise<void>,
    { unnoted }: { readonly unnoted?: (key: string, error: unknown) => void } = {},
  ) {
    this.#clock = clock;
    this.#write = write;
    this.#unnoted = unnoted;
  }

  /** Makes the note; free where this process has done so in the last half minute. Throws storage's trouble. */
  async note(key: string): Promise<void> {
    if (this.#isBelieved(key)) return;
    // Of a burst, one writes.
    const noting = this.#noting.get(key) ?? this.#noteNow(key).finally(() => this.#noting.delete(key));
    this.#noting.set(key, noting);
    await noting;
  }

  /** Makes a write that the note is about. Throws what it throws, and, without `unnoted`, storage's trouble. */
  async before<T>(key: string, write: () => Promise<T>): Promise<T> {
    // Without a wait where nothing is to be noted: writes of the same turn share a transaction.
    if (!this.#isBelieved(key)) await this.#noteOrGoOn(key);
    const noted = this.#noted.get(key);
    try {
      return await write();
    } finally {
      // Also where it seems to have failed: its answer may be lost.
      if (!noted || this.#age(noted) >= sureMs) {
        this.#noted.delete(key);
        await this.#noteOrGoOn(key);
      }
    }
  }

  async #noteOrGoOn(key: string): Promise<void> {
    try {
      await this.note(key);
    } catch (error) {
      if (!this.#unnoted) throw error;
      this.#unnoted(key, error);
    }
  }

  #isBelieved(key: string): boolean {
    const known = this.#noted.get(key);
    return known !== undefined && this.#age(known) < believeMs;
  }

  async #noteNow(key: string): Promise<void> {
    const noted = { at: performance.now(), clockAt: this.#clock.now() };
    await this.#write(key);
    this.#noted.set(key, noted);
  }

  #age({ at, clockAt }: Noted): number {
    return Math.max(performance.now() - at, Math.abs(this.#clock.now() - clockAt));
  }
}
