import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Acquired } from '../../platform/acquired.ts';
import { explainNetError } from '../net/net-errors.ts';
import { abortedError, GraphError } from './graph-error.ts';

/** How long a server may be silent, in ms. */
export interface SilenceLimits {
  /** Until the connection stands, TLS included. */
  readonly connect: number;
  /** From then until the answer begins; Graph takes half a minute to build the MIME of a large mail. */
  readonly answer: number;
  /** Between two bytes of an answer. */
  readonly idle: number;
}

/** The limits where nothing else is given, in ms. */
export const defaultLimits: SilenceLimits = { connect: 30_000, answer: 120_000, idle: 60_000 };

/** One request, as it is sent. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  readonly signal: AbortSignal;
  readonly limits: SilenceLimits;
  /** Awaited when all but the last bytes are on their way; where it throws, they never leave. */
  readonly beforeLast?: (() => Promise<void>) | undefined;
}

/** An answer whose body is still to be read, or to be let go. */
export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** The body as it comes; ends with a GraphError when the server goes silent or away. */
  body(): AsyncGenerator<Buffer, void, undefined>;
  /** Ends the connection of an answer that nobody reads. */
  cancel(): void;
}

/** Connections shared by all accounts of the process, since outbound ports are scarce on Azure (SNAT). */
let shared: { readonly agent: Agent; users: number } | undefined;

const idleConnectionMs = 30_000;

/** The shared connections. When their last user has released them, idle ones end. */
export function acquireConnections(): Acquired & { readonly agent: Agent } {
  shared ??= {
    agent: new Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 16, timeout: idleConnectionMs }),
    users: 0,
  };
  const mine = shared;
  mine.users += 1;
  let held = true;
  return {
    agent: mine.agent,
    release() {
      if (!held) return;
      held = false;
      mine.users -= 1;
      if (mine.users > 0) return;
      mine.agent.destroy();
      if (shared === mine) shared = undefined;
    },
  };
}

/** Bytes held back for `beforeLast`. */
const lastBytes = 1_024;

/** Methods that may be repeated when a kept connection turns out to have been closed by the server meanwhile. */
const repeatable: ReadonlySet<string> = new Set(['GET', 'PATCH']);
const maxStale = 3;

/** One HTTPS exchange (RFC 9110). Throws GraphError, origin `network` or `aborted`; any status is an answer. */
export async function exchange(request: HttpRequest, agent: Agent): Promise<HttpAnswer> {
  for (let stale = 0; ; stale += 1) {
    const result = await attempt(request, agent);
    if ('answer' in result) return result.answer;
    if (!result.stale || !repeatable.has(request.method) || stale >= maxStale) throw result.error;
  }
}

type Attempt = { readonly answer: HttpAnswer } | { readonly error: GraphError; readonly stale: boolean };

function attempt(wanted: HttpRequest, agent: Agent): Promise<Attempt> {
  const { method, url, headers, body, signal, limits, beforeLast } = wanted;
  if (signal.aborted) return Promise.resolve({ error: notSent(abortedError(signal)), stale: false });
  return new Promise((resolve) => {
    let connected = false;
    // Without its last bytes a request does not count.
    let released = beforeLast === undefined;
    let refused = false;
    let timer: NodeJS.Timeout | undefined;
    let silent: string | undefined;
    const wait = (ms: number, step: string) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = step;
        outgoing.destroy();
      }, ms);
    };
    const outgoing = httpsRequest(url, {
      method,
      agent,
      headers: { ...headers, ...(body ? { 'content-length': String(body.length) } : {}) },
    });
    const finish = (result: Attempt) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const onAbort = () => outgoing.destroy();
    const heldFrom = Math.max(0, (body?.length ?? 0) - lastBytes);
    const onConnected = () => {
      connected = true;
      wait(limits.answer, 'answer');
      beforeLast?.().then(
        () => {
          released = true;
          outgoing.end(body?.subarray(heldFrom));
        },
        () => {
          refused = true;
          outgoing.destroy();
        },
      );
    };
    const failed = (error: unknown) => {
      const reason = refused ? commitRefused() : signal.aborted ? abortedError(signal) : networkError(error, silent);
      return connected && released ? reason : notSent(reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    wait(limits.connect, 'connect');
    outgoing.once('socket', (socket) => {
      if (outgoing.reusedSocket) onConnected();
      else socket.once('secureConnect', onConnected);
    });
    outgoing.once('response', (message) => finish({ answer: answerOf(message, signal, limits.idle) }));
    // Later errors of a request that was answered are met by whoever reads its body.
    outgoing.on('error', (error) => {
      const stale = connected && outgoing.reusedSocket && silent === undefined && !signal.aborted;
      finish({ error: failed(error), stale });
    });
    outgoing.once('close', () => finish({ error: failed({ code: 'ECONNRESET' }), stale: false }));
    if (beforeLast) outgoing.write(body?.subarray(0, heldFrom) ?? '');
    else outgoing.end(body);
  });
}

const commitRefused = () =>
  new GraphError('aborted', 'the last bytes were held back', { code: 'COMMIT_REFUSED', mayHaveArrived: false });

function notSent(error: GraphError): GraphError {
  const { code, hint } = error;
  return new GraphError(error.origin, error.message, { code, hint, mayHaveArrived: false });
}

const silences: Readonly<Record<string, string>> = {
  connect: 'The server did not take the connection in time. It may pass; else check GRAPH_ENDPOINT and firewalls.',
  answer: 'The server took the request and did not answer in time. It may pass.',
  body: 'The server went silent in the middle of its answer. It may pass.',
};

/** The GraphError of a connection that failed. `silent`: which of the limits for silence ended it. */
function networkError(error: unknown, silent?: string): GraphError {
  if (silent !== undefined) {
    return new GraphError('network', 'no answer in time', { code: 'ETIMEDOUT', hint: silences[silent] });
  }
  const { code, hint, kind } = explainNetError(error);
  const known = code === 'UNKNOWN' ? 'ECONNRESET' : code;
  return new GraphError('network', `the connection failed (${known})`, {
    code: known,
    hint: kind === 'other' ? 'The server closed the connection. It may pass.' : hint,
  });
}

function answerOf(message: IncomingMessage, signal: AbortSignal, idleMs: number): HttpAnswer {
  // An error of a body that nobody reads yet must not end the process.
  message.on('error', () => undefined);
  const onAbort = () => message.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  message.once('close', () => signal.removeEventListener('abort', onAbort));
  return {
    status: message.statusCode ?? 0,
    header: (name) => {
      const value = message.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: () => readBody(message, signal, idleMs),
    cancel: () => message.destroy(),
  };
}

async function* readBody(
  message: IncomingMessage,
  signal: AbortSignal,
  idleMs: number,
): AsyncGenerator<Buffer, void, undefined> {
  const chunks = message[Symbol.asyncIterator]();
  let silent: string | undefined;
  try {
    for (;;) {
      const timer = setTimeout(() => {
        silent = 'body';
        message.destroy();
      }, idleMs);
      const next = await chunks.next().finally(() => clearTimeout(timer));
      if (next.done === true) break;
      yield next.value;
    }
    // A connection that is cut may end the stream without an error.
    if (!message.complete) throw new Error('cut');
  } catch (error) {
    throw signal.aborted ? abortedError(signal) : networkError(error, silent);
  } finally {
    if (!message.complete) message.destroy();
  }
}
