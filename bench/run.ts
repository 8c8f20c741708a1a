import { parseArgs } from 'node:util';
import { build } from '../build.ts';
import { onNpmGone } from '../local/npm-parent.ts';
import { importRate } from './import-rate.ts';
import { loadTime } from './load-time.ts';
import { memory } from './memory.ts';
import { type Goal, goalText, reached, type SectionResult, sectionText } from './report.ts';
import { sendRate } from './send-rate.ts';
import { transactions } from './transactions.ts';

/**
 * `npm run bench [-- --quick] [section ...]`: builds the app, measures it and prints plain tables. Figures compare with
 * others of the same run alone. A target that is missed is said and does not fail the run.
 */
const sections: Readonly<Record<string, (options: { readonly quick: boolean }) => Promise<SectionResult>>> = {
  import: importRate,
  transactions,
  send: sendRate,
  load: loadTime,
  memory,
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false } },
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(sections, name));
  if (unknown.length > 0) {
    throw new Error(`Unknown: ${unknown.join(', ')}. The sections are ${Object.keys(sections).join(', ')}.`);
  }
  const chosen = Object.entries(sections).filter(([name]) => positionals.length === 0 || positionals.includes(name));
  await build();
  const goals: Goal[] = [];
  for (const [, measure] of chosen) {
    const result = await measure({ quick: values.quick });
    goals.push(...result.goals);
    console.log(sectionText(result));
  }
  console.log(`== Targets\n\n${goalText(goals)}\n`);
  const missed = goals.filter((goal) => !reached(goal)).length;
  console.log(missed === 0 ? 'All reached.' : `${missed} of ${goals.length} missed.`);
}

// An ordinary end: what the sections started is ended by their exit handlers.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
onNpmGone(() => process.exit(130));

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
