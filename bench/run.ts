import { parseArgs } from 'node:util';
import { build } from '../build.ts';
import { onNpmGone } from '../local/npm-parent.ts';
import { tooBusy, usedByOthers } from './busy.ts';
import { inFreshProcess } from './child.ts';
import { missing } from './needs.ts';
import { type Goal, goalText, reached, type SectionResult, sectionResultSchema, sectionText } from './report.ts';
import { sectionOf, sections } from './sections.ts';

const defaultLimitMinutes = 20;

/**
 * `npm run bench [-- --quick] [section ...]`: builds the app, measures it and prints plain tables. Figures compare with
 * others of the same run alone. A target that is missed is said and does not fail the run; a section that fails or takes
 * too long does, once the others are through.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false } },
  });
  for (const name of positionals) sectionOf(name);
  const chosen = Object.keys(sections).filter((name) => positionals.length === 0 || positionals.includes(name));
  await build();
  const goals: Goal[] = [];
  const failed = new Map<string, string>();
  for (const name of chosen) {
    try {
      const result = await measured(name, values.quick);
      goals.push(...result.goals);
      console.log(sectionText(result));
    } catch (error) {
      const why = messageOf(error);
      failed.set(name, why.split('\n')[0] ?? '');
      console.log(`== ${name}: FAILED\n\n  ${why}\n`);
    }
  }
  console.log(`== Targets\n\n${goalText(goals, failed)}\n`);
  const missed = goals.filter((goal) => !reached(goal)).length;
  console.log(missed === 0 ? 'All that was measured is reached.' : `${missed} of ${goals.length} missed.`);
  if (failed.size > 0) throw new Error(`Not measured: ${[...failed.keys()].join(', ')}.`);
}

/** Measures a section, and notes what others did with the machine before it and after it. */
async function measured(name: string, quick: boolean): Promise<SectionResult> {
  const { needs = [], limitMinutes = defaultLimitMinutes } = sectionOf(name);
  const absent = await missing(needs);
  if (absent !== undefined) throw new Error(absent);
  const before = await usedByOthers();
  const module = new URL('section-process.ts', import.meta.url);
  const result = await inFreshProcess(module, { name, quick }, sectionResultSchema, limitMinutes * 60_000);
  const others = Math.max(before, await usedByOthers());
  if (others <= tooBusy) return result;
  const note = `TOO BUSY TO TELL: others used up to ${Math.round(others * 100)} % of the processors when nothing was measured.`;
  return {
    ...result,
    notes: [...result.notes, note],
    goals: result.goals.map((goal) => ({ ...goal, isUnsure: true })),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// An ordinary end: the process of the section notices it, and ends what it has started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
onNpmGone(() => process.exit(130));

const exitCode = await main().then(
  () => 0,
  (error: unknown) => {
    console.error(messageOf(error));
    return 1;
  },
);
// Whatever is still open keeps the process alive no longer than its output takes.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
