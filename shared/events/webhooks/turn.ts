import { mapConcurrently } from '../../platform/concurrency.ts';
import { log, msSince } from '../../platform/log.ts';
import { type Delivery, dueDeliveries, giveUp, postpone, removeDelivery } from '../deliveries/delivery-rows.ts';
import { isSuspended, type TargetState, withFailure } from '../deliveries/target-state.ts';
import { type Attempt, attempt, type SigningSecrets, signingSecrets } from './attempt.ts';
import type { WebhookContext } from './context.ts';
import { hintOf } from './hints.ts';
import { giveUpAfterMs, nextWait } from './schedule.ts';
import type { Webhook } from './webhook.ts';

/** Deliveries read at a time. */
export const page = 64;

/** Deliveries to one receiver at a time. */
const concurrency = 8;

/** A receiver has a worker for so long; then those of other accounts have their turn. In ms. */
const turnMs = 20_000;

/**
 * After so many failed attempts in a row, while more than a few deliveries are due, nothing is sent for as long as the
 * receiver has been failing, within these limits; then one is tried alone. What waits behind it keeps its attempts:
 * thousands of events for a receiver that is away cost little.
 */
const failuresUntilPause = 10;
const fewDeliveries = 2 * concurrency;
const shortestPauseMs = 30_000;
const longestPauseMs = 5 * 60_000;

/** A receiver that takes longer than this to answer is slow, in ms. */
const slowMs = 2_000;

/** Whether a delivery has waited as long as all of its attempts would have taken. */
export function isOld({ recordedAt }: Delivery, now: number): boolean {
  return recordedAt < now - giveUpAfterMs;
}

/** What a turn works with. */
export interface TurnOptions {
  readonly account: string;
  readonly webhook: Webhook;
  /** Ends attempts that are under way. */
  readonly cut: AbortSignal;
}

/** One turn of an account's webhook: what is due is sent, and what came of it is written. */
export class Turn {
  readonly #context: WebhookContext;
  readonly #account: string;
  readonly #webhook: Webhook;
  readonly #cut: AbortSignal;
  readonly #began = performance.now();
  readonly #count = { delivered: 0, failed: 0, givenUp: 0 };
  #state: TargetState;
  /** More than a few deliveries are due. */
  #isMany = false;
  #last: Attempt | undefined;

  constructor(context: WebhookContext, { account, webhook, cut }: TurnOptions, state: TargetState) {
    this.#context = context;
    this.#account = account;
    this.#webhook = webhook;
    this.#cut = cut;
    this.#state = state;
  }

  /** How the receiver is doing, after all attempts so far. */
  get state(): TargetState {
    return this.#state;
  }

