import type { IncomingHttpHeaders } from 'node:http';
import { badRequest } from './graph-error.ts';

/** Requests of one batch (Microsoft Graph, "Combine multiple HTTP requests using JSON batching"). */
const maxItems = 20;

const methods: ReadonlySet<string> = new Set(['GET', 'POST', 'PATCH', 'PUT', 'DELETE']);

/** One request of a batch. */
export interface BatchItem {
  readonly id: string;
  readonly method: string;
  /** Below `/v1.0`, from the slash on. */
  readonly url: string;
  /** By names in lower case. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly dependsOn: readonly string[];
}

/** Reads the body of a batch. Throws GraphRefusal 400 for what Graph does not take. */
export function batchItems(contentType: string | undefined, body: Buffer): readonly BatchItem[] {
  if (!/^application\/json\b/i.test(contentType ?? '')) throw badRequest('A batch is JSON.');
  const json = parsed(body);
  const requests: unknown = isObject(json) ? json.requests : undefined;
  if (!Array.isArray(requests) || requests.length === 0) throw badRequest('The batch has no requests.');
  if (requests.length > maxItems) throw badRequest(`The batch has more than ${maxItems} requests.`);
  const items = requests.map(itemOf);
  const ids = new Set(items.map(({ id }) => id));
  if (ids.size < items.length) throw badRequest('The ids of a batch must be unique.');
  for (const { id, dependsOn } of items) {
    if (dependsOn.some((other) => other === id || !ids.has(other)))
      throw badRequest('dependsOn names no other request.');
  }
  if (!isKnownPattern(items)) throw badRequest('Requests must be all parallel, all serial, or depend on the same one.');
  return items;
}

function itemOf(given: unknown): BatchItem {
  if (!isObject(given)) throw badRequest('A request of a batch is an object.');
  const { id, method, url, headers = {}, body, dependsOn = [] } = given;
  if (typeof id !== 'string' || id === '') throw badRequest('A request of a batch needs an id.');
  if (typeof method !== 'string' || !methods.has(method.toUpperCase())) throw badRequest('The method is not allowed.');
  if (typeof url !== 'string' || /^([a-z][a-z\d+.-]*:|\/\/)/i.test(url)) throw badRequest('The url must be relative.');
  if (/^\/?\$batch(\?|\/|$)/i.test(url)) throw badRequest('A batch cannot hold a batch.');
  if (!Array.isArray(dependsOn) || !dependsOn.every((one) => typeof one === 'string')) {
    throw badRequest('dependsOn is a list of ids.');
  }
  const named = headersOf(headers);
  if (body !== undefined && named['content-type'] === undefined) throw badRequest('A body needs a Content-Type.');
  return {
    id,
    method: method.toUpperCase(),
    url: url.startsWith('/') ? url : `/${url}`,
    headers: named,
    body: body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body)),
    dependsOn,
  };
}

function headersOf(given: unknown): Record<string, string> {
  if (!isObject(given)) throw badRequest('Headers are an object.');
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      if (typeof value !== 'string') throw badRequest('The value of a header is a string.');
      return [name.toLowerCase(), value];
    }),
  );
}

/** Parallel, serial, or all that depend on something on the same: Graph takes no other pattern. */
function isKnownPattern(items: readonly BatchItem[]): boolean {
  const dependent = items.filter(({ dependsOn }) => dependsOn.length > 0);
  const isSame = new Set(dependent.map(({ dependsOn }) => JSON.stringify(dependsOn))).size <= 1;
  const isSerial = items.every(
    ({ dependsOn }, at) =>
      JSON.stringify(dependsOn) === JSON.stringify(items.slice(Math.max(0, at - 1), at).map((one) => one.id)),
  );
  return isSerial || (isSame && dependent.every(({ dependsOn }) => dependsOn.length === 1));
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw badRequest('The batch is no JSON.');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
