import type { FetchOptions } from './store.ts';

/** Up to here a mail is fetched whole, with others in one command; above, it is streamed. Most mail is smaller. */
const SMALL_MAIL = 256 * 1024;
/** Octets in one command. One is being consumed and one under way, so twice this is held at most. */
const MAX_OCTETS = 4 * 1024 * 1024;
/** Mails in one batch, and in one command. Stops a list of numbers that no server reads to its end. */
const BATCH_MAILS = 64;
const MAX_MAILS = 256;

/**
 * Batches of small mail, each of which one command may ask for, and the mails that are large, or of which nobody knows the
 * size (`sizeOf`, in octets).
 */
export function smallBatches<Mail>(
  mails: readonly Mail[],
  sizeOf: (mail: Mail) => number | undefined,
): { readonly batches: (readonly Mail[])[]; readonly large: Mail[] } {
  const batches: Mail[][] = [];
  const large: Mail[] = [];
  let octets = 0;
  for (const mail of mails) {
    const size = sizeOf(mail);
    if (size === undefined || size > SMALL_MAIL) {
      large.push(mail);
      continue;
    }
    const batch = batches.at(-1);
    if (batch === undefined || batch.length >= BATCH_MAILS || octets + size > MAX_OCTETS) {
      batches.push([mail]);
      octets = size;
    } else {
      batch.push(mail);
      octets += size;
    }
  }
  return { batches, large };
}

/** Mails that are asked for together, and what waits for their answer. */
export interface JoinedFetch<Mail, Answer> {
  readonly mails: readonly Mail[];
  readonly options: FetchOptions;
  /** It has its answer, and what is answered now comes too late. */
  readonly answered: boolean;
  answer(answer: Answer): void;
  /** It cannot be asked for. Others of the command that have no answer are asked for again. */
  fail(error: unknown): void;
}

/** How a session fetches. */
export interface FetchCommand<Line, Mail, Answer> {
  /** The answer of a fetch that nobody waits for any more. */
  readonly nothing: Answer;
  /** Runs work when the session's line is free, and all that was asked for before it has ended. */
  exclusive(signal: AbortSignal, work: (line: Line) => Promise<void>): Promise<void>;
  /**
   * Asks for the mails of these fetches by one command, and answers each as soon as its mails are there. What it throws fails the
   * first one that has no answer; the others are asked for again, each when its turn comes.
   */
  run(line: Line, fetches: readonly JoinedFetch<Mail, Answer>[]): Promise<void>;
  /** Octets of a mail, by what the server says; undefined where it says nothing. */
  sizeOf(mail: Mail): number | undefined;
  /** Whether one command can ask for both. */
  together(mail: Mail, other: Mail): boolean;
}

/**
 * Fetches of small mail on one line. While a command is under way others are asked for: the next command takes all of them
 * that fit. So the further away a server is, the more its commands ask for, and a page costs less than a round trip.
 */
export class JoinedFetches<Line, Mail, Answer> {
  readonly #command: FetchCommand<Line, Mail, Answer>;
  readonly #waiting: Waiting<Mail, Answer>[] = [];

  constructor(command: FetchCommand<Line, Mail, Answer>) {
    this.#command = command;
  }

