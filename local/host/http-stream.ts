import { randomUUID } from 'node:crypto';
import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { answer, discardBody, withoutHopByHop, writeHead } from './http-answer.ts';
import { withBackPressure } from './http-back-pressure.ts';
import { contentLength, type HttpInvocation, httpTriggerMetadata, traceOf } from './http-invocation.ts';
import type { Invoker } from './invocation.ts';
import type { LibraryServer } from './library-server.ts';
import { type HostLog, messageOf } from './log.ts';

const ID_HEADER = 'x-ms-invocation-id';

export interface StreamOptions {
  readonly invoker: Invoker;
  readonly log: HostLog;
  readonly library: LibraryServer;
  /** Milliseconds without a byte either way before the caller gets 504. */
  readonly activityTimeout: number;
}

export interface StreamForwarder {
  forward(invocation: HttpInvocation): Promise<void>;
  close(): void;
}

/**
 * HTTP streaming as the real host does it: the request is forwarded, body and all, to the library's own server, with
 * the invocation's id to know it by; what that server answers is passed to the caller as it comes. Only headers, query
 * and route values travel with the invocation itself. Back-pressure holds from end to end, so a body of any size costs a few
 * chunks of memory.
 */
export function createStreamForwarder({ invoker, log, library, activityTimeout }: StreamOptions): StreamForwarder {
  const target = library.uri;
  /** Invocations whose request is on its way to the library. */
  const waitingForLibrary = new Map<string, (libraryResponse: ServerResponse) => void>();
  library.onRequest(({ [ID_HEADER]: id }, libraryResponse) => {
    if (typeof id === 'string') waitingForLibrary.get(id)?.(libraryResponse);
  });
  const agent = new http.Agent({ keepAlive: true });

  async function forward(invocation: HttpInvocation): Promise<void> {
    const { req, res, fn, bodyLimit, customHeaders } = invocation;
    const length = contentLength(req);
    if (length !== undefined && length > bodyLimit) {
      answer(req, res, 500, { customHeaders });
      return;
    }
    // The real host holds a body of known length whole before the app sees the first byte of it.
    let whole: Buffer | undefined;
    try {
      whole = length === undefined || length === 0 ? undefined : await readBody(req, length);
    } catch {
      res.destroy();
      return;
    }
    const invocationId = randomUUID();
    const upstream = openUpstream(invocation, invocationId, length);
    const finished = relayAnswer(invocation, upstream, () => !waitingForLibrary.has(invocationId));
    const limit = (error: Error) => {
      log.write('warning', `Function.${fn.name}`, `${error.message} (Id=${invocationId})`);
      answer(req, res, 413, { customHeaders });
      upstream.destroy(error);
    };
    // Invoked only once the library has the request: without it, the library would wait for ever.
    waitingForLibrary.set(invocationId, (libraryResponse) => {
      waitingForLibrary.delete(invocationId);
      invoke(invocation, invocationId, libraryResponse);
    });
    upstream.once('close', () => waitingForLibrary.delete(invocationId));
    if (length !== undefined) upstream.end(whole);
    else {
      upstream.flushHeaders();
      relayBody(req, upstream, bodyLimit, limit);
    }
    await finished;
  }

  function invoke(invocation: HttpInvocation, invocationId: string, libraryResponse: ServerResponse): void {
    const { req, res, fn } = invocation;
    const run = invoker.invoke(fn, {
      invocationId,
      inputs: [{ name: fn.triggerName, data: { http: {} } }],
      triggerMetadata: httpTriggerMetadata(invocation),
      traceContext: traceOf(req),
      adaptResult: (result) => withBackPressure(result, libraryResponse),
      reason: 'This function was called by an HTTP request.',
    });
    run.catch(() => {
      if (res.headersSent || res.destroyed) return;
      log.write(
        'warning',
        `Function.${fn.name}`,
        `'${fn.name}' failed before it answered. With HTTP streaming the library then never answers: the caller waits ${activityTimeout / 1_000} s for a 504, as in Azure. Catch errors in the handler. (Id=${invocationId})`,
      );
    });
  }

  function openUpstream({ req, url }: HttpInvocation, invocationId: string, length: number | undefined): ClientRequest {
    return http.request({
      agent,
      host: target.hostname,
      port: target.port,
      method: req.method ?? 'GET',
      path: url.pathname + url.search,
      headers: {
        ...withoutHopByHop(req.headers),
        [ID_HEADER]: invocationId,
        'x-forwarded-host': url.host,
        'x-forwarded-proto': url.protocol.slice(0, -1),
        ...(length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': length }),
      },
    });
  }

  function relayAnswer(
    { req, res, fn, customHeaders }: HttpInvocation,
    upstream: ClientRequest,
    reachedApp: () => boolean,
  ): Promise<void> {
    let answered = false;
    return new Promise((resolve) => {
      res.once('finish', resolve);
      res.once('close', () => {
        resolve();
        if (res.writableFinished && answered) {
          // The rest of the body goes on to the app's connection, which is used again: read or not.
          if (!req.complete) req.setTimeout(activityTimeout, () => req.destroy());
          return;
        }
        // Before the end this is a caller who went away; the library passes no signal on to the function (issue 294).
        req.unpipe();
        upstream.destroy();
        discardBody(req);
      });
      upstream.setTimeout(activityTimeout, () => {
        answer(req, res, 504, { customHeaders });
        upstream.destroy();
      });
      upstream.once('response', (response: IncomingMessage) => {
        if (!reachedApp()) {
          // The app's server refused what the app never saw, headers that are too large say; the host waits for the app.
          log.write(
            'warning',
            `Function.${fn.name}`,
            `The worker answered ${response.statusCode} by itself: nobody gets that answer.`,
          );
          response.resume();
          upstream.setTimeout(0);
          const silence = setTimeout(() => answer(req, res, 504, { customHeaders }), activityTimeout);
          res.once('close', () => clearTimeout(silence));
          return;
        }
        response.once('end', () => {
          answered = true;
        });
        if (res.headersSent || res.destroyed) {
          response.destroy();
          return;
        }
        writeHead(res, response.statusCode ?? 502, withoutHopByHop(response.headers), customHeaders);
        response.once('error', () => res.destroy());
        response.pipe(res);
      });
      upstream.on('error', (error) => {
        if (res.writableEnded || res.destroyed) return;
        log.write('error', `Function.${fn.name}`, `Forwarding the request failed: ${messageOf(error)}`);
        if (res.headersSent) res.destroy();
        else answer(req, res, 502, { customHeaders });
      });
    });
  }

  return { forward, close: () => agent.destroy() };
}

/** Reads exactly `length` bytes; the size was checked before. @throws when the caller went away before. */
async function readBody(req: IncomingMessage, length: number): Promise<Buffer> {
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  for await (const chunk of req) {
    if (!(chunk instanceof Buffer)) throw new Error('the request has no bytes');
    at += chunk.copy(body, at);
  }
  if (at !== length) throw new Error('the caller went away before the whole body had come');
  return body;
}

/** Passes the body on, counting it: a chunked body announces no length. */
function relayBody(
  req: IncomingMessage,
  upstream: ClientRequest,
  bodyLimit: number,
  tooLarge: (error: Error) => void,
): void {
  let received = 0;
  req.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received > bodyLimit && received - chunk.length <= bodyLimit) {
      req.unpipe();
      tooLarge(new Error(`Request body too large: the limit is ${bodyLimit} bytes`));
    }
  });
  req.on('error', () => upstream.destroy());
  // Node.js tells a client no `drain` any more once its answer has come whole, so what goes on is known by each write.
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => void upstream.write(chunk, done),
    final: (done) => void upstream.end(done),
  });
  // Whatever ends it early is told by the request to the app itself.
  sink.on('error', () => req.resume());
  req.pipe(sink);
}
