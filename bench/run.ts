import { parseArgs } from 'node:util';
import { build } from '../build.ts';
import { onNpmGone } from '../local/npm-parent.ts';
import { acceptLatency } from './accept-latency.ts';
import { accounts } from './accounts.ts';
import { tooBusy, usedByOthers } from './busy.ts';
import { consoleSpeed } from './console.ts';
import { dayOfAccounts } from './day.ts';
import { eventsWaiting } from './events-waiting.ts';
import { importRate } from './import-rate.ts';
import { latency } from './latency.ts';
import { loadTime } from './load-time.ts';
import { memory } from './memory.ts';
import { chromium, dovecot, missing } from './needs.ts';
import { type Goal, goalText, reached, type SectionResult, sectionText } from './report.ts';
import { sendRate } from './send-rate.ts';
import { torture } from './torture.ts';
import { transactions } from './transactions.ts';

interface Section {
  readonly measure: (options: { readonly quick: boolean }) => Promise<SectionResult>;
  /** Programs that it cannot do without. */
  readonly needs?: Parameters<typeof missing>[0];
}

/**
 * `npm run bench [-- --quick] [section ...]`: builds the app, measures it and prints plain tables. Figures compare with
 * others of the same run alone. A target that is missed is said and does not fail the run; a section that fails does, once
 * the others are through.
 */
const sections: Readonly<Record<string, Section>> = {
  import: { measure: importRate, needs: [dovecot] },
  latency: { measure: latency, needs: [dovecot] },
  transactions: { measure: transactions, needs: [dovecot] },
  accept: { measure: acceptLatency },
  send: { measure: sendRate },
  accounts: { measure: accounts, needs: [dovecot] },
  day: { measure: dayOfAccounts, needs: [dovecot] },
  events: { measure: eventsWaiting, needs: [dovecot] },
  load: { measure: loadTime },
  console: { measure: consoleSpeed, needs: [chromium] },
  memory: { measure: memory, needs: [dovecot] },
  torture: { measure: torture },
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
  const failed: string[] = [];
  for (const [name, section] of chosen) {
    try {
      const result = await measured(section, values.quick);
      goals.push(...result.goals);
      console.log(sectionText(result));
    } catch (error) {
      failed.push(name);
      console.log(`== ${name}: FAILED\n\n  ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  console.log(`== Targets\n\n${goalText(goals)}\n`);
  const missed = goals.filter((goal) => !reached(goal)).length;
  console.log(missed === 0 ? 'All reached.' : `${missed} of ${goals.length} missed.`);
  if (failed.length > 0) throw new Error(`Not measured: ${failed.join(', ')}.`);
}

/** Measures a section, and notes what others did with the machine before it and after it. */
async function measured({ measure, needs = [] }: Section, quick: boolean): Promise<SectionResult> {
  const absent = await missing(needs);
  if (absent !== undefined) throw new Error(absent);
  const before = await usedByOthers();
  const result = await measure({ quick });
  const others = Math.max(before, await usedByOthers());
  if (others <= tooBusy) return result;
  const note = `TOO BUSY TO TELL: others used up to ${Math.round(others * 100)} % of the processors when nothing was measured.`;
  return {
    ...result,
    notes: [...result.notes, note],
    goals: result.goals.map((goal) => ({ ...goal, isUnsure: true })),
  };
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
