import { z } from 'zod';
import { jsonColumns, jsonOf, type RowWrite } from '../../platform/rows.ts';
import { startingPointKey } from '../keys.ts';
import type { ImportContext } from '../session/import-context.ts';

/**
 * What a folder held when the account began to import "from now on". `order`: where items sort by arrival, the last one
 * given out. `set`: elsewhere the items themselves, as hashes in rows of their own.
 */
const pointSchema = z.object({
  /** Which `since: "now"` of the account it belongs to. */
  since: z.string(),
  place: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('order'), scope: z.string(), item: z.string() }),
    z.object({ kind: z.literal('set'), rows: z.number().int() }),
  ]),
  /** When the latest of these mails came, by the server's clock, in ms. */
  newestAt: z.number().optional(),
  /** Where the store was changed: mail of another store was gone through up to here, by that server's clock, in ms. */
  seenUntil: z.number().optional(),
});

export type StartingPoint = z.output<typeof pointSchema>;

const keyOf = (context: ImportContext, folder: string) => startingPointKey(context.store.identity, folder);

/** The row that notes what a folder held. */
export function startingPointRow(context: ImportContext, folder: string, point: StartingPoint): RowWrite {
  return { kind: 'put', key: keyOf(context, folder), columns: { ...jsonColumns(point), folder } };
}

/** What a folder held when the account began to import from now on; undefined where that was not noted. */
export async function readStartingPoint(context: ImportContext, folder: string): Promise<StartingPoint | undefined> {
  const row = await context.inbox.rows.get(context.account, keyOf(context, folder), { signal: context.signal });
  return row && pointSchema.parse(jsonOf(row));
}

/** Row `n` of the hashes of a `set`. */
export function heldRow(context: ImportContext, folder: string, { since, n, hashes }: HeldRow): RowWrite {
  return { kind: 'put', key: `${keyOf(context, folder)}:${since}:${n}`, columns: jsonColumns(hashes) };
}

interface HeldRow {
  readonly since: string;
  readonly n: number;
  readonly hashes: readonly string[];
}

/** The hashes of a `set`. */
export async function readHeld(context: ImportContext, folder: string, since: string): Promise<ReadonlySet<string>> {
  const held = new Set<string>();
  const prefix = `${keyOf(context, folder)}:${since}:`;
  for await (const row of context.inbox.rows.prefix(context.account, prefix, { signal: context.signal })) {
    for (const hash of z.array(z.string()).parse(jsonOf(row))) {
      held.add(hash);
    }
  }
  return held;
}
