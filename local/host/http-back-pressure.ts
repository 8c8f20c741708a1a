import type { ServerResponse } from 'node:http';

/**
 * Lets a streamed response body flow no faster than the caller takes it. The library writes each chunk without waiting
 * (its issue 294), so a slow caller would fill memory with the whole body; here the body itself waits instead, and
 * ends when the caller has gone. Azure does neither: there a large body for a slow caller does cost its size in memory.
 */
export function withBackPressure(result: unknown, res: ServerResponse): unknown {
  if (typeof result !== 'object' || result === null || !('body' in result) || !isAsyncIterable(result.body)) {
    return result;
  }
  const body = slowedDown(result.body, res);
  if (Object.getPrototypeOf(result) === Object.prototype) return { ...result, body };
  // The library's own class: its fields are getters.
  const { status, headers, cookies, enableContentNegotiation } = result as Readonly<Record<string, unknown>>;
  return { status, headers, cookies, enableContentNegotiation, body };
}

async function* slowedDown(body: AsyncIterable<unknown>, res: ServerResponse): AsyncGenerator<unknown> {
  for await (const chunk of body) {
    yield chunk;
    if (res.writableNeedDrain && !res.destroyed) await drained(res);
    if (res.destroyed) return;
  }
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off('drain', done);
      res.off('close', done);
      resolve();
    };
    res.once('drain', done);
    res.once('close', done);
  });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.asyncIterator in value &&
    typeof value[Symbol.asyncIterator] === 'function'
  );
}
