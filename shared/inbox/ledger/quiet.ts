import { z } from 'zod';
import { type Columns, jsonColumn } from '../../platform/rows.ts';

const columnSchema = z.union([z.string(), z.number(), z.boolean()]);
const rowSchema = z.object({ key: z.string(), columns: z.record(z.string(), columnSchema) });
const quietSchema = z.object({ checkpoints: z.array(rowSchema), scopes: z.array(rowSchema) });

/** A row as it stood when a run ended. */
export interface QuietRow {
  readonly key: string;
  readonly columns: Columns;
}

/**
 * What an account's partition held when its last run ended in good order: these checkpoints and scopes, and no pending mail.
 * It stands in the row of the account's turn, which whoever may change any of it has to write first; so an import that
 * takes the turn from there need not read them.
 */
export interface Quiet {
  readonly checkpoints: readonly QuietRow[];
  readonly scopes: readonly QuietRow[];
}

/** What is known, as one column; empty where nothing is, or where it is too much for a column. */
export function quietColumn(quiet: Quiet | undefined): string {
  return (quiet && jsonColumn(quiet)) ?? '';
}

/** What a column says; undefined: nothing is known, and all is to be read. */
export function quietOf(column: unknown): Quiet | undefined {
  if (typeof column !== 'string' || column === '') return undefined;
  return quietSchema.parse(JSON.parse(column));
}
