import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Mail that passes between two collections, in bytes. Each byte of it was in some five buffers: read, joined, decoded, sent.
 * A buffer that is in use during two collections counts as old, and is collected late: so they are not more frequent.
 */
const everyBytes = 8 << 20;

type Collect = (options: { readonly type: 'minor' }) => void;

let collect: Collect | undefined;
let passed = 0;

/**
 * Says that so many bytes of a large mail have passed, in buffers that nobody needs any more. V8 begins to collect only when
 * 64 MB of buffers were made since it last did, which is more than a large mail is to take (`kExternalAllocationSoftLimit`
 * in its source). So its young objects are collected from time to time while one passes: that takes some milliseconds.
 * Counted for the whole process.
 */
export function spentBuffers(bytes: number): void {
  passed += bytes;
  if (passed < everyBytes) return;
  passed = 0;
  collect ??= exposed();
  collect({ type: 'minor' });
}

function exposed(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
