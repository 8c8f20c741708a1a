import { z } from 'zod';
import { jsonColumns, jsonOf, type Row, type RowWrite } from '../platform/rows.ts';

const blobsSchema = z.array(z.object({ asset: z.string(), ledger: z.string() }));

/** An asset without its account, and the key of the ledger row that says whether it is committed. */
export type LeftoverAsset = z.output<typeof blobsSchema>[number];

/** Rows begin with this. */
export const leftoverPrefix = 'y:';

/**
 * A row that stands for blobs to be removed, should they be there and not be committed: of a page that was interrupted, or
 * of an asset that was deleted. `from`: not before this instant, in ms. `suffix`: what makes the key of the row unique.
 */
export function leftoverRow(suffix: string, assets: readonly LeftoverAsset[], from: number): RowWrite {
  return { kind: 'put', key: leftoverPrefix + suffix, columns: { ...jsonColumns(assets), from } };
}

/** What a row of `leftoverRow` stands for. Throws where it has another form. */
export function leftoverAssets(row: Row): readonly LeftoverAsset[] {
  return blobsSchema.parse(jsonOf(row) ?? []);
}
