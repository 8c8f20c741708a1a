import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { type AdminOptions, handleAdmin } from './admin.ts';
import { type Cors, isPreflight } from './cors.ts';
import type { HttpFunction } from './function-index.ts';
import type { HttpOptions } from './host-json.ts';
import { answer } from './http-answer.ts';
import { takeLowerCaseMethods } from './http-first-line.ts';
import type { HttpInvocation } from './http-invocation.ts';
import { readTarget } from './http-target.ts';
import { type Keys, presentedKey, satisfies } from './keys.ts';
import { type HostLog, stackOf } from './log.ts';
import { matchRoute } from './routes.ts';

export interface HttpServerOptions {
  readonly http: HttpOptions;
  readonly keys: Keys;
  readonly cors: Cors;
  readonly log: HostLog;
  readonly admin: AdminOptions;
  readonly functions: () => readonly HttpFunction[];
  readonly bodyLimit: number;
  readonly landingPage: boolean;
  /** JSON of mailboxes that are ready to be connected, for whoever has a key; undefined: there are none. */
  readonly readyMailboxes: string | undefined;
  /** Answers one request that was let in; never throws. */
  readonly invoke: (invocation: HttpInvocation) => Promise<void>;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no more connections; resolves when the last is gone, at the latest after `milliseconds`. */
  close(milliseconds: number): Promise<void>;
}

/** Kestrel's limit for all headers together. */
const MAX_HEADER_SIZE = 32_768;
/** Longer than the idle time of usual clients and proxies, so that they close first and no request is lost. */
const KEEP_ALIVE_TIMEOUT = 120_000;
/** A whole request must have come within this time: 150 MB at 0.5 MB/s. */
const REQUEST_TIMEOUT = 300_000;

/** Where the console asks for mailboxes that are ready to be connected; Azure's host has nothing there. */
const READY_MAILBOXES = '/.well-known/mailroom-mailboxes';

/** Listens and decides per request: the host's own routes, or 404, 401, 404 for disabled, or a function. */
export async function startHttpServer(port: number, address: string, options: HttpServerOptions): Promise<HttpServer> {
  const { keys, cors, log, admin } = options;
  const { customHeaders } = options.http;
  const running = () => admin.state() === 'Running';

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = readTarget(req);
    if (typeof url === 'number') return answer(req, res, url);
    for (const [name, value] of Object.entries(cors.headersFor(req)))
      if (value !== undefined) res.setHeader(name, value);
    if (isPreflight(req)) return answer(req, res, 204);
    const key = presentedKey(req, url.searchParams);
    if (/^\/admin(\/|$)/i.test(url.pathname)) {
      return await handleAdmin({ req, res, path: url.pathname, granted: keys.levelOf(key) }, admin);
    }
    if (url.pathname === READY_MAILBOXES && req.method === 'GET' && options.readyMailboxes !== undefined) {
      if (keys.levelOf(key) === 'anonymous') return answer(req, res, 401, { customHeaders });
      return answer(req, res, 200, {
        body: options.readyMailboxes,
        type: 'application/json; charset=utf-8',
        customHeaders,
      });
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
    await options.invoke({ req, res, ...match, url, bodyLimit, customHeaders });
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
  const endSilent = takeLowerCaseMethods(server);
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
        endSilent();
      }),
  };
}

const LANDING_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Functions host</title></head>
<body><h1>Your Functions app is up and running</h1><p>This is the local host. The app's own routes stand in its log.</p></body>
</html>
`;
