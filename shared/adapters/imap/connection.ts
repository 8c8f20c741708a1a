import { ImapFlow, type ImapResponse } from 'imapflow';
import type { ServerContext } from '../connections/server-context.ts';
import type { DialogueLog } from '../dialogue.ts';
import { credentialScrub, type Scrub } from '../redaction.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import { StoreError } from '../store.ts';
import { abortedError } from '../store-troubles.ts';
import { AnswerBudget } from './answer-budget.ts';
import type { CommandNode } from './command-arguments.ts';
import { type CommandChannel, commandChannel, socketOf } from './command-channel.ts';
import {
  answersTooLarge,
  commandError,
  connectionLost,
  type OpenTarget,
  openError,
  timeoutError,
} from './imap-errors.ts';
import { type ImapConnectionConfig, libraryOptions } from './library-options.ts';
import type { Literal } from './literal.ts';
import { useOwnSignIn } from './sign-in.ts';
import { type SilenceOptions, watchForSilence } from './silence-watch.ts';

/** How long a LOGOUT may take before the socket is closed anyway: it is a courtesy. */
const LOGOUT_LIMIT = 5_000;
/** Octets of a command's answers at most, and of what comes before the first command, unless more is expected. */
const USUAL_ANSWERS = 256 * 1024;
/** The same of a listing of folders: of some ten thousand. */
const FOLDERS = 1024 * 1024;

/** What opening a connection asks of the service, beside credentials. */
export type OpenContext = Pick<ServerContext, 'dialogue' | 'network'>;

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
  /** Commands that were sent by `command` so far. */
  commands = 0;
  readonly #onFailure = new Set<(failure: StoreError) => void>();
  #queue: Promise<void> = Promise.resolve();

  /** Takes the credentials out of what the server says. */
  readonly scrub: Scrub;
  readonly #dialogue: DialogueLog | undefined;
  readonly #budget: AnswerBudget;
  #expected = USUAL_ANSWERS;

  private constructor(client: ImapFlow, silenceLimit: number, scrub: Scrub, dialogue: DialogueLog | undefined) {
    this.#client = client;
    this.scrub = scrub;
    this.#dialogue = dialogue;
    this.#channel = commandChannel(client);
    this.#silenceLimit = silenceLimit;
    this.#budget = new AnswerBudget(client, USUAL_ANSWERS, () => this.fail(answersTooLarge()));
    // Without a listener an error event would end the process.
    client.on('error', (error: unknown) => this.#lost(error));
    client.on('close', () => this.#lost({ reason: client.byeReason }));
    // Asked to slow down, the library would sleep inside; here the caller gets an error instead.
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
    { dialogue: openDialogue, network }: OpenContext = {},
  ): Promise<ImapConnection> {
    const scrub = credentialScrub(credentials);
    const dialogue = openDialogue?.(scrub);
    const client = new ImapFlow(libraryOptions(config, credentials, { dialogue, network }));
    useOwnSignIn(client, config.auth, credentials);
    const opened: OpenTarget = {
      target: `${config.host}:${client.port}`,
      host: config.host,
      by: credentials.kind,
    };
    const connection = new ImapConnection(client, config.timeout, scrub, dialogue);
    try {
      await connection.#watched(
        client.connect().catch((error: unknown) => {
          throw openError(error, opened);
        }),
        signal,
        { doing: `to sign in at ${opened.target}`, watching: () => client.stats().received > 0 },
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

  /** The answers to the next command may have so many octets. */
  expect(octets: number): void {
    this.#expected = octets;
  }

  #allowAnswers(): void {
    this.#budget.allow(this.#expected);
    this.#expected = USUAL_ANSWERS;
  }

  /** Sends one command. NO and BAD throw the library's error, for the caller to look at; everything else StoreError. */
  async command(
    command: string,
    attributes: readonly CommandNode[],
    signal: AbortSignal,
    handlers: UntaggedHandlers = {},
  ): Promise<Completion> {
    this.commands += 1;
    this.#dialogue?.attach();
    const untagged = Object.fromEntries(
      Object.entries(handlers).map(([keyword, handle]) => [keyword, async (answer: ImapResponse) => handle(answer)]),
    );
    return this.#watched(this.#execute(command, attributes, { untagged }), signal, { doing: command });
  }

  async #execute(...[command, attributes, options]: Parameters<CommandChannel['exec']>): Promise<Completion> {
    if (this.#failure) throw this.#failure;
    this.#allowAnswers();
    const { response, next } = await this.#channel.exec(command, attributes, options);
    next();
    return { response };
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
    const broken = () => new StoreError('connection', `the text for ${command} broke off`, { code: 'LITERAL' });
    const onPlusTag = async () => {
      if (literal.begun) return;
      // Not awaited: a refusal in the middle must be read.
      literal.write(socketOf(this.#client)).catch(() => this.fail(broken()));
    };
    const answered = this.#execute(command, attributes, { untagged: {}, onPlusTag });
    const progress = () => this.#client.stats().received + literal.written;
    try {
      const watch = { doing: command, watching: () => literal.serverIsDue, progress };
      const completion = await this.#watched(answered, signal, watch);
      if (literal.ended) return completion;
      const hint = 'The server answered before it had the whole mail. Look at the server’s log.';
      const early = new StoreError('connection', `an early answer to ${command}`, { code: 'EPROTOCOL', hint });
      this.fail(early);
      throw early;
    } finally {
      if (literal.begun && !literal.ended) this.fail(broken());
    }
  }

  /** The folders there are, by the library's LIST, which also says what they are for (RFC 6154, or else by name); with `counts`, how many mails are in each. */
  async listFolders(
    signal: AbortSignal,
    options: { readonly counts?: boolean } = {},
  ): Promise<Awaited<ReturnType<ImapFlow['list']>>> {
    this.expect(FOLDERS);
    // LIST-STATUS (RFC 5819), or else a STATUS for each.
    const query = options.counts ? { statusQuery: { messages: true, unseen: true } } : {};
    return this.#call(() => this.#client.list(query), 'LIST', signal);
  }

  /** CREATE, under the user's own namespace; answers the name the folder got. */
  async createFolder(name: string, signal: AbortSignal): Promise<string> {
    return (await this.#call(() => this.#client.mailboxCreate(name), 'CREATE', signal)).path;
  }

  async #call<T>(call: () => Promise<T>, doing: string, signal: AbortSignal): Promise<T> {
    if (this.#failure) throw this.#failure;
    this.#allowAnswers();
    try {
      return await this.#watched(call(), signal, { doing });
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
      for (const ended of this.#onFailure) ended(failure);
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
      await this.#watched(this.#client.logout(), limit, { doing: 'LOGOUT' }).catch(ignore);
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

  /** As `#abortable`, and fails the connection when the server is silent for too long. */
  async #watched<T>(promise: Promise<T>, signal: AbortSignal, watch: SilenceWatch): Promise<T> {
    const stop = watchForSilence(this.#silenceLimit, {
      progress: () => this.#client.stats().received,
      ...watch,
      silent: () => this.fail(timeoutError(watch.doing)),
    });
    try {
      return await this.#abortable(promise, signal);
    } finally {
      stop();
    }
  }
}

/** What is waited for; and what the server's progress is, if not the octets received. */
type SilenceWatch = Partial<Pick<SilenceOptions, 'watching' | 'progress'>> & { readonly doing: string };

function ignore(): void {}
