import { z } from 'zod';
import { type DeliveryPlace, targetOverview } from './delivery-rows.ts';
import { stateKey, stateOf, type TargetState } from './target-state.ts';

/** Rows counted at most; beyond it a number stands for "at least". */
const countLimit = 5_000;

/** What the rows of a target say in short. Instants in ms since the epoch. */
export const targetFactsSchema = z.object({
  waiting: z.number(),
  givenUp: z.number(),
  /** When the next delivery is due; absent: nothing waits. */
  next: z.number().optional(),
  /** The row that says how it is doing, and when storage wrote it; absent: nothing was ever delivered to it. */
  state: z
    .object({ columns: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])), writtenAt: z.number() })
    .optional(),
});
export type TargetFacts = z.output<typeof targetFactsSchema>;

/** Columns that a status has no use for: the last failures, and whose lease it is. */
const leftOut: ReadonlySet<string> = new Set(['failures', 'leaseOwner', 'leaseUntil', 'writeId']);

/** Reads them: one reading where it is little, and another one where anything was ever delivered. Throws storage's trouble. */
export async function readTarget(
  place: DeliveryPlace,
  target: string,
  options: { readonly signal: AbortSignal },
): Promise<TargetFacts> {
  const { signal } = options;
  const { waiting, givenUp, next, hasState } = await targetOverview(place, target, { signal, top: countLimit });
  const row = hasState ? await place.rows.get(target, stateKey, { signal }) : undefined;
  return {
    waiting,
    givenUp,
    ...(next === undefined ? {} : { next }),
    ...(row ? { state: { columns: kept(row.columns), writtenAt: row.writtenAt ?? 0 } } : {}),
  };
}

function kept(columns: Readonly<Record<string, string | number | boolean | undefined>>) {
  const wanted: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(columns))
    if (value !== undefined && !leftOut.has(name)) wanted[name] = value;
  return wanted;
}

/** How a target is doing by its facts, for this version of its account. `now`: in ms since the epoch. */
export function stateOfFacts({ state }: TargetFacts, version: string, now: number): TargetState {
  const row = state && { key: stateKey, etag: '', ...state };
  return stateOf(row, version, now).state;
}
