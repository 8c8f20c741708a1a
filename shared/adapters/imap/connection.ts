import { ImapFlow, type ImapResponse } from 'imapflow';
import { StoreError } from '../store.ts';
import type { CommandNode } from './commands.ts';
import { abortedError, commandError, connectionLost, openError, timeoutError } from './imap-errors.ts';
import { type ImapConnectionConfig, libraryOptions } from './library-options.ts';

/** How long a LOGOUT may take before the socket is closed anyway: it is a courtesy. */
const LOGOUT_LIMIT = 5_000;
/** Shortest and longest pause between two looks at whether bytes still come, in ms. */
const MIN_WATCH = 10;
const MAX_WATCH = 1_000;

/** Handlers of untagged answers by their keyword, such as FETCH. They must not wait: the socket is not read meanwhile. */
export type UntaggedHandlers = Readonly<Record<string, (response: ImapResponse) => void>>;

/** A tagged OK. */
export interface Completion {
  readonly response: ImapResponse;
}

/**
 * The part of the library below its mailbox functions: one command, its untagged answers, its completion. It is there in
 * the library's own code and not in its types; the mailbox functions are not used, because some of them fall back to a
 * bare EXPUNGE or to CLOSE, which would remove mail that others have marked.
 */
interface CommandChannel {
  exec(
    command: string,
    attributes: readonly CommandNode[],
    options: { readonly untagged: Readonly<Record<string, (response: ImapResponse) => Promise<void>>> },
  ): Promise<{ readonly response: ImapResponse; next(): void }>;
}

function commandChannel(client: ImapFlow): CommandChannel {
  if (!hasExec(client)) throw new Error('this version of imapflow has no exec()');
  return client;
}

function hasExec(client: unknown): client is CommandChannel {
  return typeof client === 'object' && client !== null && 'exec' in client && typeof client.exec === 'function';
}

/**
 * One signed-in IMAP connection. Whatever waits here ends with the signal, with the silence limit or with the connection,
 * whichever comes first; each of the three destroys the socket, and from then on everything fails with the first reason.
 */
export class ImapConnection {
  readonly #client: ImapFlow;
  readonly #channel: CommandChannel;
  /** ms without a byte from the server, while an answer is due; 0 for none. */
  readonly #silenceLimit: number;
  #failure: StoreError | undefined;
  #opened = false;
  readonly #onFailure = new Set<(failure: StoreError) => void>();
  #queue: Promise<void> = Promise.resolve();

  private constructor(client: ImapFlow, silenceLimit: number) {
    this.#client = client;
    this.#channel = commandChannel(client);
    this.#silenceLimit = silenceLimit;
    // Without a listener an error event would end the process.
    client.on('error', (error: unknown) => this.#lost(error));
    client.on('close', () => this.#lost({ reason: client.byeReason }));
    // Told to back off, the library would sleep inside; the caller is told instead.
    Object.defineProperty(client, 'throttleWait', { value: async () => false });
  }

  /** The library says that the connection ended. While it opens, `connect` itself rejects and says more. */
  #lost(error: unknown): void {
    if (this.#opened) this.fail(connectionLost(error));
  }

  /** Connects, does TLS as the account says, signs in. Throws StoreError. */
  static async open(
    config: ImapConnectionConfig,
    password: string | undefined,
    signal: AbortSignal,
  ): Promise<ImapConnection> {
    const client = new ImapFlow(libraryOptions(config, password));
    const connection = new ImapConnection(client, config.timeout);
    const target = `${config.host}:${client.port}`;
    try {
      await connection.#settled(
        client.connect().catch((error: unknown) => {
          throw openError(error, target);
        }),
        signal,
        `to sign in at ${target}`,
        () => client.stats().received > 0,
      );
      connection.#opened = true;
      return connection;
    } catch (error) {
      const failure = error instanceof StoreError ? error : openError(error, target);
      connection.fail(failure);
      throw failure;
    }
  }

  /** Words of the server about itself: its greeting and its name (RFC 2971). */
  get serverName(): string {
    return `${this.#client.greeting ?? ''} ${this.#client.serverInfo?.name ?? ''}`;
  }

  has(capability: string): boolean {
    return this.#client.capabilities.has(capability);
  }

  /** Sends one command. NO and BAD throw the library's error, for the caller to look at; everything else StoreError. */
  async command(
    command: string,
    attributes: readonly CommandNode[],
    signal: AbortSignal,
    handlers: UntaggedHandlers = {},
  ): Promise<Completion> {
    if (this.#failure) throw this.#failure;
    const untagged = Object.fromEntries(
      Object.entries(handlers).map(([keyword, handle]) => [keyword, async (answer: ImapResponse) => handle(answer)]),
    );
    const answered = this.#channel.exec(command, attributes, { untagged }).then(({ response, next }) => {
      next();
      return { response };
    });
    return this.#settled(answered, signal, command);
  }

