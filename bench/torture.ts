import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { writeTortureMails } from '../test/corpus/torture-mails.ts';
import { outputOf } from './child.ts';
import { digits, median, type SectionResult } from './report.ts';

const script = fileURLToPath(new URL('../test/corpus/run.ts', import.meta.url));

/** What `npm run corpus` prints of a mail, and last of all of them. */
const lineSchema = z.object({ file: z.string(), outcome: z.enum(['imported', 'quarantined']), ms: z.number() });
const summarySchema = z.object({ summary: z.object({ peakMegabytes: z.number() }) });

const slowest = 10;
/** For all mails. */
const limitMs = 900_000;

/** Times of the torture set: mails that have broken mail readers, each checked in by itself into Azurite. */
export async function torture(): Promise<SectionResult> {
  const folder = await mkdtemp(join(tmpdir(), 'mailroom-bench-torture-'));
  try {
    await writeTortureMails(folder);
    const stdout = await outputOf(script, [folder], limitMs);
    const printed = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    const lines = z.array(lineSchema).parse(printed.slice(0, -1));
    const { summary } = summarySchema.parse(printed.at(-1));
    return {
      title: `Torture set: ${lines.length} mails, each checked in by itself`,
      notes: [
        `${lines.filter(({ outcome }) => outcome === 'imported').length} checked in, the others quarantined with a reason.`,
        `Most memory of the process that checked them in, Node itself included: ${summary.peakMegabytes} MB. The largest mail has 149 MiB.`,
      ],
      table: [
        ['ms', 'mails', 'all', 'median', 'slowest'],
        ...kindsOf(lines),
        ...lines
          .toSorted((a, b) => b.ms - a.ms)
          .slice(0, slowest)
          .map(({ file, ms }) => [file, '', '', '', String(ms)]),
      ],
      goals: [{ what: 'torture: memory', figure: summary.peakMegabytes, bound: 'atMost', target: 400, unit: ' MB' }],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function kindsOf(lines: readonly z.output<typeof lineSchema>[]): string[][] {
  const kinds = Map.groupBy(lines, ({ file }) => file.slice(0, file.indexOf('/')));
  return [...kinds].map(([kind, those]) => {
    const times = those.map(({ ms }) => ms);
    const sum = times.reduce((all, ms) => all + ms, 0);
    return [kind, String(times.length), String(sum), digits(median(times)), String(Math.max(...times))];
  });
}
