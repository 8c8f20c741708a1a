import { setTimeout as delay } from 'node:timers/promises';
import type { Acquired } from '../../platform/acquired.ts';
import { StoreError } from '../store.ts';
import { abortedError } from '../store-troubles.ts';
import type { Maildrop } from './maildrop.ts';
import { replyError } from './pop3-errors.ts';
import { isPassing } from './replies.ts';

/** How long a quit may take before the socket is closed anyway: it is a courtesy. */
const QUIT_LIMIT = 5_000;
/** How long the server may take to close after QUIT, by when it has let go of the maildrop. */
const CLOSE_LIMIT = 2_000;
/** Waits in ms before each further sign-in while the server has not yet noticed that our own last session is over. */
const IN_USE_WAITS = [100, 200, 400, 800, 1_600, 3_200];
/** Longest delay between sign-ins, in ms, that is waited for here; a longer one goes back to the caller. */
const MAX_LOGIN_DELAY = 10_000;

const notDeleted =
  'The server does not delete this mail. If it deletes none by POP3, allow it there, or set import.delete to "never".';

/** What the work of a store session is done with. */
export interface MaildropContext {
  readonly sessions: Pop3Sessions;
  /** The store's part of a source id. */
  readonly identity: string;
}

/** A signed-in session that nobody else uses until it is released. */
export interface AcquiredMaildrop extends Acquired {
  readonly maildrop: Maildrop;
  release(): void;
}

/**
 * The maildrop across sign-ins. Deletes take effect by QUIT alone (RFC 1939 section 6), which ends the session: the
 * next work signs in again. The invariant: a session in which a message was marked for deletion is either ended by QUIT
 * within the same call, or its socket is destroyed, which deletes nothing. So nothing is ever deleted that was not
 * meant to be.
 */
export class Pop3Sessions {
  readonly #signIn: (signal: AbortSignal) => Promise<Maildrop>;
  #current: Maildrop | undefined;
  #queue: Promise<void> = Promise.resolve();
  #closed: StoreError | undefined;
  /** Somebody uses the session now. */
  #inUse = false;

  constructor(signIn: (signal: AbortSignal) => Promise<Maildrop>, first: Maildrop) {
    this.#signIn = signIn;
    this.#current = first;
  }

  /** Runs `work` on a signed-in session, when all work asked for before it has ended. */
  async exclusive<T>(signal: AbortSignal, work: (maildrop: Maildrop) => Promise<T>): Promise<T> {
    const { maildrop, release } = await this.acquire(signal);
    try {
      return await work(maildrop);
    } finally {
      release();
    }
  }

  /** As `exclusive`, until `release` is called: for a mail that is read bit by bit. */
  async acquire(signal: AbortSignal): Promise<AcquiredMaildrop> {
    const before = this.#queue;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#queue = before.then(() => released);
    let acquired = false;
    const free = () => {
      if (acquired) this.#inUse = false;
      acquired = false;
      release();
    };
    try {
      await abortable(before, signal);
      if (this.#closed) throw this.#closed;
      acquired = true;
      this.#inUse = true;
      const maildrop = this.#current?.connection.alive ? this.#current : await this.#again(signal);
      this.#current = maildrop;
      if (this.#closed) throw maildrop.connection.fail(this.#closed);
      return { maildrop, release: free };
    } catch (error) {
      // Work behind this one still waits for work before it: the queue holds that already.
      free();
      throw error;
    }
  }

  /**
   * Deletes messages of the session that is held now, for good: DELE each, and QUIT. Answers the refusals of those that
   * the server did not mark. Throws where it is not certain that the others are deleted; the session is over in any case.
   */
  async deleteAndQuit(
    maildrop: Maildrop,
    numbers: readonly number[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, StoreError>> {
    const { connection } = maildrop;
    const refused = new Map<number, StoreError>();
    this.#current = undefined;
    try {
      await connection.each(
        numbers.map((number) => `DELE ${number}`),
        (reply, index) => {
          const number = numbers[index];
          if (reply.status === 'ok' || number === undefined) return;
          // Nothing is deleted then; whoever asked asks again.
          if (isPassing(reply)) throw replyError(reply, 'to delete');
          const { message, code } = replyError(reply, 'to delete');
          refused.set(number, new StoreError('permission', message, { code: code ?? 'ERR', hint: notDeleted }));
        },
        signal,
      );
      const quit = await connection.command('QUIT', signal);
      if (quit.status !== 'ok') throw replyError(quit, 'to delete: some mails may not be deleted');
      await connection.socket.closedByServer(CLOSE_LIMIT);
      return refused;
    } finally {
      connection.socket.destroy();
    }
  }

  /** Leaves the session and signs in again, so that what has arrived since is seen. */
  async renew(signal: AbortSignal): Promise<void> {
    await this.exclusive(signal, async (maildrop) => {
      this.#current = undefined;
      await leave(maildrop, signal);
    });
    await this.exclusive(signal, async () => undefined);
  }

  /** Leaves without deleting anything. Never throws. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = new StoreError('connection', 'the session is closed', { code: 'CLOSED' });
    const maildrop = this.#current;
    this.#current = undefined;
    if (!maildrop) return;
    if (!this.#inUse) await leave(maildrop, AbortSignal.timeout(QUIT_LIMIT));
    maildrop.connection.fail(this.#closed);
  }

  async #again(signal: AbortSignal): Promise<Maildrop> {
    const waits = [...IN_USE_WAITS];
    for (;;) {
      try {
        return await this.#signIn(signal);
      } catch (error) {
        const wait = error instanceof StoreError ? waitBefore(error, waits) : undefined;
        if (wait === undefined) throw error;
        await delay(wait, undefined, { signal }).catch(() => {
          throw abortedError(signal);
        });
        if (this.#closed) throw this.#closed;
      }
    }
  }
}

/** QUIT that deletes nothing. RSET takes back what reading has changed, if any was read: servers mark mail as read at QUIT. */
async function leave({ connection }: Maildrop, signal: AbortSignal): Promise<void> {
  if (!connection.alive) return;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(QUIT_LIMIT)]);
  try {
    await connection.each(connection.touched ? ['RSET', 'QUIT'] : ['QUIT'], () => undefined, limit);
    await connection.socket.closedByServer(CLOSE_LIMIT);
  } catch {
    // A courtesy: nothing depends on it.
  }
  connection.socket.destroy();
}

/** ms until a sign-in that was refused may be tried again; undefined where it is not to be. */
function waitBefore({ code, retryAfterMs }: StoreError, waits: number[]): number | undefined {
  if (code === 'IN-USE') return waits.shift();
  if (code !== 'LOGIN-DELAY' || retryAfterMs === undefined || retryAfterMs > MAX_LOGIN_DELAY) return undefined;
  // Twice at most: a server that goes on refusing is not waited for.
  return waits.splice(0, Math.ceil(waits.length / 2)).length > 0 ? retryAfterMs : undefined;
}

function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortedError(signal));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
