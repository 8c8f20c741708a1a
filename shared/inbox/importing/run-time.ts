import type { ImportContext } from '../session/import-context.ts';

/** Mails a run imports at most before it hands over to its continuation: no account keeps a worker for ever. */
const mailBudget = 5_000;

/** A run begins nothing new when this part of its time is over; the rest is for what is under way. */
const newWorkShare = 0.8;

/** While less than this part of its time is over, mail may be asked for that waits behind other mail: it gets its time. */
const queueShare = 0.5;

/** What is still under way when this part of the run's time is over is set aside, so that the rest can be committed. */
const setAsideShare = 0.92;

/** A page may take this part of a run's time, and a mail that is tried alone while others wait this part. */
const pageShare = 1 / 3;
const loneShare = 1 / 4;

/** A try of a mail that had this part of a run's time was a fair one. */
const fairShare = 1 / 2;

/** How a run's time is given to its mails. */
export class RunTime {
  readonly #context: ImportContext;

  constructor(context: ImportContext) {
    this.#context = context;
  }

  get #budgetMs(): number {
    return this.#context.inbox.budgetMs;
  }

  get #elapsedMs(): number {
    return performance.now() - this.#context.startedAt;
  }

  /** Whether new work may begin: there is time, the run has not imported its share of mails, the process is not ending. */
  mayBegin(): boolean {
    const { inbox, counts } = this.#context;
    const inTime = this.#elapsedMs < this.#budgetMs * newWorkShare;
    return inTime && counts.imported < mailBudget && !inbox.shutdown.stopping.aborted;
  }

  /** Whether a page may be asked for while the one before it is still coming. */
  mayQueue(): boolean {
    return this.#elapsedMs < this.#budgetMs * queueShare;
  }

  /** Whether nothing may go on but the end of the run. */
  over(): boolean {
    return this.#elapsedMs >= this.#budgetMs * setAsideShare;
  }

  /** Time of a page, in ms. */
  pageMs(): number {
    return Math.min(this.#budgetMs * pageShare, this.#remainingMs());
  }

  /** Time of a mail that is tried alone while others wait, in ms. */
  aloneMs(): number {
    return Math.min(this.#budgetMs * loneShare, this.#remainingMs());
  }

  /** Time of a mail that is tried when no other waits, in ms. */
  lastMs(): number {
    return this.#remainingMs();
  }

  /** Whether a try that had so many ms shows that a run is too short for the mail. */
  isFair(ms: number): boolean {
    return ms >= this.#budgetMs * fairShare;
  }

  #remainingMs(): number {
    return Math.max(1, this.#budgetMs * setAsideShare - this.#elapsedMs);
  }
}
