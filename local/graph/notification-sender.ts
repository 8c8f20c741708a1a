import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** The result of a call of a notification endpoint. */
export interface CallResult {
  /** 0: there was no answer. */
  readonly status: number;
  readonly contentType: string;
  /** The first bytes of the body as text. */
  readonly text: string;
  readonly ms: number;
}

export interface CallOptions {
  readonly body: string;
  readonly contentType: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** PEM of the authorities that are trusted; this machine's own, and no others. */
  readonly ca: string;
}

const maxAnswerBytes = 16_384;

/** Posts to an endpoint, once. Never rejects: no answer is a result. */
export async function callEndpoint(url: string, options: CallOptions): Promise<CallResult> {
  const began = performance.now();
  const ms = () => Math.round(performance.now() - began);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  try {
    const body = Buffer.from(options.body);
    const headers = { 'content-type': options.contentType, 'content-length': String(body.length) };
    const target = new URL(url);
    const sent: ClientRequest =
      target.protocol === 'https:'
        ? httpsRequest(target, { method: 'POST', headers, signal, ca: options.ca })
        : httpRequest(target, { method: 'POST', headers, signal });
    sent.end(body);
    const [answer]: IncomingMessage[] = await once(sent, 'response', { signal });
    if (!answer) throw new Error('no answer');
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer) {
      if (!Buffer.isBuffer(chunk)) continue;
      size += chunk.length;
      if (size <= maxAnswerBytes) chunks.push(chunk);
    }
    const contentType = answer.headers['content-type'] ?? '';
    return { status: answer.statusCode ?? 0, contentType, text: Buffer.concat(chunks).toString('utf8'), ms: ms() };
  } catch {
    return { status: 0, contentType: '', text: '', ms: ms() };
  }
}
