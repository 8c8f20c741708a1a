import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');

/** Bytes that are alive in this process, on the heap and in buffers: garbage is collected first. */
export function memoryInUse(): number {
  if (typeof collectGarbage !== 'function') throw new Error('no gc');
  collectGarbage();
  // A thread of V8 gives back the buffers that were found dead, and a busy machine lets it wait. They are counted as alive
  // until then; the next collection waits for that thread first.
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
