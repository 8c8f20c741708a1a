import { type JoinedFetch, JoinedFetches } from '../joined-fetches.ts';
import type { MailContent } from '../mail-content.ts';
import { type FetchedMail, type ListedMail, StoreError } from '../store.ts';
import { locate } from './headers.ts';
import { Miscounted, wholeMail } from './mail-content.ts';
import type { Maildrop } from './maildrop.ts';
import { nonsense } from './pop3-errors.ts';
import type { MaildropContext } from './pop3-sessions.ts';
import type { Reply } from './replies.ts';

type Batch = readonly ListedMail[];

/** What a batch came to. */
export interface FetchedBatch {
  readonly fetched: readonly FetchedMail[];
  /** A mail far larger than the server said, by which the batch ended. */
  readonly miscounted?: ListedMail;
  /** The mails that the batch did not reach. */
  readonly left: Batch;
}

type Fetch = JoinedFetch<ListedMail, FetchedBatch>;

/** Fetches of one session: what waits for its turn may be asked for together. */
export type SessionFetches = JoinedFetches<Maildrop, ListedMail, FetchedBatch>;

/** The fetches of a session: the mails of several fetches in one row of commands. */
export function sessionFetches(context: MaildropContext): SessionFetches {
  return new JoinedFetches<Maildrop, ListedMail, FetchedBatch>({
    nothing: { fetched: [], left: [] },
    exclusive: (signal, work) => context.sessions.exclusive(signal, work),
    run: (maildrop, fetches) => fetchTogether(context, maildrop, fetches),
    sizeOf: ({ size }) => size,
    together: () => true,
  });
}

/** A command, and what its answer is read by. */
interface Step {
  readonly command: string;
  read(reply: Reply): Promise<void> | void;
}

async function fetchTogether(context: MaildropContext, maildrop: Maildrop, fetches: readonly Fetch[]): Promise<void> {
  const [first, ...others] = fetches;
  if (first === undefined) return;
  const { signal } = first.options;
  const batches: BatchFetch[] = [];
  for (const one of fetches) {
    try {
      batches.push(await BatchFetch.begin(context, maildrop, one));
    } catch (error) {
      // Finding its mails may have broken the line, which is no trouble of those before it.
      one.fail(error);
      return;
    }
  }
  const steps = batches.flatMap((batch) => batch.steps);
  try {
    await maildrop.connection.each(
      steps.map(({ command }) => command),
      (reply, index) => steps[index]?.read(reply),
      signal,
    );
  } catch (error) {
    const failed = batches.find((batch) => !batch.isWhole);
    if (!failed?.answerInPart(error, others.length === 0)) throw error;
  }
}

/** The mails of one fetch among the commands of several. */
class BatchFetch {
  readonly #fetch: Fetch;
  readonly #there: Batch;
  readonly #fetched: FetchedMail[];
  readonly steps: readonly Step[];
  #done = 0;

  private constructor(
    fetch: Fetch,
    numbers: ReadonlyMap<ListedMail, number>,
    steps: (batch: BatchFetch) => readonly Step[],
  ) {
    this.#fetch = fetch;
    this.#there = [...numbers.keys()];
    const missing = fetch.mails.filter((mail) => !numbers.has(mail));
    this.#fetched = missing.map((mail) => ({ mail, content: { kind: 'gone' } }));
    this.steps = steps(this);
    if (this.steps.length === 0) this.#answer();
  }

  static async begin(context: MaildropContext, maildrop: Maildrop, fetch: Fetch): Promise<BatchFetch> {
    const { signal } = fetch.options;
    const numbers = await locate(maildrop, context.identity, fetch.mails, signal);
    const last = maildrop.markable([...numbers.values()]);
    const mark = last !== undefined && (await maildrop.canMark(last, signal)) ? last : undefined;
    return new BatchFetch(fetch, numbers, (batch) => {
      const steps: Step[] = [...numbers].map(([mail, number]) => ({
        command: `RETR ${number}`,
        read: async (reply) => batch.#take({ mail, content: await wholeMail(maildrop, mail, reply, signal) }, mark),
      }));
      if (mark !== undefined) {
        const read = (reply: Reply) => {
          // Somewhere there was one answer too many, and from there on each was taken for that of the next command.
          if (!maildrop.isMark(mark, reply)) throw nonsense('RETR', 'answers that are out of step', 'OUT_OF_STEP');
          batch.#answer();
        };
        steps.push({ command: maildrop.mark(mark), read });
      }
      return steps;
    });
  }

  /** It has its answer. */
  get isWhole(): boolean {
    return this.#fetch.answered;
  }

  #take(fetched: FetchedMail, mark: number | undefined): void {
    this.#fetched.push(fetched);
    this.#done += 1;
    if (mark === undefined && this.#done === this.#there.length) this.#answer();
  }

  #answer(): void {
    this.#fetch.answer({ fetched: this.#fetched, left: [] });
  }

  /**
   * Answers with what had come before the row of commands ended. False where the error is the answer. `alone`: no other
   * fetch was in that row.
   */
  answerInPart(error: unknown, alone: boolean): boolean {
    const miscounted = this.#there[this.#done];
    if (error instanceof Miscounted && miscounted !== undefined) {
      this.#fetch.answer({ fetched: this.#fetched, miscounted, left: this.#there.slice(this.#done + 1) });
      return true;
    }
    const only = alone && this.#there.length === 1 ? this.#fetched.at(-1) : undefined;
    // What follows a mail that is too short is the rest of it, or nonsense: the mail's trouble, where it was alone.
    if (!only || !isShort(only.content) || !(error instanceof StoreError) || error.kind !== 'protocol') return false;
    this.#fetch.answer({ fetched: [...this.#fetched.slice(0, -1), { mail: only.mail, content: cutShort }], left: [] });
    return true;
  }
}

const cutShort: MailContent = { kind: 'broken', reason: 'cutShort' };

function isShort(content: MailContent): boolean {
  return content.kind === 'bytes' && content.doubt?.() === 'cutShort';
}
