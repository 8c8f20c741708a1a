import { randomUUID } from 'node:crypto';
import type { Unavailable } from '../platform/acquired.ts';
import { errorText, log } from '../platform/log.ts';
import type { ConnectionSlot, ConnectionSlots } from './connection-slots.ts';
import { type LimitRow, type LimitRows, maxTries, unknown, writeRow } from './limit-rows.ts';
import { type PendingRequest, RequestBatches } from './request-batches.ts';
import {
  changeSlots,
  cutBeforeEndMs,
  leaseMs,
  noSlotsTaken,
  type SlotRow,
  slotRowSchema,
  surplusOf,
} from './slot-row.ts';
import type { Ticker } from './ticker.ts';

/** How often the lease is renewed, which also shows whether other processes wait. */
const renewEveryMs = 5_000;
/** When to ask again if no slot is free, in ms. For the first part of it, requests are answered without reading the row. */
const retryAfterMs = 3_000;
const noneFreeForMs = 1_000;

const noneFree: Unavailable = { retryAfterMs };

/**
 * The slots that this process holds of one account's connections to one server. One row has the slots of all processes,
 * with one lease for each process, so that several slots are acquired, renewed and released by one write. Mail on open
 * connections needs no write. A slot counts from the write that was confirmed. It is lost, by this process's own clock,
 * before any other process may acquire it.
 */
export class ProcessSlots implements ConnectionSlots {
  readonly #rows: LimitRows;
  readonly #key: string;
  readonly #owner: string;
  readonly #ticker: Ticker;
  readonly #requests: RequestBatches<ConnectionSlot | Unavailable>;
  readonly #held = new Map<object, AbortController>();
  readonly #idleClosers = new Set<() => boolean>();
  #total: number;
  /** The row as last read or written; undefined where it must be read first. */
  #known: LimitRow<SlotRow> | undefined;
  /** Slots that this process has by the row. */
  #written = 0;
  /** The lease's end by the last write that was confirmed. */
  #until = 0;
  #renewAt = 0;
  #noneFreeUntil = 0;
  /** Connections that are being closed for others and are still open. */
  #closing = 0;
  #stopTicking: (() => void) | undefined;

  constructor(rows: LimitRows, key: string, total: number, ticker: Ticker) {
    this.#rows = rows;
    this.#key = key;
    this.#total = total;
    this.#ticker = ticker;
    this.#owner = randomUUID();
    this.#requests = new RequestBatches<ConnectionSlot | Unavailable>({
      answerAll: async (requests) => {
        await this.#sync(requests);
        this.#closeIdleForOthers();
      },
      failed: (error) => {
        // The row may say more than was asked for here: it is written again by a later tick.
        this.#known = undefined;
        this.#written = unknown;
        this.#startTicking();
        log.warn('limits.connections', { account: rows.partition, error: errorText(error) });
      },
      unavailable: () => noneFree,
    });
  }

  /** The limit as the account has it now. */
  set total(total: number) {
    this.#total = total;
  }

  /** No slot is held, neither here nor in the row. */
  get unused(): boolean {
    return this.#held.size === 0 && this.#written === 0 && this.#requests.pending === 0;
  }

  acquire(signal: AbortSignal): Promise<ConnectionSlot | Unavailable> {
    return this.#now() < this.#noneFreeUntil ? Promise.resolve(noneFree) : this.#requests.ask(signal);
  }

  shouldYield(): boolean {
    if (this.#surplus() <= this.#closing) return false;
    this.#closing += 1;
    return true;
  }

  onDemand(closeIdle: () => boolean): () => void {
    this.#idleClosers.add(closeIdle);
    return () => this.#idleClosers.delete(closeIdle);
  }

  /** Renews and releases what is due. Called every second while a slot is held. */
  tick(): void {
    this.#abortIfLapsed();
    const due = this.#held.size > 0 && this.#now() >= this.#renewAt;
    if (due || this.#written !== this.#held.size) this.#requests.runRound();
    if (this.unused) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
    }
  }

  #now(): number {
    return this.#rows.clock.now();
  }

  #startTicking(): void {
    this.#stopTicking ??= this.#ticker(() => this.tick());
  }

  #surplus(): number {
    return this.#known ? surplusOf(this.#known.value, this.#owner, this.#total, this.#now()) : 0;
  }

  async #sync(requests: readonly PendingRequest<ConnectionSlot | Unavailable>[]): Promise<void> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const cached = this.#known;
      const known = cached ?? (await this.#rows.read(this.#key, slotRowSchema, noSlotsTaken));
      const now = this.#now();
      this.#abortIfLapsed();
      if (this.#held.size > 0 && !known.value.holders[this.#owner]) this.#abortAll();
      const held = this.#held.size;
      const wanted = requests.filter(({ open }) => open).length;
      const own = { owner: this.#owner, held, wanted, renew: now >= this.#renewAt };
      const change = changeSlots(known.value, own, this.#total, now);
      const short = change.granted < wanted;
      // What others have released meanwhile is not known here.
      this.#known = undefined;
      if (short && cached) continue;
      if (change.dirty) {
        const etag = await writeRow(this.#rows, this.#key, change.row, known);
        if (etag === undefined) continue;
        this.#known = { value: change.row, etag };
        this.#until = now + leaseMs;
        this.#renewAt = now + renewEveryMs;
      } else this.#known = known;
      this.#written = held + change.granted;
      if (short) {
        this.#noneFreeUntil = this.#now() + noneFreeForMs;
        this.#closeOneIdle();
      }
      this.#grant(requests, change.granted);
      return;
    }
  }

  #grant(requests: readonly PendingRequest<ConnectionSlot | Unavailable>[], granted: number): void {
    // Storage may have answered so late that the lease is over again.
    let left = this.#now() < this.#until - cutBeforeEndMs ? granted : 0;
    for (const request of requests) {
      if (left === 0) break;
      if (request.open) {
        left -= 1;
        request.answer(this.#createSlot());
      }
    }
    // Some granted slots are left over, or were released already.
    if (this.#written !== this.#held.size) this.#requests.runRound();
  }

  #createSlot(): ConnectionSlot {
    const slot = {};
    const lost = new AbortController();
    this.#held.set(slot, lost);
    this.#startTicking();
    return {
      lost: lost.signal,
      release: () => {
        if (!this.#held.delete(slot)) return;
        this.#closing = Math.max(0, this.#closing - 1);
        this.#requests.runRound();
      },
    };
  }

  #abortIfLapsed(): void {
    if (this.#held.size > 0 && this.#now() >= this.#until - cutBeforeEndMs) this.#abortAll();
  }

  #abortAll(): void {
    log.warn('limits.connectionsLost', { account: this.#rows.partition, connections: this.#held.size });
    const all = [...this.#held.values()];
    this.#held.clear();
    this.#closing = 0;
    for (const lost of all) lost.abort(new Error('The slot of this connection could not be renewed in time'));
  }

  /** Closes idle connections for other processes that wait. */
  #closeIdleForOthers(): void {
    while (this.#surplus() > this.#closing && this.#closeOneIdle());
  }

  /** Closes one idle connection of this process; requests of its own may wait too. False if there is none. */
  #closeOneIdle(): boolean {
    for (const closeIdle of this.#idleClosers) {
      if (closeIdle()) {
        this.#closing += 1;
        return true;
      }
    }
    return false;
  }
}
