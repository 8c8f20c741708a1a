import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import type { NetworkPolicy } from '../../platform/network-policy.ts';
import { hostOf } from './target-network.ts';

/** A target has so long to answer, its name look-up included. In ms. */
const answerMs = 15_000;

/** A connection that nothing is sent over is closed after this, in ms. */
const idleMs = 15_000;

/** Nobody reads answers; up to this many bytes are taken so that the connection can be used again. */
const maxAnswerBytes = 64 * 1024;

/** Headers of an answer at most, in bytes. */
const maxHeaderBytes = 16 * 1024;

/** A request to a webhook. */
export interface Post {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What came of a request: the answer's status, or why there was none. */
export type Answer =
  | { readonly status: number; readonly retryAfter?: string }
  /** Of the system (`ECONNREFUSED`), of TLS, `ADDRESS_REFUSED`, `TIMEOUT`, or `ABORTED` by the caller. */
  | { readonly code: string };

class NoAnswer extends Error {
  readonly code: 'TIMEOUT' | 'ABORTED';
  constructor(code: 'TIMEOUT' | 'ABORTED') {
    super(code);
    this.code = code;
  }
}

const agentOptions = { keepAlive: true, maxFreeSockets: 64, timeout: idleMs };
const agents = { 'http:': new http.Agent(agentOptions), 'https:': new https.Agent(agentOptions) };

/**
 * Posts once and answers what came back; never throws. Redirects are not followed. Connections lead to addresses that the
 * policy allows alone, whatever the name of the host becomes meanwhile, and are kept for a short time.
 */
export async function post(request: Post, policy: NetworkPolicy, caller: AbortSignal): Promise<Answer> {
  const signal = AbortSignal.any([caller, AbortSignal.timeout(answerMs)]);
  try {
    policy.checkHost(hostOf(request.url));
    return await exchange(request, policy, signal);
  } catch (error) {
    if (!(error instanceof StaleConnection)) return { code: codeOf(error) };
  }
  // It was closed by the target just as it was used again: what was sent over it has reached nobody, or is known by its id.
  try {
    return await exchange(request, policy, signal);
  } catch (error) {
    return { code: codeOf(error instanceof StaleConnection ? error.cause : error) };
  }
}

/** A kept connection broke before the answer. */
class StaleConnection extends Error {}

function exchange({ url, headers, body }: Post, policy: NetworkPolicy, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const isTls = url.protocol === 'https:';
    const options: RequestOptions = {
      method: 'POST',
      agent: isTls ? agents['https:'] : agents['http:'],
      lookup: policy.lookup,
      maxHeaderSize: maxHeaderBytes,
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
    };
    const request = isTls ? https.request(url, options) : http.request(url, options);
    const onAbort = () => request.destroy(new NoAnswer(isTimeout(signal.reason) ? 'TIMEOUT' : 'ABORTED'));
    signal.addEventListener('abort', onAbort, { once: true });
    const end = () => signal.removeEventListener('abort', onAbort);
    request.once('response', (response) => {
      end();
      discard(response);
      const retryAfter = response.headers['retry-after'];
      resolve({ status: response.statusCode ?? 0, ...(retryAfter === undefined ? {} : { retryAfter }) });
    });
    request.on('error', (error) => {
      end();
      const isStale = request.reusedSocket && /^(?:ECONNRESET|EPIPE)$/.test(codeOf(error));
      reject(isStale ? new StaleConnection('', { cause: error }) : error);
    });
    if (signal.aborted) onAbort();
    request.end(body);
  });
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}

/** Takes what is left of an answer, so that its connection can be used again; or closes it where that is too much. */
function discard(response: IncomingMessage): void {
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), idleMs);
  timer.unref();
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) response.destroy();
  });
  response.on('error', () => undefined);
  response.once('close', () => clearTimeout(timer));
}

/** The code of an error, or of what it was made of: several addresses of one name fail together. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError) {
    const codes = error.errors.map(codeOf);
    return codes.find((code) => code !== 'FAILED') ?? 'FAILED';
  }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'FAILED';
}