  /**
   * Fetches mails, of which there is at least one. Rejects with what the line or the command throws. Where `limit` is aborted
   * before a command asks for them, nothing is asked for, nor the line: whatever waits behind it comes sooner.
   */
  fetch(mails: readonly Mail[], options: FetchOptions): Promise<Answer> {
    const { signal, limit } = options;
    const mine = new Waiting<Mail, Answer>(mails, options);
    const unneeded = new AbortController();
    mine.drop = () => {
      if (mine.command || mine.answered) return;
      mine.answer(this.#command.nothing);
      unneeded.abort();
    };
    if (limit?.aborted) mine.drop();
    limit?.addEventListener('abort', mine.drop, { once: true });
    this.#ask(mine, AbortSignal.any([signal, unneeded.signal]))
      .catch(async (error: unknown) => {
        // The line may be gone for whoever waits for it, and the command that took this fetch along has an answer still.
        await mine.command;
        mine.fail(error);
      })
      .finally(() => {
        this.#leave(mine);
        limit?.removeEventListener('abort', mine.drop);
      });
    return mine.answerOf;
  }

  async #ask(mine: Waiting<Mail, Answer>, signal: AbortSignal): Promise<void> {
    while (!mine.answered) {
      // Asked for again it is still before those that came after it.
      this.#waiting.splice(mine.asked ? 0 : this.#waiting.length, 0, mine);
      mine.asked = true;
      await this.#command.exclusive(signal, async (line) => {
        this.#leave(mine);
        if (!mine.answered) await this.#run(line, [mine, ...this.#behind(mine)]);
      });
    }
  }

  async #run(line: Line, fetches: readonly Waiting<Mail, Answer>[]): Promise<void> {
    const { promise: command, resolve: end } = Promise.withResolvers<void>();
    for (const one of fetches) one.command = command;
    await this.#command.run(line, fetches).catch((error: unknown) => {
      fetches.find(({ answered }) => !answered)?.fail(error);
    });
    end();
    if (!fetches.some(({ answered }) => answered)) fetches[0]?.fail(new Error('a fetch was not answered'));
    for (const one of fetches) {
      one.command = undefined;
      if (one.options.limit?.aborted) one.drop();
    }
  }

  /** Those that wait, and fit into the same command. */
  #behind(first: Waiting<Mail, Answer>): readonly Waiting<Mail, Answer>[] {
    let octets = this.#octetsOf(first);
    let count = first.mails.length;
    const joined: Waiting<Mail, Answer>[] = [];
    for (const other of this.#waiting.filter(({ answered }) => !answered)) {
      octets += this.#octetsOf(other);
      count += other.mails.length;
      if (octets > MAX_OCTETS || count > MAX_MAILS || !this.#together(first, other)) break;
      joined.push(other);
    }
    return joined;
  }

  #together(first: Waiting<Mail, Answer>, other: Waiting<Mail, Answer>): boolean {
    const [mail] = first.mails;
    const [otherMail] = other.mails;
    if (mail === undefined || otherMail === undefined) return false;
    return joins(first) && joins(other) && this.#command.together(mail, otherMail);
  }

  #octetsOf({ mails }: Waiting<Mail, Answer>): number {
    return mails.reduce((sum, mail) => sum + (this.#command.sizeOf(mail) ?? 0), 0);
  }

  #leave(one: Waiting<Mail, Answer>): void {
    const at = this.#waiting.indexOf(one);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

/**
 * Whether others may be asked for with it. A mail that is asked for alone may fail by itself, and what is asked for by
 * headers only has no size that is known.
 */
function joins({ mails, options }: { readonly mails: readonly unknown[]; readonly options: FetchOptions }): boolean {
  return mails.length > 1 && !options.headersOnly;
}

class Waiting<Mail, Answer> implements JoinedFetch<Mail, Answer> {
  readonly mails: readonly Mail[];
  readonly options: FetchOptions;
  readonly answerOf: Promise<Answer>;
  answered = false;
  /** The line was asked for. */
  asked = false;
  /** Nobody waits for it any more: it is not asked for, unless a command does so already. */
  drop: () => void = () => undefined;
  /** The command that asks for it, until that has ended; never rejects. */
  command: Promise<void> | undefined;
  readonly #settle: PromiseWithResolvers<Answer>;

  constructor(mails: readonly Mail[], options: FetchOptions) {
    this.mails = mails;
    this.options = options;
    this.#settle = Promise.withResolvers();
    this.answerOf = this.#settle.promise;
  }

  answer(answer: Answer): void {
    this.answered = true;
    this.#settle.resolve(answer);
  }

  /** Does nothing where it has its answer. */
  fail(error: unknown): void {
    this.answered = true;
    this.#settle.reject(error);
  }
}
