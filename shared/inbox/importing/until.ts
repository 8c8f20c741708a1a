import { raceWith } from '../../platform/race-with.ts';

/**
 * The items of `items` that come before `limit` is aborted. What is being waited for then is left: its maker is asked
 * to stop as soon as it has come.
 */
export async function* until<T>(limit: AbortSignal, items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  const over = Promise.withResolvers<undefined>();
  const orOver = raceWith(over.promise);
  const end = () => over.resolve(undefined);
  limit.addEventListener('abort', end, { once: true });
  try {
    while (!limit.aborted) {
      const next = await orOver(iterator.next());
      if (next === undefined || next.done === true) {
        return;
      }
      yield next.value;
    }
  } finally {
    limit.removeEventListener('abort', end);
    const stopped = Promise.resolve(iterator.return?.()).catch(() => undefined);
    if (!limit.aborted) {
      await stopped;
    }
  }
}
