import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { LocalCertificate } from './certificate.ts';

/** A request with its body read. */
export interface HttpsRequest {
  readonly method: string;
  /** Path segments, percent-decoded, without empty ones. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** `https://localhost:port`, as the caller addressed this server. */
  readonly origin: string;
}

export interface HttpsAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; absent for an empty body. */
  readonly body?: unknown;
}

export interface HttpsOptions {
  readonly certificate: LocalCertificate;
  /** Absent: the system picks. */
  readonly port?: number;
  /** Longest body; default 256 KiB. */
  readonly maxBodyBytes?: number;
  readonly answer: (request: HttpsRequest) => HttpsAnswer | Promise<HttpsAnswer>;
}

export interface HttpsServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Tokens, assertions and secrets are far smaller; more is a mistake. */
const defaultMaxBodyBytes = 256 * 1024;

/** Serves JSON over https on 127.0.0.1. */
export async function startHttps(options: HttpsOptions): Promise<HttpsServer> {
  const server = createServer({ key: options.certificate.key, cert: options.certificate.cert }, (request, response) => {
    answered(request, options).then(
      ({ status, headers, body }) => {
        const text = body === undefined ? undefined : JSON.stringify(body);
        response.writeHead(status, {
          'cache-control': 'no-store',
          ...(text === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
          ...headers,
        });
        response.end(text);
      },
      // Only a bug or a caller that went away comes here.
      () => response.destroy(),
    );
  });
  // A caller that speaks no TLS, or does not trust the certificate, is its own trouble.
  server.on('tlsClientError', () => undefined);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answered(request: IncomingMessage, options: HttpsOptions): Promise<HttpsAnswer> {
  const body = await readBody(request, options.maxBodyBytes ?? defaultMaxBodyBytes);
  if (body === undefined) return { status: 413 };
  const origin = `https://${request.headers.host ?? 'localhost'}`;
  const url = URL.parse(request.url ?? '/', origin);
  const path = url && decoded(url.pathname);
  if (!url || !path) return { status: 400 };
  return options.answer({
    method: request.method ?? 'GET',
    path,
    query: url.searchParams,
    headers: request.headers,
    body,
    origin: url.origin,
  });
}

async function readBody(request: IncomingMessage, maxBodyBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    // Read to its end all the same, so that the caller gets the answer instead of a reset.
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  return size <= maxBodyBytes ? Buffer.concat(chunks).toString('utf8') : undefined;
}

function decoded(pathname: string): readonly string[] | undefined {
  try {
    return pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
