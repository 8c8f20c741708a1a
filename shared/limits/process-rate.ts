import { randomUUID } from 'node:crypto';
import type { Acquired, Unavailable } from '../platform/acquired.ts';
import { errorText, log } from '../platform/log.ts';
import { type LimitRow, type LimitRows, maxTries, unknown, writeRow } from './limit-rows.ts';
import { changeTokens, noTokensTaken, type RateRow, rateRowSchema, tokenLeaseMs, type Used } from './rate-row.ts';
import { type PendingRequest, RequestBatches } from './request-batches.ts';
import type { Ticker } from './ticker.ts';

/** The right to send one mail soon. */
export interface SendToken extends Acquired {
  /**
   * The mail leaves now: said just before its last bytes do. False: the token could not be renewed in time, and the mail
   * must not leave.
   */
  use(): boolean;
  /** The mail did not leave: another mail may use the token. Does nothing for a token that was used. */
  release(): void;
}

const renewEveryMs = 5_000;
/** Tokens are no longer used this long before they lapse. */
const stopEarlyMs = 2_000;
/** Spare tokens are released if none was asked for in this time. */
const idleMs = 3_000;
const maxBlock = 100;
/** Times of use are kept in steps of this length, in ms. */
const bucketMs = 2_000;
const minWaitMs = 1_000;
/** Other processes may release tokens early, so the row is read again after this time. */
const emptyForMs = 2_000;
/** Storage has trouble, or many processes take tokens at once. */
const troubleWaitMs = 3_000;

/**
 * The tokens that this process holds of the mails an account may send in a minute. They are acquired in blocks, by one
 * write each. A block is at most a twentieth of the limit, so that other processes find some as well. A token is held under
 * a lease that is renewed, and counts from the moment it is used: no minute has too many mails, however long each takes.
 */
export class ProcessRate {
  readonly #rows: LimitRows;
  readonly #key: string;
  readonly #owner: string;
  readonly #ticker: Ticker;
  readonly #requests: RequestBatches<SendToken | Unavailable>;
  #perMinute: number;
  #spare = 0;
  readonly #inUse = new Set<object>();
  /** Used and not yet confirmed to stand in the row. */
  readonly #used = new Map<string, Used>();
  #known: LimitRow<RateRow> | undefined;
  /** Tokens that the row says are held here. */
  #written = 0;
  #until = 0;
  #renewAt = 0;
  #emptyUntil = 0;
  #nextAt = 0;
  #lastTaken = 0;
  #takenSinceBlock = 0;
  #report = 0;
  #stopTicking: (() => void) | undefined;