  /** Returns when nothing is due any more, or the turn is over. `save` is given the state in between. */
  async run(signal: AbortSignal, save: (state: TargetState) => Promise<void>): Promise<void> {
    let secrets: SigningSecrets | undefined;
    while (!this.#isOver(signal)) {
      const due = await dueDeliveries(this.#context, this.#account, { signal, top: page });
      if (due.length === 0) return;
      this.#isMany = due.length > fewDeliveries;
      if (this.#isSuspended()) {
        if ((await this.#giveUpOld(due)) === 0) return;
        continue;
      }
      secrets ??= await signingSecrets(this.#context, this.#account, this.#webhook, signal);
      await this.#deliverAll(due, secrets, signal);
      // What has come meanwhile is seen behind the turn.
      if (due.length < page && !this.#isSuspended()) return;
      await save(this.#state);
    }
  }

  /** One line for what this turn has done, and one for what was given up. */
  logResult(): void {
    const { delivered, failed, givenUp } = this.#count;
    if (delivered + failed > 0) {
      const { status, code } = this.#last ?? {};
      log.info('webhook.delivered', { delivered, failed, status, code, ms: msSince(this.#began) });
    }
    if (givenUp > 0) {
      const [{ status, code } = {}] = this.#state.failures;
      log.warn('webhook.givenUp', { account: this.#account, events: givenUp, status, code });
    }
  }

  async #deliverAll(due: readonly Delivery[], secrets: SigningSecrets, signal: AbortSignal): Promise<void> {
    let left = due;
    while (left.length > 0 && !this.#isSuspended() && !this.#isOver(signal)) {
      // One alone shows whether a receiver that failed is there again.
      const some = left.slice(0, this.#isMany && this.#state.failing >= failuresUntilPause ? 1 : concurrency);
      left = left.slice(some.length);
      await mapConcurrently(some, concurrency, (delivery) => this.#deliver(delivery, secrets));
    }
  }

  #isSuspended(): boolean {
    return isSuspended(this.#state, this.#context.clock.now());
  }

  #isOver(signal: AbortSignal): boolean {
    signal.throwIfAborted();
    return msSince(this.#began) >= turnMs || this.#context.shutdown.stopping.aborted;
  }

  /** Gives up what is old and meets a receiver that is away, however often it was tried. Answers how many there were. */
  async #giveUpOld(due: readonly Delivery[]): Promise<number> {
    const old = due.filter((delivery) => isOld(delivery, this.#context.clock.now()));
    await mapConcurrently(old, concurrency, (delivery) => giveUp(this.#context, this.#account, delivery));
    this.#count.givenUp += old.length;
    return old.length;
  }

  async #deliver(delivery: Delivery, secrets: SigningSecrets): Promise<void> {
    const receiver = { webhook: this.#webhook, secrets, signal: this.#cut };
    const result = await attempt(this.#context, receiver, delivery.event);
    // Whether the receiver has it is not known: it is sent again, under the same id.
    if (this.#cut.aborted && !result.delivered) return;
    this.#last = result;
    if (result.delivered) await this.#succeeded(delivery, result);
    else await this.#failed(delivery, result);
  }

  async #succeeded(delivery: Delivery, { ms }: Attempt): Promise<void> {
    this.#count.delivered += 1;
    const lastSuccessAt = this.#context.clock.now();
    this.#state = { ...this.#state, failing: 0, failingSince: 0, lastSuccessAt, slow: ms > slowMs };
    await removeDelivery(this.#context, this.#account, delivery);
  }

  async #failed(delivery: Delivery, result: Attempt): Promise<void> {
    const { status, code, retryAfterMs } = result;
    const now = this.#context.clock.now();
    const attempts = delivery.attempts + 1;
    this.#count.failed += 1;
    this.#note(result, now);
    const { id, type } = delivery.event;
    const failure = { at: now, id, type, attempt: attempts, status, code };
    this.#state = { ...this.#state, failures: withFailure(this.#state.failures, failure) };
    const columns = { attempts, lastAt: now, lastStatus: status, lastCode: code };
    const wait = nextWait(attempts, retryAfterMs) ?? (status === 410 ? 0 : undefined);
    if (wait !== undefined) {
      await postpone(this.#context, this.#account, delivery, { due: now + wait, columns });
      return;
    }
    this.#count.givenUp += 1;
    await giveUp(this.#context, this.#account, delivery, columns);
  }

  /** What a failed attempt says of the receiver. */
  #note({ status, code, retryAfterMs, ms }: Attempt, now: number): void {
    const { failing: before, failingSince, pauseUntil, stoppedAt } = this.#state;
    if (before === 0) {
      log.warn('webhook.failing', { account: this.#account, status, code, hint: hintOf({ status, code }) });
    }
    const failing = before + 1;
    const since = before === 0 ? now : failingSince;
    const pauses = this.#isMany && failing >= failuresUntilPause;
    const pauseMs = pauses ? Math.min(Math.max(now - since, shortestPauseMs), longestPauseMs) : 0;
    // A server that is too busy for one event is too busy for the others (RFC 6585 section 4, RFC 9110 section 15.6.4).
    const askedMs = status === 429 || status === 503 ? (retryAfterMs ?? 0) : 0;
    this.#state = {
      ...this.#state,
      failing,
      failingSince: since,
      pauseUntil: Math.max(pauseUntil, now + Math.max(pauseMs, askedMs)),
      stoppedAt: status === 410 ? now : stoppedAt,
      slow: ms > slowMs,
    };
  }
}
