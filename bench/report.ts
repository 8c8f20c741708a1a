import { z } from 'zod';

/** Measured; NaN where there was nothing to measure. */
const figureSchema = z.union([z.number(), z.nan()]);

const goalSchema = z.object({
  what: z.string(),
  figure: figureSchema,
  bound: z.enum(['atLeast', 'atMost']),
  target: z.number(),
  unit: z.string(),
  /** A figure of time that was measured while others used the machine. */
  isUnsure: z.boolean().exactOptional(),
});

/** A figure the project wants to reach, measured. */
export type Goal = Readonly<z.output<typeof goalSchema>>;

export const sectionResultSchema = z.object({
  title: z.string(),
  /** How it was measured: what a reader needs to trust the figures. */
  notes: z.array(z.string()).readonly(),
  table: z.array(z.array(z.string()).readonly()).readonly(),
  goals: z.array(goalSchema.readonly()).readonly(),
});

/** What a section of the benchmark measured. */
export type SectionResult = z.output<typeof sectionResultSchema>;

export function reached({ figure, bound, target }: Goal): boolean {
  return bound === 'atLeast' ? figure >= target : figure <= target;
}

/** The middle of several measurements; of two, their mean. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new Error('nothing was measured');
  return (lower + upper) / 2;
}

/** The value that so many in a hundred do not exceed. */
export function percentile(values: readonly number[], rank: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil((rank / 100) * sorted.length) - 1)];
  if (value === undefined) throw new Error('nothing was measured');
  return value;
}

/** Three digits that mean something, and whole numbers above that. */
export function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Columns with two spaces between them; the first row is the heading, and all but the first column are figures. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)));
  return rows.flatMap((row, index) => (index === 1 ? [rule, line(row)] : [line(row)])).join('\n');
}

export function sectionText({ title, notes, table, goals }: SectionResult): string {
  const parts = [`== ${title}`, tableText(table), ...(goals.length > 0 ? [goalText(goals)] : [])];
  return `${parts.join('\n\n')}\n\n${notes.map((note) => `  ${note}`).join('\n')}\n`;
}

/** The targets; last the sections that have none to show, each with what it failed of. */
export function goalText(goals: readonly Goal[], failed: ReadonlyMap<string, string> = new Map()): string {
  const rows = goals.map((goal) => [
    goal.what,
    `${goal.bound === 'atLeast' ? '>=' : '<='} ${goal.target}${goal.unit}`,
    `${digits(goal.figure)}${goal.unit}`,
    `${reached(goal) ? 'reached' : 'MISSED'}${goal.isUnsure ? ', too busy to tell' : ''}`,
  ]);
  const others = [...failed].map(([name, why]) => [`section ${name}`, '', '', `NOT MEASURED: ${why}`]);
  return tableText([['to reach', 'target', 'figure', ''], ...rows, ...others]);
}
