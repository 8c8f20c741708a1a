import { finishOriginals, publishItems } from '../originals/finish.ts';
import type { Item } from '../originals/items.ts';
import type { ImportContext } from '../session/import-context.ts';

/** What is left to do with mails that were committed: events, marks and disposals, which no other page waits for. */
export interface AfterCommit {
  readonly items: readonly Item[];
  /** They were fetched in another session: see `finish`. */
  readonly verify: boolean;
  /** What is done behind that. */
  readonly last?: () => Promise<void>;
}

/** Nothing is left to do. */
export const nothingLeft: AfterCommit = { items: [], verify: false };

/**
 * Commits whose events and disposals may wait; then the pages wait for them. Their originals are disposed of by one command:
 * where the line is lost meanwhile, each of these mails is tried again alone.
 */
const maxWaiting = 8;

/** The two halves of what comes after a commit: see `finish`. */
export interface AfterCommitSteps {
  /** Bounces and events. Answers the items that may go on. */
  publish(items: readonly Item[]): Promise<readonly Item[]>;
  /** Disposals, and the end of the rows that stand for the items. */
  dispose(items: readonly Item[], options: { readonly verify: boolean }): Promise<unknown>;
}

interface Waiting extends AfterCommit {
  /** Its items, once their events are published. */
  readonly published: Promise<readonly Item[]>;
}

/**
 * Lets the events and disposals of pages go on while other pages are imported: events at once, and page by page;
 * disposals behind them, and of several pages together, in fewer commands and transactions. After a failure nothing more is
 * begun.
 */
export class Pipeline {
  readonly #steps: AfterCommitSteps;
  readonly #waiting: Waiting[] = [];
  /** The events of the last page; rejects where they, or those of one before, were not published. */
  #published: Promise<unknown> = Promise.resolve();
  /** What is under way now; never rejects. */
  #batch: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(steps: AfterCommitSteps) {
    this.#steps = steps;
  }

  /** Resolves once it has its place. Throws the failure of one before it. */
  async next(afterCommit: AfterCommit): Promise<void> {
    while (this.#waiting.length >= maxWaiting && !this.#failure) await this.#batch;
    this.#throwFailure();
    if (afterCommit.items.length === 0 && !afterCommit.last) return;
    this.#waiting.push({ ...afterCommit, published: this.#publish(afterCommit.items) });
    this.#running ??= this.#run();
  }

  /** Resolves once nothing waits. Throws the failure of one that did. */
  async idle(): Promise<void> {
    await this.#running;
    await this.#published.catch(() => undefined);
    this.#throwFailure();
  }

  #publish(items: readonly Item[]): Promise<readonly Item[]> {
    const before = this.#published;
    const publish = async () => {
      await before;
      this.#throwFailure();
      return items.length > 0 ? await this.#steps.publish(items) : items;
    };
    const published = publish();
    // Its failure is met by whoever disposes of its originals.
    published.catch(() => undefined);
    this.#published = published;
    return published;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#failure) {
      this.#batch = this.#finishSome().catch((error: unknown) => {
        this.#failure = { error };
      });
      await this.#batch;
    }
    this.#running = undefined;
  }

  async #finishSome(): Promise<void> {
    const [{ verify } = nothingLeft] = this.#waiting;
    const end = this.#waiting.findIndex((one) => one.last !== undefined || one.verify !== verify);
    // One that has more to do ends what is done together.
    const count = end < 0 ? this.#waiting.length : this.#waiting[end]?.verify === verify ? end + 1 : end;
    const some = this.#waiting.splice(0, count);
    const items = (await Promise.all(some.map((one) => one.published))).flat();
    if (items.length > 0) await this.#steps.dispose(items, { verify });
    await some.at(-1)?.last?.();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** The pipeline of an import. */
export function pipelineOf(context: ImportContext): Pipeline {
  return new Pipeline({
    publish: (items) => publishItems(context, items),
    dispose: (items, options) => finishOriginals(context, items, options),
  });
}