  /** The folders there are, by the library's LIST, which also tells what they are for (RFC 6154, or else by name). */
  async listFolders(signal: AbortSignal): Promise<Awaited<ReturnType<ImapFlow['list']>>> {
    return this.#call(() => this.#client.list(), 'LIST', signal);
  }

  /** CREATE, under the user's own namespace; answers the name the folder got. */
  async createFolder(name: string, signal: AbortSignal): Promise<string> {
    return (await this.#call(() => this.#client.mailboxCreate(name), 'CREATE', signal)).path;
  }

  async #call<T>(call: () => Promise<T>, doing: string, signal: AbortSignal): Promise<T> {
    if (this.#failure) throw this.#failure;
    try {
      return await this.#settled(call(), signal, doing);
    } catch (error) {
      throw commandError(error, doing);
    }
  }

  /** Runs `work` when all work asked for before it has ended, so that no two of them share a selected folder. */
  async exclusive<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#queue;
    const result = this.#abortable(before, signal).then(work);
    this.#queue = Promise.all([before, result.then(ignore, ignore)]).then(ignore);
    return result;
  }

  /** Destroys the socket and fails whatever waits. The first reason stays. */
  fail(failure: StoreError): void {
    if (this.#failure === undefined) {
      this.#failure = failure;
      for (const tell of this.#onFailure) tell(failure);
      this.#onFailure.clear();
    }
    if (!this.#client.isClosed) this.#client.close();
  }

  /** From now on the signal ends the connection at once, whatever it is doing. */
  cutBy(signal: AbortSignal): void {
    const cut = () => this.fail(abortedError(signal));
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
  }

  /** LOGOUT, which expunges nothing (RFC 3501 section 6.1.3), then the socket. Never throws. */
  async close(): Promise<void> {
    if (this.#failure === undefined) {
      const limit = AbortSignal.timeout(LOGOUT_LIMIT);
      await this.#settled(this.#client.logout(), limit, 'LOGOUT').catch(ignore);
    }
    this.fail(new StoreError('connection', 'the session is closed', { code: 'CLOSED' }));
  }

  /** As `promise`, or the reason why the connection ended before it. */
  #abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => this.fail(abortedError(signal));
      const done = () => {
        signal.removeEventListener('abort', onAbort);
        this.#onFailure.delete(reject);
      };
      promise.then(resolve, reject).finally(done);
      if (this.#failure) reject(this.#failure);
      else {
        this.#onFailure.add(reject);
        if (signal.aborted) onAbort();
        else signal.addEventListener('abort', onAbort, { once: true });
      }
    });
  }

  /** As `#abortable`, and fails the connection once nothing has come for the silence limit while `watching`. */
  async #settled<T>(
    promise: Promise<T>,
    signal: AbortSignal,
    doing: string,
    watching: () => boolean = () => true,
  ): Promise<T> {
    const limit = this.#silenceLimit;
    if (limit === 0) return this.#abortable(promise, signal);
    // Looks are counted, and not time: while this process itself is held up, the server is not silent.
    const pause = Math.min(Math.max(limit / 10, MIN_WATCH), MAX_WATCH);
    let received = this.#client.stats().received;
    let quiet = 0;
    const look = () => {
      const now = this.#client.stats().received;
      quiet = now === received && watching() ? quiet + 1 : 0;
      received = now;
      if (quiet * pause >= limit) this.fail(timeoutError(doing));
    };
    const timer = setInterval(look, pause);
    try {
      return await this.#abortable(promise, signal);
    } finally {
      clearInterval(timer);
    }
  }
}

function ignore(): void {}
