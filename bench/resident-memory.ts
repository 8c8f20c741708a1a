import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { median } from './report.ts';

const everyMs = 20;
/** Linux counts memory in pages; all platforms Node runs on there have pages of 4 KiB, or it says so. */
const pageBytes = 4096;
const idleSamples = 50;
const idleLimitMs = 30_000;
/** Memory that moves less than this over a second has come to rest. */
const restBytes = 1_000_000;

/** Bytes a process has in memory now, from /proc. */
function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
  if (!Number.isFinite(pages)) throw new Error('the process is gone');
  return pages * pageBytes;
}

/** Waits until a process's memory has come to rest, and answers what it is then. */
export async function idleMemory(pid: number): Promise<number> {
  const until = Date.now() + idleLimitMs;
  for (;;) {
    const samples: number[] = [];
    while (samples.length < idleSamples) {
      samples.push(residentBytes(pid));
      await delay(everyMs);
    }
    if (Math.max(...samples) - Math.min(...samples) < restBytes || Date.now() > until) return median(samples);
  }
}
