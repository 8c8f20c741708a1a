import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MEGABYTE = 1024 * 1024;
const probe = fileURLToPath(new URL('./memory.probe.ts', import.meta.url));

interface Taken {
  readonly most: number;
  readonly mostRss: number;
  readonly delivered: number;
}

function isTaken(value: unknown): value is Taken {
  return typeof value === 'object' && value !== null && 'most' in value && 'mostRss' in value && 'delivered' in value;
}

async function measure(shape: string, size: number): Promise<Taken> {
  const args = ['--expose-gc', '--no-warnings', probe, shape, String(size)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 170_000 });
  const taken: unknown = JSON.parse(stdout);
  if (!isTaken(taken)) throw new Error(`unexpected answer of the probe: ${stdout}`);
  return taken;
}

// What is delivered says that the mail was read to its end; three quarters of base64 are content.
test.each([
  ['attachment', 150, 0.7],
  ['text', 150, 0.9],
  ['line', 150, 0.9],
  ['header', 150, 0],
  ['japanese', 60, 0.5],
  ['carriageReturns', 60, 0.9],
  ['flowed', 60, 0.9],
  ['html', 60, 0.9],
  ['uuencode', 60, 0.7],
  ['noEmptyLine', 60, 0.9],
  ['preamble', 60, 0.9],
  ['headers', 60, 0],
])('trap 23: a huge mail (%s, %i MB) takes a few MB', { timeout: 180_000 }, async (shape, megabytes, share) => {
  const size = megabytes * MEGABYTE;
  const taken = await measure(shape, size);
  expect(taken.delivered).toBeGreaterThanOrEqual(size * share);
  // In use at any time, where a reader that held the mail would hold all of it.
  expect(taken.most).toBeLessThan(6 * MEGABYTE);
  // With what the garbage collector has not come round to.
  expect(taken.mostRss).toBeLessThan(75 * MEGABYTE);
});
