import type { ConnectionSlots } from '../../limits/connection-slots.ts';
import type { Acquired } from '../../platform/acquired.ts';
import type { Trouble } from '../transport.ts';
import { cutTrouble } from '../trouble.ts';

/** A signed-in connection as the pool handles it. */
export interface PooledSession {
  readonly alive: boolean;
  /** Mails it was given so far. */
  readonly mails: number;
  /** Calls `ended` once, when the connection is gone for whatever reason. Answers how to stop listening. */
  onEnd(ended: () => void): () => void;
  /** Says goodbye and closes; resolves when the connection is gone. */
  quit(): Promise<void>;
  /** Destroys the socket. */
  cut(): void;
}

/** The result of opening a connection. Failure is a value: nothing here throws for it. */
export type Opened<S> = { readonly ok: true; readonly session: S } | { readonly ok: false; readonly trouble: Trouble };

/** How many connections a pool has, and for how long. */
export interface PoolLimits {
  /** Connections at most, idle ones and those saying goodbye included. */
  readonly maxConnections: number;
  /** How long an idle connection is kept, in ms. Default: half a minute. */
  readonly idleMs?: number;
  /** Says when other processes want connections that are kept idle. */
  readonly slots?: ConnectionSlots;
}

/** A session that one mail has until it is released; one that is done or gone by then is ended instead of kept. */
export interface LentSession<S> extends Acquired {
  readonly session: S;
  /** It has been idle, and may prove to be dead. */
  readonly reused: boolean;
  release(): void;
}

/**
 * How long a connection may wait for its next mail. Servers may close after five minutes (RFC 5321 section 4.5.3.2.7)
 * and busy ones after far less; an idle connection also keeps a slot that another process may need.
 */
const IDLE_LIMIT_MS = 30_000;
/** Servers count mails per connection; a hundred is what the usual ones allow. */
const MAX_MAILS_PER_CONNECTION = 100;
/** Sends that may wait for a connection. None holds any text, so this bounds time rather than memory. */
const MAX_WAITING = 100;
/** Mail that finds so many waiting is requeued for this long. */
const CROWDED_MS = 5_000;

interface IdleSession<S> {
  readonly session: S;
  readonly timer: NodeJS.Timeout;
  readonly stopListening: () => void;
}

/** Keeps signed-in connections between mails and lends each to one mail at a time, in the order of asking. */
export class SessionPool<S extends PooledSession> {
  readonly #open: (signal: AbortSignal) => Promise<Opened<S>>;
  readonly #limits: PoolLimits;
  /** The last one used is the first taken: the others may go idle. */
  readonly #idle: IdleSession<S>[] = [];
  readonly #waiting: (() => void)[] = [];
  /** Connections that are lent, opening or closing. Idle ones count on top. */
  #taken = 0;
  #closed = false;
  #emptied: (() => void) | undefined;
  readonly #stopListening: (() => void) | undefined;

  constructor(open: (signal: AbortSignal) => Promise<Opened<S>>, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
    this.#stopListening = limits.slots?.onDemand(() => this.#giveUpIdle());
  }

  /**
   * Lends a session, opening one where none is idle, or answers why there is none. With `fresh` an idle one is never
   * lent: what just proved stale was used last, so the others are older still and are cut. Never rejects. After `close`
   * the signal must be aborted.
   */
  async acquire(signal: AbortSignal, options: { readonly fresh?: boolean } = {}): Promise<LentSession<S> | Trouble> {
    if (this.#taken >= this.#limits.maxConnections) {
      if (this.#waiting.length >= MAX_WAITING) {
        const hint = 'More mail is waiting for a connection than this process takes. It is tried again.';
        return { scope: 'limit', code: 'BUSY', hint, retryAfterMs: CROWDED_MS };
      }
      await this.#turn(signal);
    } else {
      this.#taken += 1;
    }
    for (;;) {
      if (signal.aborted) {
        this.#leave();
        return cutTrouble(signal);
      }
      if (options.fresh) for (const idle of this.#idle.splice(0)) forget(idle).cut();
      const idle = this.#idle.pop();
      if (idle) return this.#lend(forget(idle), true);
      const opened = await this.#open(signal);
      if (opened.ok) return this.#lend(opened.session, false);
      // Other processes have the other slots: a connection of this one will come back, if it has any.
      const another = opened.trouble.scope === 'limit' && this.#taken > 1 && this.#waiting.length < MAX_WAITING;
      if (!another) {
        this.#leave();
        return opened.trouble;
      }
      this.#taken -= 1;
      await this.#turn(signal);
    }
  }

  /** Says goodbye to idle sessions and lends no more. Resolves when every session is back and gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening?.();
    for (const idle of this.#idle.splice(0)) {
      this.#taken += 1;
      this.#dismiss(forget(idle));
    }
    for (const resume of this.#waiting.splice(0)) {
      this.#taken += 1;
      resume();
    }
    if (this.#taken > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    }
  }

  #lend(session: S, reused: boolean): LentSession<S> {
    let lent = true;
    const release = () => {
      if (lent) this.#takeBack(session);
      lent = false;
    };
    return { session, reused, release };
  }

  /** The room of a session that is done or gone is free at once, or when it has closed. */
  #takeBack(session: S): void {
    if (!session.alive) this.#leave();
    else if (this.#closed || session.mails >= MAX_MAILS_PER_CONNECTION || this.#limits.slots?.shouldYield())
      this.#dismiss(session);
    else {
      this.#keep(session);
      this.#leave();
    }
  }

  /** Ends the session that has been idle longest. */
  #giveUpIdle(): boolean {
    const idle = this.#idle.shift();
    if (!idle) return false;
    this.#taken += 1;
    this.#dismiss(forget(idle));
    return true;
  }

  #keep(session: S): void {
    const timer = setTimeout(() => {
      if (!this.#remove(session)) return;
      this.#taken += 1;
      this.#dismiss(session);
    }, this.#limits.idleMs ?? IDLE_LIMIT_MS);
    timer.unref();
    const stopListening = session.onEnd(() => this.#remove(session));
    this.#idle.push({ session, timer, stopListening });
  }

  #remove(session: S): boolean {
    const index = this.#idle.findIndex((idle) => idle.session === session);
    const idle = this.#idle.splice(index, index < 0 ? 0 : 1)[0];
    if (idle) forget(idle);
    return idle !== undefined;
  }

  /** Ends a session that was counted as taken; there is room again when its connection is gone. */
  #dismiss(session: S): void {
    void session.quit().then(() => this.#leave());
  }

  /** Waits for room; it counts as taken by the caller when this resolves, aborted or not. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        const index = this.#waiting.indexOf(resume);
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        this.#taken += 1;
        resume();
      };
      this.#waiting.push(resume);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  /** Frees the room of one connection, or hands it to the one that has waited longest. */
  #leave(): void {
    this.#taken -= 1;
    if (this.#taken < this.#limits.maxConnections) {
      const next = this.#waiting.shift();
      if (next) {
        this.#taken += 1;
        next();
      }
    }
    if (this.#taken === 0) this.#emptied?.();
  }
}

function forget<S>(idle: IdleSession<S>): S {
  clearTimeout(idle.timer);
  idle.stopListening();
  return idle.session;
}
