import { randomUUID } from 'node:crypto';
import { errorText, log } from '../../platform/log.ts';
import { type LimitRow, type LimitRows, maxTries, unknown, writeRow } from './limit-rows.ts';
import { changeTokens, holdMs, noTokensTaken, type RateRow, rateRowSchema, type Used } from './rate-row.ts';
import { Requests, type Want } from './requests.ts';
import type { Ticker } from './ticker.ts';

/** The right to send one mail soon. */
export interface SendToken {
  /**
   * The mail leaves now: said just before its last bytes do. False: the token could not be renewed in time, and the mail
   * must not leave.
   */
  use(): boolean;
  /** The mail did not leave, another may have the token. Does nothing for a token that was used. */
  giveBack(): void;
}

export interface NoToken {
  /** The next mail may leave after this, in ms. */
  readonly waitMs: number;
}

const renewEveryMs = 5_000;
/** Tokens are no longer used this long before they lapse. */
const stopEarlyMs = 2_000;
/** Tokens that nobody has asked for this long are given back. */
const idleMs = 3_000;
const maxBlock = 100;
/** How exactly the times of use are told, in ms. */
const bucketMs = 2_000;
const minWaitMs = 1_000;
/** Other processes may give tokens back before they must. */
const emptyForMs = 2_000;
/** Storage has trouble, or many processes take tokens at once. */
const troubleWaitMs = 3_000;

/**
 * This process's part of the mails that an account may send in a minute. Tokens are taken in blocks, by one write each;
 * a block is a twentieth of the limit at most, so that other processes find some as well. A token is held under a lease
 * that is renewed, and counts from the moment it is used: however long a mail takes to its last bytes, no minute has too
 * many.
 */
export class ProcessRate {
  readonly #rows: LimitRows;
  readonly #key: string;
  readonly #owner: string;
  readonly #ticker: Ticker;
  readonly #requests: Requests<SendToken | NoToken>;
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
    this.#requests = new Requests<SendToken | NoToken>({
      carryOut: (wants) => this.#sync(wants),
      failed: (error) => {
        // The row may say more than was asked for here: it is written again by a later tick.
        this.#known = undefined;
        this.#written = unknown;
        this.#nextAt = this.#now() + troubleWaitMs;
        this.#startTicking();
        log.warn('limits.perMinute', { account: rows.partition, error: errorText(error) });
      },
      refusal: () => this.#none(),
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
    return this.#kept === 0 && this.#written === 0 && this.#used.size === 0 && this.#requests.waiting === 0;
  }

  /** A token, or when to ask again. Never rejects. */
  take(signal: AbortSignal): Promise<SendToken | NoToken> {
    this.#dropLapsed();
    if (this.#spare > 0) return Promise.resolve(this.#lend());
    return this.#now() < this.#emptyUntil ? Promise.resolve(this.#none()) : this.#requests.ask(signal);
  }

  /** Renews, reports and gives back what is due; called every second while anything is held. */
  tick(): void {
    this.#dropLapsed();
    const now = this.#now();
    const idle = now - this.#lastTaken > idleMs;
    if (idle) this.#spare = 0;
    const due = this.#kept > 0 && now >= this.#renewAt;
    if (due || (idle && (this.#used.size > 0 || this.#written !== this.#kept))) this.#requests.run();
    if (this.unused) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
    }
  }

  get #kept(): number {
    return this.#spare + this.#inUse.size;
  }

  #now(): number {
    return this.#rows.clock.now();
  }

  #none(): NoToken {
    return { waitMs: Math.max(minWaitMs, this.#nextAt - this.#now()) };
  }

  #dropLapsed(): void {
    if (this.#kept === 0 || this.#now() < this.#until - stopEarlyMs) return;
    this.#spare = 0;
    this.#inUse.clear();
  }

  #lend(): SendToken {
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
      giveBack: () => {
        if (this.#inUse.delete(token)) this.#spare += 1;
      },
    };
  }

  #noteUse(): void {
    const at = this.#now();
    const id = `${this.#owner}.${this.#report}.${Math.floor(at / bucketMs)}`;
    this.#used.set(id, { n: (this.#used.get(id)?.n ?? 0) + 1, at });
  }

  async #sync(wants: readonly Want<SendToken | NoToken>[]): Promise<void> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const cached = this.#known;
      const known = cached ?? (await this.#rows.read(this.#key, rateRowSchema, noTokensTaken));
      const now = this.#now();
      this.#dropLapsed();
      const open = wants.filter((want) => want.open).length;
      const wanted = open === 0 ? 0 : Math.max(open, this.#ahead());
      const kept = this.#kept;
      // What is used from here on stands in the next report.
      const used = new Map(this.#used);
      this.#report += 1;
      const change = changeTokens(known.value, { owner: this.#owner, kept, used, wanted }, this.#perMinute, now);
      const short = change.granted < open;
      // What others have given back meanwhile is not known here.
      this.#known = undefined;
      if (short && cached) continue;
      const renewed = kept + change.granted > 0 && (change.granted > 0 || now >= this.#renewAt);
      if (renewed || used.size > 0 || this.#written !== kept) {
        const etag = await writeRow(this.#rows, this.#key, change.row, known);
        if (etag === undefined) continue;
        this.#known = { value: change.row, etag };
        for (const id of used.keys()) this.#used.delete(id);
        this.#written = kept + change.granted;
        this.#until = now + holdMs;
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
      for (const want of wants) if (want.open && this.#spare > 0) want.answer(this.#lend());
      return;
    }
    this.#nextAt = this.#now() + troubleWaitMs;
  }

  /** More than is wanted at the moment, where the last block was used up. */
  #ahead(): number {
    const block = Math.min(maxBlock, Math.max(1, Math.ceil(this.#perMinute / 20)));
    return Math.min(block, 2 * this.#takenSinceBlock);
  }

  #startTicking(): void {
    this.#stopTicking ??= this.#ticker(() => this.tick());
  }
}
