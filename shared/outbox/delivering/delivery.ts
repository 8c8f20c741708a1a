import type { Account } from '../../accounts/rules.ts';
import type { MailTransport, Receipt } from '../../adapters/transport.ts';
import type { SendToken } from '../../limits/process-rate.ts';
import { msSince } from '../../platform/log.ts';
import { LeaseLost } from '../../platform/row-lease.ts';
import type { RowWrite } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { copyKey } from '../keys.ts';
import { type MessageRecord, openStatuses } from '../record.ts';
import { copyColumns, newCopy } from '../sent-copies/sent-copy-state.ts';
import { stopGraceMs } from '../timing.ts';
import { afterAttempt } from './after-attempt.ts';
import { logAttempt } from './attempt-log.ts';
import type { Claim } from './claim.ts';
import { frozenMail, readAhead } from './frozen-mail.ts';
import { afterReceipt, afterRequeue, awaitsDelivery, uncertainReceipt, whileInDoubt } from './outcome.ts';
import { outcomeRows } from './outcome-rows.ts';
import { connectionPaceMs } from './requeue.ts';
import { giveUpAfterMs } from './retry.ts';

/**
 * `waiting`: a later attempt follows; `claimed`: somebody else delivers it; `requeued`: the account's limits, or its share
 * of the workers, are used up, or the process is to end, and the mail comes again without this having been an attempt.
 */
export type Delivered = 'ended' | 'waiting' | 'claimed' | 'unknown' | 'requeued';

/** What an attempt is made with. */
export interface AttemptContext {
  readonly account: Account | undefined;
  /** The right to send a mail now; undefined where the account has no limit in time. */
  readonly token: SendToken | undefined;
  /** The text of the mail, where it was read already. */
  readonly text: Buffer | undefined;
}

interface Attempted {
  readonly receipt: Receipt;
  /** The transport can find out what became of a lost answer. */
  readonly canResolve: boolean;
}

/** One attempt to deliver a claimed message. */
export class Delivery {
  readonly #context: OutboxContext;
  readonly #claim: Claim;
  /** As it was before it was claimed. */
  readonly #before: MessageRecord;
  readonly #with: AttemptContext;
  /** The commit point was reached for in this attempt: from then on the answer is waited for. */
  #committing = false;

  constructor(context: OutboxContext, claim: Claim, before: MessageRecord, attempt: AttemptContext) {
    this.#context = context;
    this.#claim = claim;
    this.#before = before;
    this.#with = attempt;
  }

