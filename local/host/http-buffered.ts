import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { HttpCookie, HttpData } from './core-types.ts';
import { answer, writeHead } from './http-answer.ts';
import { contentLength, type HttpInvocation, httpTriggerMetadata, traceOf } from './http-invocation.ts';
import type { Invoker } from './invocation.ts';

/**
 * HTTP without streaming: the whole body travels with the invocation, and the answer's with its result. As in Azure, a
 * body without Content-Length (chunked) never reaches the function.
 */
export async function bufferedInvocation(invocation: HttpInvocation, invoker: Invoker): Promise<void> {
  const { req, res, fn, customHeaders, bodyLimit } = invocation;
  const length = contentLength(req) ?? 0;
  if (length > bodyLimit) {
    answer(req, res, 413, { customHeaders });
    return;
  }
  let data: HttpData | null | undefined;
  try {
    const body = length > 0 ? await readBody(req, length) : undefined;
    const response = await invoker.invoke(fn, {
      inputs: [{ name: fn.triggerName, data: { http: requestData(invocation, body) } }],
      triggerMetadata: httpTriggerMetadata(invocation),
      traceContext: traceOf(req),
      reason: 'This function was called by an HTTP request.',
    });
    data = response.returnValue?.http;
  } catch {
    // Logged by the invoker. The caller learns nothing but the status.
    answer(req, res, 500, { customHeaders });
    return;
  }
  if (data) send(invocation, data);
  else answer(req, res, 204, { customHeaders });
}

function requestData({ req, url, values }: HttpInvocation, body: Buffer | undefined): HttpData {
  const headers = Object.entries(req.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, { value: Array.isArray(value) ? value.join(',') : value }] as const],
  );
  const query = [...new Set(url.searchParams.keys())].map(
    (name) => [name, { value: url.searchParams.getAll(name).join(',') }] as const,
  );
  return {
    method: req.method ?? 'GET',
    url: url.href,
    nullableHeaders: Object.fromEntries(headers),
    nullableParams: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }])),
    nullableQuery: Object.fromEntries(query),
    body: body ? { bytes: body } : null,
  };
}

/** Reads exactly `length` bytes; the size was checked before. */
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

function send({ res, customHeaders }: HttpInvocation, data: HttpData): void {
  const headers: OutgoingHttpHeaders = { ...data.headers };
  delete headers['transfer-encoding'];
  const body = data.body?.bytes ?? Buffer.from(data.body?.string ?? data.body?.json ?? '', 'utf8');
  headers['content-length'] = body.length;
  if (data.cookies && data.cookies.length > 0) headers['set-cookie'] = data.cookies.map(cookieText);
  const status = Number(data.statusCode ?? 200);
  if (status === 204 || status === 304) delete headers['content-length'];
  writeHead(res, Number.isInteger(status) && status >= 200 && status <= 999 ? status : 500, headers, customHeaders);
  res.end(body);
}

function cookieText(cookie: HttpCookie): string {
  const sameSite = { none: undefined, lax: 'Lax', strict: 'Strict', explicitNone: 'None' }[cookie.sameSite ?? 'none'];
  return [
    `${cookie.name}=${encodeURIComponent(cookie.value)}`,
    cookie.maxAge && `Max-Age=${cookie.maxAge.value}`,
    cookie.domain && `Domain=${cookie.domain.value}`,
    cookie.path && `Path=${cookie.path.value}`,
    cookie.expires && `Expires=${new Date(cookie.expires.value.seconds * 1_000).toUTCString()}`,
    cookie.httpOnly?.value && 'HttpOnly',
    cookie.secure?.value && 'Secure',
    sameSite && `SameSite=${sameSite}`,
  ]
    .filter((part) => typeof part === 'string')
    .join('; ');
}
