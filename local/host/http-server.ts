import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { type AdminOptions, handleAdmin } from './admin.ts';
import type { HttpFunction } from './function-index.ts';
import type { HttpOptions } from './host-json.ts';
import { answer } from './http-answer.ts';
import type { HttpInvocation } from './http-invocation.ts';
import { createThrottle } from './http-throttle.ts';
import { type Keys, presentedKey, satisfies } from './keys.ts';
import { type HostLog, stackOf } from './log.ts';
import { matchRoute } from './routes.ts';

export interface HttpServerOptions {
  readonly http: HttpOptions;
  readonly keys: Keys;
  readonly log: HostLog;
  readonly admin: AdminOptions;
  readonly functions: () => readonly HttpFunction[];
  readonly bodyLimit: number;
  readonly landingPage: boolean;
  /** Answers one request that was let in; never throws. */
  readonly invoke: (invocation: HttpInvocation) => Promise<void>;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no more connections; resolves when the last is gone, at the latest after `milliseconds`. */
  close(milliseconds: number): Promise<void>;
}

/** Kestrel's limit for the request line; beyond it 414. */
const MAX_URL_LENGTH = 8_192;
/** Kestrel's limit for all headers together. */
const MAX_HEADER_SIZE = 32_768;
/** Longer than the idle time of usual clients and proxies, so that they close first and no request is lost. */
const KEEP_ALIVE_TIMEOUT = 120_000;
/** A whole request must have come within this time: 150 MB at 0.5 MB/s. */
const REQUEST_TIMEOUT = 300_000;

/** Listens and decides per request: the host's own routes, or 404, 401, 404 for disabled, 429, or a function. */
export async function startHttpServer(port: number, address: string, options: HttpServerOptions): Promise<HttpServer> {
  const { keys, log, admin } = options;
  const { customHeaders, maxConcurrentRequests, maxOutstandingRequests } = options.http;
  const throttle = createThrottle(maxConcurrentRequests, maxOutstandingRequests);
  const running = () => admin.state() === 'Running';

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const target = req.url ?? '/';
    if (target.length > MAX_URL_LENGTH) return answer(req, res, 414);
    const url = urlOf(req, target);
    if (!url) return answer(req, res, 400);
    const key = presentedKey(req.headers, url.searchParams);
    if (/^\/admin(\/|$)/i.test(url.pathname)) {
      return await handleAdmin(req, res, url.pathname, keys.levelOf(key), admin);
    }
    if (!running()) return answer(req, res, 503, { body: 'Function host is not running.' });
    const match = matchRoute(options.functions(), req.method ?? 'GET', url.pathname);
    if (!match) {
      const landing = options.landingPage && url.pathname === '/' && ['GET', 'HEAD'].includes(req.method ?? '');
      return landing
        ? answer(req, res, 200, { body: LANDING_PAGE, type: 'text/html; charset=utf-8' })
        : answer(req, res, 404, { customHeaders });
    }
    const granted = keys.levelOf(key, match.fn.name);
    if (!satisfies(granted, match.fn.authLevel)) return answer(req, res, 401, { customHeaders });
    if (match.fn.disabled && granted !== 'admin') return answer(req, res, 404, { customHeaders });
    const { bodyLimit } = options;
    const accepted = await throttle.run(() => options.invoke({ req, res, ...match, url, bodyLimit, customHeaders }));
    if (!accepted) answer(req, res, 429, { headers: { 'x-function-scaleout': '1' }, customHeaders });
  }

  const server = http.createServer(
    { maxHeaderSize: MAX_HEADER_SIZE, keepAliveTimeout: KEEP_ALIVE_TIMEOUT },
    (req, res) => {
      if (admin.state() === 'Stopping') res.setHeader('connection', 'close');
      handle(req, res).catch((error: unknown) => {
        log.write('error', 'Host.Http', stackOf(error));
        if (res.headersSent) res.destroy();
        else answer(req, res, 500, { customHeaders });
      });
    },
  );
  server.requestTimeout = REQUEST_TIMEOUT;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the server has no port');

  return {
    port: bound.port,
    close: (milliseconds) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), milliseconds);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

/** The absolute URL a function sees; undefined when Host or target are no part of one. */
function urlOf(req: IncomingMessage, target: string): URL | undefined {
  if (!target.startsWith('/')) return undefined;
  const { localAddress = '127.0.0.1', localPort = 80 } = req.socket;
  const host = req.headers.host || `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
  const text = `http://${host}${target}`;
  if (!/^[^/?#@\\\s]+$/.test(host) || !URL.canParse(text)) return undefined;
  return new URL(text);
}

const LANDING_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Functions host</title></head>
<body><h1>Your Functions app is up and running</h1><p>This is the local host. The app's own routes stand in its log.</p></body>
</html>
`;
