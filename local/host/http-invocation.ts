import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TraceContext, TypedData } from './core-types.ts';
import type { HttpFunction } from './function-index.ts';
import type { CustomHeaders } from './http-answer.ts';
import { newTrace } from './invocation.ts';
import type { RouteValues } from './route-template.ts';

/** One HTTP request that has been matched and let in. */
export interface HttpInvocation {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly fn: HttpFunction;
  readonly values: RouteValues;
  /** Absolute, as the caller wrote it. */
  readonly url: URL;
  /** Bytes of body let in. */
  readonly bodyLimit: number;
  readonly customHeaders: CustomHeaders;
}

/** W3C Trace Context §3.2: version, trace id, parent id, flags. */
const TRACE_PARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's trace, passed through; a new one where the caller has none. */
export function traceOf(req: IncomingMessage): TraceContext {
  const { traceparent, tracestate } = req.headers;
  if (typeof traceparent !== 'string' || !TRACE_PARENT.test(traceparent)) return newTrace();
  return { traceParent: traceparent, traceState: Array.isArray(tracestate) ? tracestate.join(',') : tracestate };
}

/** What travels with an invocation beside the request itself: route values, headers, query. */
export function httpTriggerMetadata({ req, url, values }: HttpInvocation): Record<string, TypedData> {
  const metadata: Record<string, TypedData> = Object.create(null);
  for (const [name, value] of Object.entries(values)) metadata[name] = { string: value };
  metadata.Headers = { json: JSON.stringify(req.headers) };
  metadata.Query = { json: JSON.stringify(Object.fromEntries(url.searchParams)) };
  return metadata;
}

/** Bytes announced; undefined when the body is chunked. */
export function contentLength(req: IncomingMessage): number | undefined {
  const length = req.headers['content-length'];
  if (length !== undefined) return Number(length);
  return req.headers['transfer-encoding'] === undefined ? 0 : undefined;
}