  constructor(rows: LimitRows, key: string, perMinute: number, ticker: Ticker) {
    this.#rows = rows;
    this.#key = key;
    this.#perMinute = perMinute;
    this.#ticker = ticker;
    this.#owner = randomUUID();
    this.#requests = new RequestBatches<SendToken | Unavailable>({
      answerAll: (requests) => this.#sync(requests),
      failed: (error) => {
        // The row may say more than was asked for here: it is written again by a later tick.
        this.#known = undefined;
        this.#written = unknown;
        this.#nextAt = this.#now() + troubleWaitMs;
        this.#startTicking();
        log.warn('limits.perMinute', { account: rows.partition, error: errorText(error) });
      },
      unavailable: () => this.#unavailable(),
    });
  }

  /** The limit as the account has it now. */
  set perMinute(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Between two mails, where they leave evenly. */
  get paceMs(): number {
    return 60_000 / this.#perMinute;
  }

  get unused(): boolean {
    return this.#kept === 0 && this.#written === 0 && this.#used.size === 0 && this.#requests.pending === 0;
  }

  /** A token, or when to ask again. Never rejects. */
  acquire(signal: AbortSignal): Promise<SendToken | Unavailable> {
    this.#dropLapsed();
    if (this.#spare > 0) return Promise.resolve(this.#lendToken());
    return this.#now() < this.#emptyUntil ? Promise.resolve(this.#unavailable()) : this.#requests.ask(signal);
  }

  /** Renews, reports and releases what is due. Called every second while a token is held. */
  tick(): void {
    this.#dropLapsed();
    const now = this.#now();
    const idle = now - this.#lastTaken > idleMs;
    if (idle) this.#spare = 0;
    const due = this.#kept > 0 && now >= this.#renewAt;
    if (due || (idle && (this.#used.size > 0 || this.#written !== this.#kept))) this.#requests.runRound();
    if (this.unused) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
    }
  }

  /** Releases spare tokens at once: the process is to end. */
  releaseSpare(): void {
    this.#spare = 0;
    if (this.#written !== this.#kept || this.#used.size > 0) this.#requests.runRound();
  }

  get #kept(): number {
    return this.#spare + this.#inUse.size;
  }

  #now(): number {
    return this.#rows.clock.now();
  }

  #unavailable(): Unavailable {
    return { retryAfterMs: Math.max(minWaitMs, this.#nextAt - this.#now()) };
  }

  #dropLapsed(): void {
    if (this.#kept === 0 || this.#now() < this.#until - stopEarlyMs) return;
    this.#spare = 0;
    this.#inUse.clear();
  }

  #lendToken(): SendToken {
    this.#spare -= 1;
    this.#takenSinceBlock += 1;
    this.#lastTaken = this.#now();
    const token = {};
    this.#inUse.add(token);
    return {
      use: () => {
        this.#dropLapsed();
        if (!this.#inUse.delete(token)) return false;
        this.#noteUse();
        return true;
      },
      release: () => {
        if (this.#inUse.delete(token)) this.#spare += 1;
      },
    };
  }

  #noteUse(): void {
    const at = this.#now();
    const id = `${this.#owner}.${this.#report}.${Math.floor(at / bucketMs)}`;
    this.#used.set(id, { n: (this.#used.get(id)?.n ?? 0) + 1, at });
  }

  async #sync(requests: readonly PendingRequest<SendToken | Unavailable>[]): Promise<void> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const cached = this.#known;
      const known = cached ?? (await this.#rows.read(this.#key, rateRowSchema, noTokensTaken));
      const now = this.#now();
      this.#dropLapsed();
      const open = requests.filter(({ open }) => open).length;
      const wanted = open === 0 ? 0 : Math.max(open, this.#ahead());
      const kept = this.#kept;
      // What is used from here on stands in the next report.
      const used = new Map(this.#used);
      this.#report += 1;
      const change = changeTokens(known.value, { owner: this.#owner, kept, used, wanted }, this.#perMinute, now);
      const short = change.granted < open;
      // What others have released meanwhile is not known here.
      this.#known = undefined;
      if (short && cached) continue;
      const renewed = kept + change.granted > 0 && (change.granted > 0 || now >= this.#renewAt);
      if (renewed || used.size > 0 || this.#written !== kept || change.corrected) {
        const etag = await writeRow(this.#rows, this.#key, change.row, known);
        if (etag === undefined) continue;
        this.#known = { value: change.row, etag };
        for (const id of used.keys()) this.#used.delete(id);
        this.#written = kept + change.granted;
        this.#until = now + tokenLeaseMs;
        this.#renewAt = now + renewEveryMs;
        this.#takenSinceBlock = 0;
        this.#spare += change.granted;
        this.#startTicking();
      } else this.#known = known;
      if (short) {
        this.#nextAt = change.nextAt;
        this.#emptyUntil = Math.min(change.nextAt, this.#now() + emptyForMs);
      }
      this.#dropLapsed();
      for (const request of requests) if (request.open && this.#spare > 0) request.answer(this.#lendToken());
      return;
    }
    this.#nextAt = this.#now() + troubleWaitMs;
  }

  /** How many tokens to acquire ahead of demand: more where the last block was used up. */
  #ahead(): number {
    const block = Math.min(maxBlock, Math.max(1, Math.ceil(this.#perMinute / 20)));
    return Math.min(block, 2 * this.#takenSinceBlock);
  }

  #startTicking(): void {
    this.#stopTicking ??= this.#ticker(() => this.tick());
  }
}
