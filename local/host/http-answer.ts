import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** Time a caller gets to finish sending a body nobody reads, before its connection is cut (Kestrel's is 5 s too). */
const DISCARD_LIMIT = 5_000;

/** Headers that belong to one connection (RFC 9110 §7.6.1) and are not passed on. */
const HOP_BY_HOP = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade'],
]);

export type CustomHeaders = readonly (readonly [string, string])[];

/** Writes the head with host.json's customHeaders; a header the function set itself wins. */
export function writeHead(
  res: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  customHeaders: CustomHeaders,
): void {
  const own = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const added = customHeaders.filter(([name]) => !own.has(name.toLowerCase()));
  res.writeHead(status, { ...headers, ...Object.fromEntries(added) });
}

/** The headers that are passed on. */
export function withoutHopByHop(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())));
}

/** Answers with a short body or none, and lets the caller finish sending its own. */
export function answer(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  { body = '', type = 'text/plain; charset=utf-8', headers = {}, customHeaders = [] }: AnswerOptions = {},
): void {
  if (res.headersSent || res.destroyed) return;
  const bytes = Buffer.from(body, 'utf8');
  const own: OutgoingHttpHeaders = { ...headers, 'content-length': bytes.length };
  if (bytes.length > 0) own['content-type'] = type;
  writeHead(res, status, own, customHeaders);
  res.end(bytes);
  discardBody(req);
}

interface AnswerOptions {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly customHeaders?: CustomHeaders;
}

/** As `answer`, with a value as JSON. */
export function answerJson(req: IncomingMessage, res: ServerResponse, status: number, value: unknown): void {
  answer(req, res, status, { body: JSON.stringify(value), type: 'application/json; charset=utf-8' });
}

/** Reads and drops what is left of a request body, for a bounded time, so that the answer is not lost in a reset. */
export function discardBody(req: IncomingMessage): void {
  if (req.complete || req.destroyed) return;
  const cut = setTimeout(() => req.destroy(), DISCARD_LIMIT);
  req.once('end', () => clearTimeout(cut));
  req.once('close', () => clearTimeout(cut));
  req.on('error', () => undefined);
  req.resume();
}
