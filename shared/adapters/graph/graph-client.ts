import { Client, ResponseType } from '@microsoft/microsoft-graph-client';
import type { z } from 'zod';
import type { Acquired } from '../../platform/acquired.ts';
import { sleep } from '../../platform/clock.ts';
import { log } from '../../platform/log.ts';
import { LruMap } from '../../platform/lru-map.ts';
import type { DialogueLog } from '../dialogue.ts';
import { type Scrub, secretScrub } from '../redaction.ts';
import { answerError, discard, readJson } from './answers.ts';
import type { GraphPlace } from './cloud.ts';
import { abortedError, GraphError } from './graph-error.ts';
import type { GraphSignIn } from './graph-sign-in.ts';
import { acquireConnections, defaultLimits, type HttpAnswer, type SilenceLimits } from './http-exchange.ts';
import { BearerToken, Call, DialogueLink, ExchangeLink, PinnedHost, StandardHeaders } from './middleware.ts';
import { Semaphore } from './semaphore.ts';

/** Outlook takes four requests at a time from an app on a mailbox (Microsoft Learn, "Microsoft Graph throttling"). */
const mailboxPlaces = 4;

/** Mailboxes remembered; beyond it the one used longest ago is forgotten. */
const maxMailboxes = 1_000;

const mailboxes = new LruMap<string, Semaphore>({ max: maxMailboxes });

/** The slots for requests to that mailbox, which all its users in this process share. */
function mailboxSlots(key: string): Semaphore {
  return mailboxes.getOrCreate(key, () => new Semaphore(mailboxPlaces));
}

/** How long a user of the client is ready to wait for Retry-After, all in all. Spent as it is used. */
export interface Patience {
  leftMs: number;
  /** What waits now does so until then, by `performance.now()`: waits at the same time are spent once. */
  waitsUntil?: number;
}

/** Longest single wait within a run; a longer one is handed back. */
const maxWaitMs = 10_000;
/** A 429 that does not say how long. */
const unknownWaitMs = 2_000;
const maxWaits = 3;

/** One request of Graph. */
export interface GraphRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly signal: AbortSignal;
  /** Sent as JSON, unless it is bytes; then `contentType` says what they are. */
  readonly body?: unknown;
  readonly contentType?: string;
  /** Preferences beside immutable ids, such as `odata.maxpagesize=50`. */
  readonly prefer?: readonly string[];
  readonly accept?: string;
  /** Awaited once, just before the last bytes leave. Throws it, the request fails with `COMMIT_REFUSED`. */
  readonly beforeLast?: () => Promise<void>;
}

/** Which mailbox a client is for, and how it behaves. */
export interface ClientOptions {
  readonly place: GraphPlace;
  readonly signIn: GraphSignIn;
  /** The mailbox; calls of one mailbox share its limit. */
  readonly userId: string;
  /** Requests of this client at a time. */
  readonly concurrency: number;
  readonly limits?: Partial<SilenceLimits> | undefined;
  readonly dialogue?: DialogueLog | undefined;
  /** Absent: a Retry-After is never waited for. */
  readonly patience?: Patience;
}

/** An answer whose body is being read, and the slots that it takes until `release`. */
export interface OpenAnswer extends Acquired {
  readonly answer: HttpAnswer;
  release(): void;
}

interface Exchanged {
  readonly answer: HttpAnswer;
  /** Takes the token of the request out of a text. */
  readonly scrub: Scrub;
}

/**
 * Microsoft Graph by its JavaScript library with a chain of our own: nothing is repeated inside it, bytes stay bytes,
 * links are used as they are, and no token goes anywhere but to the configured endpoint. Every method throws GraphError.
 */
export class GraphClient {
  readonly place: GraphPlace;
  readonly #client: Client;
  readonly #clientSlots: Semaphore;
  readonly #mailboxSlots: Semaphore;
  readonly #patience: Patience;
  readonly #connections = acquireConnections();
  readonly #closed = new AbortController();

