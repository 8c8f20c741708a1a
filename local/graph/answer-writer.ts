import type { IncomingMessage, ServerResponse } from 'node:http';
import { closed, writeAnswer } from './connection.ts';
import { type AnswerFaults, gatewayTimeout } from './fault-answers.ts';
import { errorBody, GraphRefusal, newRequestId } from './graph-error.ts';
import type { Reply } from './reply.ts';

/** The ids that name a request in its answer. */
export interface RequestIds {
  readonly requestId: string;
  /** The client's own, or the same as the request's. */
  readonly clientRequestId: string;
}

/** A new id of the answer, and the id that the client gave its request. */
export function requestIds(request: IncomingMessage): RequestIds {
  const requestId = newRequestId();
  const given = request.headers['client-request-id'];
  return { requestId, clientRequestId: typeof given === 'string' ? given.slice(0, 100) : requestId };
}

/** A refusal as an answer; undefined for any other error. */
export function refusalReply(error: unknown, ids: RequestIds, now: number): Reply | undefined {
  if (!(error instanceof GraphRefusal)) return undefined;
  const json = errorBody(error, ids, now);
  return { status: error.status, headers: error.headers, json };
}

export interface WriteOptions {
  readonly ids: RequestIds;
  readonly answerFaults: AnswerFaults;
  readonly now: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with the status just before the answer can be complete at the client; also, with 0, when there is none. */
  readonly beforeEnd: (status: number) => void;
}

/** Writes an answer, or what a fault makes of it. */
export async function writeReply(response: ServerResponse, given: Reply, options: WriteOptions): Promise<void> {
  const { ids, answerFaults, beforeEnd } = options;
  if (answerFaults.end) {
    await endWithout(response, answerFaults.end);
    beforeEnd(0);
    return;
  }
  const reply = answerFaults.gatewayTimeout ? (refusalReply(gatewayTimeout(), ids, options.now) ?? given) : given;
  const text = reply.json === undefined ? undefined : Buffer.from(JSON.stringify(reply.json), 'utf8');
  const mediaType = text ? 'application/json; odata.metadata=minimal; charset=utf-8' : reply.mediaType;
  const headers = {
    'cache-control': 'private',
    'request-id': ids.requestId,
    'client-request-id': ids.clientRequestId,
    ...options.headers,
    ...(mediaType === undefined ? {} : { 'content-type': mediaType }),
    ...(text ? { 'content-length': String(text.length) } : {}),
    ...(text || reply.pieces || reply.status === 204 ? {} : { 'content-length': '0' }),
    ...reply.headers,
  };
  const pieces = text ? [text] : (reply.pieces ?? []);
  await writeAnswer(response, { status: reply.status, headers, pieces }, answerFaults, () => beforeEnd(reply.status));
}

/** Ends a request without an answer. A silent one waits until the client gives up. */
export async function endWithout(response: ServerResponse, end: 'reset' | 'silent'): Promise<void> {
  if (end === 'silent') await closed(response);
  response.destroy();
}
