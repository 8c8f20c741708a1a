import { log, msSince } from '../../platform/log.ts';
import { LeaseLost } from '../../platform/row-lease.ts';
import type { Columns } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { quietColumn } from '../ledger/quiet.ts';
import { failDeadRuns, getRun, type Run, runRow } from '../ledger/runs.ts';
import { noCounts, type RunCounts, sumOfCounts } from '../run-counts.ts';
import type { AccountLease } from '../session/lease.ts';
import { lastColumn } from '../session/turn-row.ts';
import type { Ended, Notes } from '../session/with-session.ts';
import type { Round } from './import-round.ts';
import { counts, failedRun, logBacklogAtEnd, reportFailure } from './run-end.ts';

/** What a session of an import has come to. */
export interface Outcome extends Notes {
  readonly round: Round;
}

/**
 * What is written down of a run. Its end is one transaction, with the end of the lease: row `turn` has the last run of the
 * account, and a row of its own has every run that a caller was promised, that found or changed something, or that failed.
 */
export class RunRecord {
  readonly #inbox: InboxContext;
  readonly #account: string;
  /** Somebody was told its id: who asked for it, or who asked it to go round once more. */
  #promised: boolean;
  readonly #began = performance.now();
  #run: Run;
  /** What it did before it waited for a connection. */
  #earlier: RunCounts = noCounts();
  /** The last run that knew what it left. */
  #before: Run | undefined;
  #recorded = false;
  /** Somebody else has begun to work on the account: what this run knows of it is old. */
  #overtaken = false;
  /** The run was asked for another round, and had no time for it. */
  askedTooLate = false;

  constructor(inbox: InboxContext, account: string, run: Run, promised: boolean) {
    this.#inbox = inbox;
    this.#account = account;
    this.#run = run;
    this.#promised = promised;
  }

  /** The run as it is now. */
  get now(): Run {
    return this.#run;
  }

  get isPromised(): boolean {
    return this.#promised;
  }

  /** What the run has done so far. */
  counted(done: RunCounts): void {
    this.#run = { ...this.#run, ...sumOfCounts(this.#earlier, done) };
  }

  /** Where the run before ended without a word, it is marked as failed. */
  async begin({ before }: AccountLease, signal: AbortSignal): Promise<void> {
    const { last, unclear, died } = before;
    this.#before = last?.backlog === undefined ? undefined : last;
    if (unclear) {
      const found = await failDeadRuns(this.#inbox, this.#account, this.#run.id, { signal, died });
      this.#before ??= found;
    }
    if (!this.#promised) return;
    const row = await getRun(this.#inbox, this.#account, this.#run.id, { signal });
    if (row?.begun === false) this.#earlier = row;
    this.counted(noCounts());
    await this.#inbox.rows.write(this.#account, [runRow(this.#run)]);
  }

  /** Ends the lease with the run, unless it is to go round once more. Throws LeaseLost. */
  async end(ended: Ended<Outcome>, lease: AccountLease): Promise<'goRound' | undefined> {
    if (!ended.ok) {
      // What it failed with is what is to be told.
      await this.#write(lease, this.#failed(ended.error), { heedsAsks: false }).catch((reason: unknown) => {
        this.#overtaken = reason instanceof LeaseLost;
      });
      return undefined;
    }
    const { round, error, trouble } = ended.result;
    const { more, backlog, oldestWaitingAt } = round.left;
    const done: Run = {
      ...this.#run,
      backlog,
      ...(oldestWaitingAt === undefined ? {} : { oldestWaitingAt }),
      ...(error === undefined ? {} : { error: error.slice(0, 500) }),
      status: 'done',
      finishedAt: this.#inbox.clock.now(),
    };
    if (!trouble && !lease.before.works) {
      // From here on it is taken for granted, until a run fails.
      await this.#inbox.health.working(this.#account, 'store', { certain: true });
    }
    const columns = { works: trouble === undefined, quiet: quietColumn(round.quiet) };
    // What is left goes to a continuation, which is another round as well.
    const heedsAsks = !more && round.mayGoRound;
    if (!(await this.#write(lease, done, { heedsAsks, columns }))) {
      await lease.goRound();
      this.#promised = true;
      return 'goRound';
    }
    this.askedTooLate = lease.asked;
    return undefined;
  }

  /** Says in the log how the run has ended. */
  async logEnd({ sawPending, signal }: { readonly sawPending: boolean; readonly signal: AbortSignal }): Promise<void> {
    log.info('inbox.run', { ...counts(this.#run), ms: msSince(this.#began) });
    const pending = sawPending || this.#run.pending > 0;
    const before = this.#before?.backlog ?? 0;
    await logBacklogAtEnd(this.#inbox, this.#account, this.#run, { before, pending, signal });
  }

  /** Records that the run has failed, and reports the account where it is the account's trouble. Never throws. */
  async fail(error: unknown): Promise<void> {
    const run = this.#failed(error);
    const failure = { error, recorded: this.#recorded, overtaken: this.#overtaken };
    const ended = { run, before: this.#before, ms: msSince(this.#began) };
    await reportFailure(this.#inbox, this.#account, ended, failure);
  }

  #failed(error: unknown): Run {
    return failedRun(this.#run, this.#before, { error, at: this.#inbox.clock.now() });
  }

  async #write(
    lease: AccountLease,
    run: Run,
    { heedsAsks, columns = {} }: { readonly heedsAsks: boolean; readonly columns?: Columns },
  ): Promise<boolean> {
    const writes = () => (this.#isToldOf(run, lease) ? [runRow(run)] : []);
    const ended = await lease.end({ last: lastColumn(run), ...columns }, writes, { heedsAsks });
    if (ended) {
      this.#run = run;
      this.#recorded = true;
    }
    return ended;
  }

  #isToldOf(run: Run, lease: AccountLease): boolean {
    const { imported, skipped, pending, quarantined, disposed } = run;
    const found = imported + skipped + pending + quarantined + disposed + (run.backlog ?? 0) > 0;
    return this.#promised || lease.everAsked || lease.fence.used || found || run.status === 'failed' || !!run.error;
  }
}