  /** Makes the attempt and writes down its result. Throws what storage throws; then the claim lapses. */
  async run(callerSignal: AbortSignal): Promise<Exclude<Delivered, 'unknown'>> {
    const stop = this.#context.shutdown.cutAfter(stopGraceMs, () => !this.#committing);
    const started = performance.now();
    try {
      const signal = AbortSignal.any([callerSignal, this.#claim.lost, stop.signal]);
      const attempted = await this.#attempt(signal).catch((error: unknown): Attempted => {
        if (!stop.signal.aborted || this.#committing) throw error;
        return notTried([], { outcome: 'deferred', code: 'STOPPED', reply: 'The process is to end' });
      });
      return await this.#finish(attempted, started, stop.signal.aborted);
    } catch (error) {
      this.#claim.release();
      if (error instanceof LeaseLost) {
        return 'claimed';
      }
      throw error;
    } finally {
      stop.forget();
    }
  }

  async #finish(
    { receipt, canResolve }: Attempted,
    started: number,
    stopped: boolean,
  ): Promise<'ended' | 'waiting' | 'requeued'> {
    const before = this.#before;
    const record = this.#claim.record;
    const now = this.#context.clock.now();
    const comesAgainAt = this.#comesAgainAt(receipt, stopped, now);
    const outcome =
      comesAgainAt === undefined
        ? (canResolve && whileInDoubt(record, receipt, now)) ||
          afterReceipt(record, receipt, now, this.#context.retryWaits)
        : afterRequeue(record, before, comesAgainAt);
    const owesCopy = owesSentCopy(this.#with.account, outcome);
    const after = owesCopy ? { ...outcome, sentCopy: 'pending' as const } : outcome;
    const etag = await this.#claim.finish(after, [
      ...(owesCopy ? [newCopyRow(after.localId, now)] : []),
      ...outcomeRows(this.#context, { before, after }, now),
    ]);
    logAttempt(after, receipt, now, msSince(started));
    await afterAttempt(this.#context, { record: after, etag, receipt, owesCopy, requeued: comesAgainAt !== undefined });
    if (comesAgainAt !== undefined) return 'requeued';
    return openStatuses.includes(after.status) ? 'waiting' : 'ended';
  }

  /** When a mail comes again that this was no attempt for; undefined: it was one. */
  #comesAgainAt({ trouble, recipients }: Receipt, stopped: boolean, now: number): number | undefined {
    if (trouble?.scope === 'limit') {
      const { account } = this.#claim.record;
      return this.#context.schedule.next(account, 'connections', trouble.retryAfterMs ?? 0, connectionPaceMs);
    }
    const untouched = !this.#claim.record.committing && recipients.every(({ outcome }) => outcome === 'deferred');
    return stopped && untouched ? now : undefined;
  }

  async #attempt(signal: AbortSignal): Promise<Attempted> {
    const before = this.#before;
    const { account } = this.#with;
    const waiting = before.recipients.filter(awaitsDelivery).map((recipient) => recipient.address);
    const transport = account?.enabled === false ? undefined : account && (await this.#context.transport(account));
    const canResolve = transport?.resolveUncertain !== undefined;
    if (before.committing) {
      const receipt = await this.#resolveUncertain(transport, waiting, signal);
      return { receipt: receipt ?? uncertainReceipt(before), canResolve };
    }
    if (!account) {
      const reply = 'The account was deleted before the mail was sent';
      return notTried(waiting, { outcome: 'rejected', code: 'accountDeleted', reply });
    }
    if (endsItsProcess(this.#claim.record, this.#context.clock.now())) {
      const reply = 'Every process that tried to send it for 48 hours ended before it was sent';
      return notTried(waiting, { outcome: 'rejected', code: 'interrupted', reply });
    }
    if (!transport) {
      const code = account.enabled ? 'noTransport' : 'accountDisabled';
      return notTried(waiting, { outcome: 'deferred', code, reply: 'The account cannot send now' });
    }
    const found =
      before.inDoubtSince === undefined ? undefined : await this.#resolveUncertain(transport, waiting, signal);
    // Whatever else it says, a person has asked for the mail to be sent again.
    if (found?.recipients.every(({ outcome }) => outcome === 'accepted')) return { receipt: found, canResolve };
    return { receipt: await this.#send(transport, waiting, signal), canResolve };
  }

  async #send(transport: MailTransport, to: readonly string[], signal: AbortSignal): Promise<Receipt> {
    const { remembered } = this.#before;
    const { token, text } = this.#with;
    let late = false;
    let counted = false;
    const receipt = await transport.send(readAhead(frozenMail(this.#context, this.#before, to, text), signal), {
      signal,
      beforeCommit: async () => {
        signal.throwIfAborted();
        this.#committing = true;
        await this.#claim.commit();
        // Last of all: the minute in which the mail counts begins when it leaves. It counts once, in however many
        // transactions it leaves.
        if (!counted) late = token?.use() === false;
        counted = true;
        if (late) throw new Error('the right to send could not be renewed in time');
      },
      remember: (note) => this.#claim.remember(note),
      ...(remembered === undefined ? {} : { remembered }),
    });
    return late ? { ...receipt, trouble: { scope: 'limit', code: 'TOKEN_LAPSED' } } : receipt;
  }

  /** Asks the transport what became of an attempt that passed its commit point, where it can find out. */
  async #resolveUncertain(
    transport: MailTransport | undefined,
    to: readonly string[],
    signal: AbortSignal,
  ): Promise<Receipt | undefined> {
    const { committedAt, inDoubtSince, claimedAt, remembered } = this.#before;
    return await transport?.resolveUncertain?.(frozenMail(this.#context, this.#before, to), {
      signal,
      remember: (note) => this.#claim.remember(note),
      sinceCommitMs: this.#context.clock.now() - (committedAt ?? inDoubtSince ?? claimedAt ?? 0),
      ...(remembered === undefined ? {} : { remembered }),
    });
  }
}

/** Whether the first of its recipients was accepted now, and the account keeps copies of what it sends. */
function owesSentCopy(account: Account | undefined, { recipients, sentCopy }: MessageRecord): boolean {
  const transport = account?.transport;
  const keeps = (transport?.protocol === 'smtp' || transport?.protocol === 'smtps') && transport.saveToSent;
  return keeps && sentCopy === undefined && recipients.some(({ status }) => status === 'accepted');
}

function newCopyRow(localId: string, now: number): RowWrite {
  return { kind: 'put', key: copyKey(localId), columns: copyColumns(newCopy(now), now) };
}

/** Attempts in a row without an end, after which the mail itself may be the reason. */
const interruptedInARow = 3;

/** Whether the 48 hours are over for a mail whose attempts keep being interrupted. */
function endsItsProcess({ attempts, firstAttemptAt }: MessageRecord, now: number): boolean {
  const last = attempts.slice(-interruptedInARow);
  const interrupted = last.length === interruptedInARow && last.every(({ outcome }) => outcome === 'interrupted');
  return interrupted && firstAttemptAt !== undefined && now > firstAttemptAt + giveUpAfterMs;
}

/** Receipt of a mail that no server was asked about. */
function notTried(
  to: readonly string[],
  result: { readonly outcome: 'rejected' | 'deferred'; readonly code: string; readonly reply: string },
): Attempted {
  const { outcome, code, reply } = result;
  const scope = outcome === 'rejected' ? 'message' : 'account';
  return {
    receipt: { recipients: to.map((address) => ({ address, ...result })), trouble: { scope, code, reply } },
    canResolve: false,
  };
}