  constructor(options: ClientOptions) {
    const { place, signIn, userId } = options;
    this.place = place;
    this.#clientSlots = new Semaphore(options.concurrency);
    this.#mailboxSlots = mailboxSlots(`${place.base} ${userId.toLowerCase()}`);
    this.#patience = options.patience ?? { leftMs: 0 };
    const limits = { ...defaultLimits, ...options.limits };
    this.#client = Client.initWithMiddleware({
      baseUrl: place.base,
      middleware: [
        new PinnedHost(place),
        new StandardHeaders(),
        new BearerToken(signIn),
        ...(options.dialogue ? [new DialogueLink(options.dialogue)] : []),
        new ExchangeLink(this.#connections.agent, limits),
      ],
    });
  }

  get agent() {
    return this.#connections.agent;
  }

  /** Sends a request and reads its JSON answer. */
  async json<T>(request: GraphRequest, schema: z.ZodType<T>): Promise<T> {
    const { answer, release } = await this.open(request);
    try {
      return await readJson(answer, schema);
    } finally {
      release();
    }
  }

  /** Sends a request whose answer does not matter beyond its status. Bodies of a 202 are empty, whatever its type says. */
  async done(request: GraphRequest): Promise<void> {
    const { answer, release } = await this.open(request);
    try {
      await discard(answer);
    } finally {
      release();
    }
  }

  /** Sends a request; its answer is a success and still to be read. `release` when that is over. */
  async open(request: GraphRequest): Promise<OpenAnswer> {
    for (let waits = 0; ; waits += 1) {
      const signal = AbortSignal.any([request.signal, this.#closed.signal]);
      const release = await this.#acquirePlaces(signal);
      let keep = false;
      let error: GraphError;
      try {
        const { answer, scrub } = await this.#exchange(request, signal);
        if (answer.status >= 200 && answer.status < 300) {
          checkEncoding(answer);
          keep = true;
          return { answer, release };
        }
        error = await answerError(answer, Date.now(), scrub);
      } finally {
        if (!keep) release();
      }
      await this.#waitOrThrow(error, request, waits, signal);
    }
  }

  /** Cuts what is under way. Idle connections end with their last user. */
  close(): void {
    this.#closed.abort(new Error('closed'));
    this.#connections.release();
  }

  /** A slot of this client, and one of the mailbox. Answers how to release both. */
  async #acquirePlaces(signal: AbortSignal): Promise<() => void> {
    try {
      const own = await this.#clientSlots.acquire(signal);
      try {
        const shared = await this.#mailboxSlots.acquire(signal);
        return () => {
          shared.release();
          own.release();
        };
      } catch (error) {
        own.release();
        throw error;
      }
    } catch {
      const { code, hint, message } = abortedError(signal);
      throw new GraphError('aborted', message, { code, hint, mayHaveArrived: false });
    }
  }

  async #exchange(request: GraphRequest, signal: AbortSignal): Promise<Exchanged> {
    const { method, url, body, accept, prefer = [] } = request;
    const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const type = request.contentType ?? 'application/json';
    const call = new Call({
      method,
      url,
      signal,
      beforeLast: request.beforeLast,
      // A POST without a body says so: Graph answers 411 otherwise.
      body: bytes ?? (method === 'POST' ? Buffer.alloc(0) : undefined),
      headers: {
        // Ids that stay the same when a mail is moved; the header counts for this one request.
        prefer: ['IdType="ImmutableId"', ...prefer].join(', '),
        ...(bytes === undefined ? {} : { 'content-type': type }),
        ...(accept === undefined ? {} : { accept }),
      },
    });
    const library = this.#client.api('').middlewareOptions([call]).responseType(ResponseType.RAW);
    try {
      if (method === 'GET') await library.get();
      else if (method === 'DELETE') await library.delete();
      else if (method === 'PATCH') await library.patch(undefined);
      else await library.post(undefined);
    } catch (error) {
      throw call.failure ?? error;
    }
    if (!call.answer) throw new Error('a request without an answer');
    const { authorization = '' } = call.headers;
    return { answer: call.answer, scrub: (text) => secretScrub(authorization.replace(/^Bearer /, ''))(text) };
  }

  /** Waits where the server asks for little; else throws. Nothing is repeated that may have been done. */
  async #waitOrThrow(error: GraphError, request: GraphRequest, waits: number, signal: AbortSignal): Promise<void> {
    const repeatable = error.status === 429 || (error.status === 503 && request.method === 'GET');
    if (!repeatable || waits >= maxWaits) throw error;
    await this.pause(error, signal);
  }

  /** Waits as long as an answer asks for, where that is little and some patience is left; else throws the answer's error. */
  async pause(error: GraphError, signal: AbortSignal): Promise<void> {
    const wait = error.retryAfterMs ?? (error.status === 429 ? unknownWaitMs : Number.POSITIVE_INFINITY);
    const now = performance.now();
    const waitsUntil = this.#patience.waitsUntil ?? now;
    const spent = Math.max(0, now + wait - Math.max(now, waitsUntil));
    if (wait > maxWaitMs || spent > this.#patience.leftMs) throw error;
    this.#patience.leftMs -= spent;
    this.#patience.waitsUntil = Math.max(waitsUntil, now + wait);
    // A longer one is thrown, and logged by whoever puts the work back.
    log.info('provider.throttled', { code: String(error.status), retryAfterMs: wait });
    try {
      await sleep(wait, signal);
    } catch {
      throw abortedError(signal);
    }
  }
}

/** Octets that are encoded are not those asked for. Throws GraphError `nonsense`. */
function checkEncoding(answer: HttpAnswer): void {
  const encoding = answer.header('content-encoding')?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return;
  answer.cancel();
  throw new GraphError('nonsense', 'an answer in an encoding that was not asked for', {
    code: 'CONTENT_ENCODING',
    status: answer.status,
    hint: 'Graph answers as it is asked: look at what stands between, such as a proxy.',
  });
}
