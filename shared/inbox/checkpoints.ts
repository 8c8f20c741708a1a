import { z } from 'zod';
import type { Checkpoint } from '../adapters/store.ts';
import { jsonColumns, jsonOf, type RowWrite } from '../platform/rows.ts';
import { checkpointKey } from './keys.ts';
import type { Work } from './work.ts';

const checkpointSchema = z.record(z.string(), z.union([z.string(), z.number()]));

/** Where the next round over a folder begins; undefined for a full round. */
export async function readCheckpoint(work: Work, folder: string): Promise<Checkpoint | undefined> {
  const { context, name, signal, store } = work;
  const row = await context.rows.get(name, checkpointKey(store.identity, folder), { signal });
  const document = row && jsonOf(row);
  return document === undefined ? undefined : checkpointSchema.parse(document);
}

export function checkpointRow(work: Work, folder: string, checkpoint: Checkpoint): RowWrite {
  const columns = { ...jsonColumns(checkpoint), folder, savedAt: work.context.clock.now() };
  return { kind: 'put', key: checkpointKey(work.store.identity, folder), columns };
}

/** Forgets a folder's checkpoint: the next round is a full one, against the ledger. */
export async function forgetCheckpoint(work: Work, folder: string): Promise<void> {
  const { context, name, store } = work;
  await context.rows.write(name, [{ kind: 'put', key: checkpointKey(store.identity, folder), columns: { folder } }]);
}
