import { randomUUID } from 'node:crypto';
import type { ConnectionSlot, ConnectionSlots, NoSlot } from '../../adapters/connection-slots.ts';
import { errorText, log } from '../../platform/log.ts';
import { type LimitRow, type LimitRows, maxTries, unknown, writeRow } from './limit-rows.ts';
import { Requests, type Want } from './requests.ts';
import { changeSlots, cutEarlyMs, leaseMs, noSlotsTaken, type SlotRow, slotRowSchema, surplusOf } from './slot-row.ts';
import type { Ticker } from './ticker.ts';

/** How often a lease is renewed, and with it seen whether others wait. */
const renewEveryMs = 5_000;
/** Who got none asks again after this, and is answered without a look at the row before a part of it is over. */
const retryAfterMs = 3_000;
const fullForMs = 1_000;

const none: NoSlot = { retryAfterMs };

/**
 * This process's part of one account's connections to one server. All of its places stand in one row with those of the
 * other processes, under one lease, so that several are taken, renewed and given back by one write; mail on connections
 * that are open costs none. A place counts from the write that was confirmed, and is lost, by this process's own
 * clock, before any other process may take it.
 */
export class ProcessSlots implements ConnectionSlots {
  readonly #rows: LimitRows;
  readonly #key: string;
  readonly #owner: string;
  readonly #ticker: Ticker;
  readonly #requests: Requests<ConnectionSlot | NoSlot>;
  readonly #held = new Map<object, AbortController>();
  readonly #giveUps = new Set<() => boolean>();
  #total: number;
  /** The row as last read or written; undefined where it must be read first. */
  #known: LimitRow<SlotRow> | undefined;
  /** Places that the row gives this process. */
  #written = 0;
  /** The lease's end by the last write that was confirmed. */
  #until = 0;
  #renewAt = 0;
  #fullUntil = 0;
  /** Connections that give way and are still open. */
  #leaving = 0;
  #stopTicking: (() => void) | undefined;

  constructor(rows: LimitRows, key: string, total: number, ticker: Ticker) {
    this.#rows = rows;
    this.#key = key;
    this.#total = total;
    this.#ticker = ticker;
    this.#owner = randomUUID();
    this.#requests = new Requests<ConnectionSlot | NoSlot>({
      carryOut: async (wants) => {
        await this.#sync(wants);
        this.#askForIdle();
      },
      failed: (error) => {
        // The row may say more than was asked for here: it is written again by a later tick.
        this.#known = undefined;
        this.#written = unknown;
        this.#startTicking();
        log.warn('limits.connections', { account: rows.partition, error: errorText(error) });
      },
      refusal: () => none,
    });
  }

  /** The limit as the account has it now. */
  set total(total: number) {
    this.#total = total;
  }

  /** Nothing of it is in use, neither here nor in the row. */
  get unused(): boolean {
    return this.#held.size === 0 && this.#written === 0 && this.#requests.waiting === 0;
  }

  acquire(signal: AbortSignal): Promise<ConnectionSlot | NoSlot> {
    return this.#now() < this.#fullUntil ? Promise.resolve(none) : this.#requests.ask(signal);
  }

  giveWay(): boolean {
    if (this.#surplus() <= this.#leaving) return false;
    this.#leaving += 1;
    return true;
  }

  onWanted(giveUp: () => boolean): () => void {
    this.#giveUps.add(giveUp);
    return () => this.#giveUps.delete(giveUp);
  }

  /** Renews, gives back and gives up what is due; called every second while anything is held. */
  tick(): void {
    this.#loseLapsed();
    const due = this.#held.size > 0 && this.#now() >= this.#renewAt;
    if (due || this.#written !== this.#held.size) this.#requests.run();
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

  async #sync(wants: readonly Want<ConnectionSlot | NoSlot>[]): Promise<void> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const cached = this.#known;
      const known = cached ?? (await this.#rows.read(this.#key, slotRowSchema, noSlotsTaken));
      const now = this.#now();
      this.#loseLapsed();
      if (this.#held.size > 0 && !known.value.holders[this.#owner]) this.#loseAll();
      const held = this.#held.size;
      const wanted = wants.filter((want) => want.open).length;
      const own = { owner: this.#owner, held, wanted, renew: now >= this.#renewAt };
      const change = changeSlots(known.value, own, this.#total, now);
      const short = change.granted < wanted;
      // What others have given back meanwhile is not known here.
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
        this.#fullUntil = this.#now() + fullForMs;
        this.#makeRoom();
      }
      this.#grant(wants, change.granted);
      return;
    }
  }

  #grant(wants: readonly Want<ConnectionSlot | NoSlot>[], granted: number): void {
    // Storage may have answered so late that the lease is over again.
    let left = this.#now() < this.#until - cutEarlyMs ? granted : 0;
    for (const want of wants) {
      if (left === 0) break;
      if (want.open) {
        left -= 1;
        want.answer(this.#take());
      }
    }
    // Nobody waits any more for the rest, or it is to be released already.
    if (this.#written !== this.#held.size) this.#requests.run();
  }

  #take(): ConnectionSlot {
    const place = {};
    const lost = new AbortController();
    this.#held.set(place, lost);
    this.#startTicking();
    return {
      lost: lost.signal,
      release: () => {
        if (!this.#held.delete(place)) return;
        this.#leaving = Math.max(0, this.#leaving - 1);
        this.#requests.run();
      },
    };
  }

  #loseLapsed(): void {
    if (this.#held.size > 0 && this.#now() >= this.#until - cutEarlyMs) this.#loseAll();
  }

  #loseAll(): void {
    log.warn('limits.connectionsLost', { account: this.#rows.partition, connections: this.#held.size });
    const all = [...this.#held.values()];
    this.#held.clear();
    this.#leaving = 0;
    for (const lost of all) lost.abort(new Error('The place of this connection could not be renewed in time'));
  }

  /** Ends idle connections for other processes that wait. */
  #askForIdle(): void {
    while (this.#surplus() > this.#leaving && this.#makeRoom());
  }

  /** Ends one idle connection of this process, also for others of its own that wait. */
  #makeRoom(): boolean {
    for (const giveUp of this.#giveUps) {
      if (giveUp()) {
        this.#leaving += 1;
        return true;
      }
    }
    return false;
  }
}
