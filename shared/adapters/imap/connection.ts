import { ImapFlow, type ImapResponse } from 'imapflow';
import type { Credentials } from '../credentials.ts';
import type { DialogueContext, DialogueLog } from '../dialogue.ts';
import { credentialScrub, type Scrub } from '../sasl.ts';
import { StoreError } from '../store.ts';
import { type CommandChannel, commandChannel, socketOf } from './command-channel.ts';
import type { CommandNode } from './commands.ts';
import { abortedError, commandError, connectionLost, type OpenTarget, openError, timeoutError } from './imap-errors.ts';
import { type ImapConnectionConfig, libraryOptions } from './library-options.ts';
import type { Literal } from './literal.ts';
import { useOwnSignIn } from './sign-in.ts';

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

  /** Takes the credentials out of what the server says. */
  readonly scrub: Scrub;
  readonly #dialogue: DialogueLog | undefined;

  private constructor(client: ImapFlow, silenceLimit: number, scrub: Scrub, dialogue: DialogueLog | undefined) {
    this.#client = client;
    this.scrub = scrub;
    this.#dialogue = dialogue;
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

  /** Connects, does TLS as the account says, signs in with these credentials. Throws StoreError. */
  static async open(
    config: ImapConnectionConfig,
    credentials: Credentials,
    signal: AbortSignal,
    { dialogue: openDialogue }: DialogueContext = {},
  ): Promise<ImapConnection> {
    const scrub = credentialScrub(credentials);
    const dialogue = openDialogue?.(scrub);
    const client = new ImapFlow(libraryOptions(config, credentials, dialogue));
    useOwnSignIn(client, config.auth, credentials);
    const opened: OpenTarget = {
      target: `${config.host}:${client.port}`,
      host: config.host,
      by: credentials.kind,
      scrub,
    };
    const connection = new ImapConnection(client, config.timeout, scrub, dialogue);
    try {
      await connection.#settled(
        client.connect().catch((error: unknown) => {
          throw openError(error, opened);
        }),
        signal,
        `to sign in at ${opened.target}`,
        () => client.stats().received > 0,
      );
      connection.#opened = true;
      return connection;
    } catch (error) {
      const failure = error instanceof StoreError ? error : openError(error, opened);
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

  /** The number of a capability such as `APPENDLIMIT=1000`; undefined where there is none. */
  capabilityValue(capability: string): number | undefined {
    const value = this.#client.capabilities.get(capability);
    return typeof value === 'number' ? value : undefined;
  }

  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** Calls `ended` once, when the connection is gone for whatever reason. Answers how to stop listening. */
  onEnd(ended: () => void): () => void {
    if (!this.alive) {
      ended();
      return ignore;
    }
    this.#onFailure.add(ended);
    return () => this.#onFailure.delete(ended);
  }

  /** Sends one command. NO and BAD throw the library's error, for the caller to look at; everything else StoreError. */
  async command(
    command: string,
    attributes: readonly CommandNode[],
    signal: AbortSignal,
    handlers: UntaggedHandlers = {},
  ): Promise<Completion> {
    if (this.#failure) throw this.#failure;
    this.#dialogue?.attach();
    const untagged = Object.fromEntries(
      Object.entries(handlers).map(([keyword, handle]) => [keyword, async (answer: ImapResponse) => handle(answer)]),
    );
    const answered = this.#channel.exec(command, attributes, { untagged }).then(({ response, next }) => {
      next();
      return { response };
    });
    return this.#settled(answered, signal, command);
  }

  /**
   * Sends a command whose last argument is a literal. Fails as `command` does. A literal that was begun and is not whole
   * when its command is over takes the connection with it: the server would read what follows as the rest of it.
   */
  async commandWithLiteral(
    command: string,
    attributes: readonly CommandNode[],
    literal: Literal,
    signal: AbortSignal,
  ): Promise<Completion> {
    if (this.#failure) throw this.#failure;
    const broken = () => new StoreError('connection', `the text for ${command} broke off`, { code: 'LITERAL' });
    const onPlusTag = async () => {
      if (literal.begun) return;
      // Not awaited: a refusal in the middle must be read.
      literal.write(socketOf(this.#client)).catch(() => this.fail(broken()));
    };
    const answered = this.#channel.exec(command, attributes, { untagged: {}, onPlusTag }).then(({ response, next }) => {
      next();
      return { response };
    });
    const progress = () => this.#client.stats().received + literal.written;
    try {
      const completion = await this.#settled(answered, signal, command, () => literal.serverIsDue, progress);
      if (literal.ended) return completion;
      const hint = 'The server answered before it had the whole mail. Look at the server’s log.';
      const early = new StoreError('connection', `an early answer to ${command}`, { code: 'EPROTOCOL', hint });
      this.fail(early);
      throw early;
    } finally {
      if (literal.begun && !literal.ended) this.fail(broken());
    }
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
      throw commandError(error, doing, this.scrub);
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

  /** As `#abortable`, and fails the connection once there was no progress for the silence limit while `watching`. */
  async #settled<T>(
    promise: Promise<T>,
    signal: AbortSignal,
    doing: string,
    watching: () => boolean = () => true,
    progress: () => number = () => this.#client.stats().received,
  ): Promise<T> {
    const limit = this.#silenceLimit;
    if (limit === 0) return this.#abortable(promise, signal);
    // Looks are counted, and not time: while this process itself is held up, the server is not silent.
    const pause = Math.min(Math.max(limit / 10, MIN_WATCH), MAX_WATCH);
    let before = progress();
    let quiet = 0;
    const look = () => {
      const now = progress();
      quiet = now === before && watching() ? quiet + 1 : 0;
      before = now;
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
