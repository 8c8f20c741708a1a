import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { LocalCertificate } from './certificate.ts';
import { type Listener, listenByHttps } from './listener.ts';

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

/** Tokens, assertions and secrets are far smaller; more is a mistake. */
const defaultMaxBodyBytes = 256 * 1024;

/** Serves JSON over https on 127.0.0.1. */
export async function startHttps(options: HttpsOptions): Promise<Listener> {
  return await listenByHttps(options.certificate, options.port ?? 0, async (request, response) => {
    const { status, headers, body } = await answered(request, options);
    const text = body === undefined ? undefined : JSON.stringify(body);
    response.writeHead(status, {
      'cache-control': 'no-store',
      ...(text === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
      ...headers,
    });
    response.end(text);
  });
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
