/** A figure the project wants to reach, measured. */
export interface Goal {
  readonly what: string;
  readonly figure: number;
  readonly bound: 'atLeast' | 'atMost';
  readonly target: number;
  readonly unit: string;
  /** A figure of time that was measured while others used the machine. */
  readonly isUnsure?: boolean;
}

/** What a section of the benchmark measured. */
export interface SectionResult {
  readonly title: string;
  /** How it was measured: what a reader needs to trust the figures. */
  readonly notes: readonly string[];
  readonly table: readonly (readonly string[])[];
  readonly goals: readonly Goal[];
}

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

export function goalText(goals: readonly Goal[]): string {
  const rows = goals.map((goal) => [
    goal.what,
    `${goal.bound === 'atLeast' ? '>=' : '<='} ${goal.target}${goal.unit}`,
    `${digits(goal.figure)}${goal.unit}`,
    `${reached(goal) ? 'reached' : 'MISSED'}${goal.isUnsure ? ', too busy to tell' : ''}`,
  ]);
  return tableText([['to reach', 'target', 'figure', ''], ...rows]);
}
