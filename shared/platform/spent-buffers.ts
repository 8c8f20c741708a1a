import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Bytes of a mail that pass before the mail counts as a large one. Office mail is smaller, and importing it is faster where
 * V8's space of young objects may grow.
 */
export const largeMailFrom = 1 << 20;

/** Bytes of large mails that pass before anything is done about them. */
const beginAfter = 2 << 20;

/** How often buffers are counted while large mails pass, in bytes of them. */
const countEvery = 1 << 20;

/** Bytes of buffers that nobody needs any more, and that may wait to be collected. */
const mostSpent = 20 << 20;

/** So long after the last of them, in ms, no large mail passes any more. */
const quietMs = 10_000;

/** Bytes that V8's space of young objects may have kept when the first of several large mails comes. */
const mostYoung = 16 << 20;

/** How fast that space grows: V8's own default, and not at all. */
const growth = { usual: 2, none: 1 };

type Collect = (options: {
  readonly type: 'minor' | 'major';
  readonly execution?: 'sync';
  readonly flavor?: 'last-resort';
}) => void;

let collect: Collect | undefined;
/** Runs while large mails pass. */
let passing: NodeJS.Timeout | undefined;
/** Bytes of large mails since buffers were last counted. */
let passed = 0;
/** The last count of buffers, in bytes, of which few were spent. */
let inUse = 0;
/** What was collected at the last count. Its buffers are freed by a thread of V8's, so they are counted at the next one. */
let collected: 'nothing' | 'young' | 'all' = 'nothing';

/**
 * Says that so many bytes of a large mail (see `largeMailFrom`) have passed, in buffers that nobody needs any more. V8 begins
 * to collect only when 64 MB of buffers were made since it last did (`kExternalAllocationSoftLimit` in its source), which is
 * more than a large mail is to take. So while large mails pass, young objects are collected when 20 MiB of buffers wait for
 * it, in some milliseconds; and where that is not enough, since many buffers were in use during two collections and count as
 * old, all are, in some 30 ms. When the first of them comes, the space of young objects, which many small mails have let grow
 * to 64 MB and more, is given back, and stays small until no large mail passes any more. Counted for the whole process.
 */
export function spentBuffers(bytes: number): void {
  passed += bytes;
  if (passed < (passing ? countEvery : beginAfter)) return;
  passed = 0;
  collect ??= exposed();
  if (passing) {
    passing.refresh();
    collectSpent(collect);
    return;
  }
  passing = setTimeout(ended, quietMs).unref();
  setFlagsFromString(`--semi-space-growth-factor=${growth.none}`);
  if (youngSpace() > mostYoung) {
    // Only this flavor gives that space back.
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    collected = 'all';
  } else {
    collect({ type: 'minor' });
    collected = 'young';
  }
}

function collectSpent(collectNow: Collect): void {
  const { arrayBuffers } = process.memoryUsage();
  if (collected === 'all') inUse = arrayBuffers;
  if (arrayBuffers < inUse + mostSpent) {
    inUse = Math.min(inUse, arrayBuffers);
    collected = 'nothing';
  } else if (collected === 'young') {
    collectNow({ type: 'major', execution: 'sync' });
    collected = 'all';
  } else {
    collectNow({ type: 'minor' });
    collected = 'young';
  }
}

function youngSpace(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return young?.physical_space_size ?? 0;
}

function ended(): void {
  passing = undefined;
  setFlagsFromString(`--semi-space-growth-factor=${growth.usual}`);
}

function exposed(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
