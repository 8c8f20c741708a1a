import { random, testMail } from '../test/support/mails.ts';
import { forgetPeak, peakMemory } from '../test/support/peak-memory.ts';
import { type StartWay, type Way, ways } from './memory-ways.ts';
import type { Goal, SectionResult } from './report.ts';
import { idleMemory } from './resident-memory.ts';
import { withStarted } from './started.ts';

const megabyte = 1_000_000;
const largeBytes = 150 * megabyte;
/** Many at once. */
const crowd = { mails: 12, bytes: 30 * megabyte };
/** What is loaded once and kept is not what a large mail costs. */
const warmUpMails = 100;

/** A mail of so many bytes: base64 makes 78 of 57. */
const mailOf = (bytes: number, seed: number) =>
  testMail({ n: 1, attachment: Math.floor((bytes * 57) / 78) }, random(seed)).bytes;

/** What one way took, in MB. */
interface Measured {
  readonly name: string;
  /** Before the first and after the last large mail. */
  readonly idle: readonly [number, number];
  /** Above what the process had at rest right before, for each large mail. */
  readonly growth: readonly number[];
  /** The most that it had while many passed at once. */
  readonly resident: readonly number[];
}

/**
 * Memory of the functions process while one mail of 150 MB passes, and while twelve of 30 MB pass at once, for each
 * protocol and direction. Each has a process of its own, and the twelve another one.
 */
export async function memory(options: { readonly quick: boolean }): Promise<SectionResult> {
  const runs = options.quick ? { large: 1, crowd: 1 } : { large: 10, crowd: 3 };
  const measured: Measured[] = [];
  const failures: string[] = [];
  for (const [name, startWay] of Object.entries(ways)) {
    try {
      measured.push({ name, ...(await measureWay(startWay, runs)) });
    } catch (error) {
      // The others are measured all the same.
      failures.push(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
      measured.push({ name, idle: [Number.NaN, Number.NaN], growth: [Number.NaN], resident: [Number.NaN] });
    }
  }
  return result(runs, measured, failures);
}

interface Runs {
  readonly large: number;
  readonly crowd: number;
}

async function measureWay(startWay: StartWay, runs: Runs): Promise<Omit<Measured, 'name'>> {
  return await withStarted(async (started) => {
    const way = await startWay(started, crowd.mails);
    const { mailroom } = way;
    await warmUp(way, 1);
    const large = mailOf(largeBytes, 2);
    const growth: number[] = [];
    const before = await idleMemory(mailroom.pid);
    for (let run = 0; run < runs.large; run += 1) {
      const { peak, idle } = await passing(way, [[large]]);
      growth.push((peak - idle) / megabyte);
    }
    const after = await idleMemory(mailroom.pid);
    await mailroom.kill();
    await mailroom.run();
    await warmUp(way, 3);
    const one = mailOf(crowd.bytes, 4);
    const resident: number[] = [];
    for (let run = 0; run < runs.crowd; run += 1) {
      const { peak } = await passing(
        way,
        Array.from({ length: crowd.mails }, () => [one]),
      );
      resident.push(peak / megabyte);
    }
    return { idle: [before / megabyte, after / megabyte], growth, resident };
  });
}

async function warmUp(way: Way, seed: number): Promise<void> {
  const next = random(seed);
  await way.put([Array.from({ length: warmUpMails }, () => testMail({ n: 1, attachment: 20_000 }, next).bytes)]);
  await way.pass();
}

/** What the process has at rest before these mails pass, and at most meanwhile, as Linux counts it; in bytes. */
async function passing(way: Way, mails: readonly (readonly Buffer[])[]) {
  const { pid } = way.mailroom;
  await way.put(mails);
  const idle = await idleMemory(pid);
  await forgetPeak(pid);
  await way.pass();
  return { idle, peak: await peakMemory(pid) };
}

function result(runs: Runs, measured: readonly Measured[], failures: readonly string[]): SectionResult {
  const atMost = (what: string, figure: number, target: number): Goal => ({
    ...{ what: `memory: ${what}`, figure, target, unit: ' MB' },
    bound: 'atMost',
  });
  const list = (values: readonly number[]) => values.map((value) => value.toFixed(0)).join(' ');
  const large = `${largeBytes / megabyte} MB`;
  const many = `${crowd.mails} of ${crowd.bytes / megabyte} MB at once`;
  return {
    title: `Memory: one mail of ${large}, and ${many}, on each protocol`,
    notes: [
      `Resident memory of the functions process, in MB. Growth: for each of ${runs.large}, the most while it passed (VmHWM) above what the process had at rest right before.`,
      `At rest: before the first and after the last of them, after ${warmUpMails} small mails. No collection of garbage is forced.`,
      `${many}: the most that a fresh process had, in each of ${runs.crowd}; in: a mail in each of ${crowd.mails} mailboxes; out: ${crowd.mails} calls, one account.`,
      'Sent: from the call over HTTP to the receipt. Imported: with an attachment, into blobs. Every run has to hold the target: the worst counts.',
      ...failures,
    ],
    table: [
      ['MB', 'at rest', `growth by ${large}`, many],
      ...measured.map(({ name, idle, growth, resident }) => [name, list(idle), list(growth), list(resident)]),
    ],
    goals: [
      ...measured.map(({ name, growth }) => atMost(`${name}, growth by ${large}`, Math.max(...growth), 64)),
      ...measured.map(({ name, resident }) => atMost(`${name}, ${many}`, Math.max(...resident), 256)),
    ],
  };
}
