import type { SourceId } from '../../adapters/store.ts';
import type { Asset } from '../../assets/asset.ts';
import { assetLocalId, sourceText } from '../keys.ts';

/** Semicolons looked at in a source id: folder names may hold some, and a hostile description many. */
const maxPieces = 64;

/**
 * The source that an asset was imported from. Its parts are joined by semicolons in `asset.json` and may hold some
 * themselves, so each way to part them is tried: the asset's own id, which follows from account and source, says which is
 * right. Undefined: none is.
 */
export function sourceOfAsset({ account, sourceId }: Asset, localId: string): SourceId | undefined {
  const pieces = sourceId.split(';');
  if (pieces.length > maxPieces) return undefined;
  const text = (from: number, to: number) => pieces.slice(from, to).join(';');
  // A part that is empty was left out of the text.
  for (let storeEnd = 0; storeEnd <= pieces.length; storeEnd += 1) {
    for (let scopeEnd = storeEnd; scopeEnd <= pieces.length; scopeEnd += 1) {
      const source: SourceId = {
        store: text(0, storeEnd),
        scope: text(storeEnd, scopeEnd),
        item: text(scopeEnd, pieces.length),
      };
      if (sourceText(source) === sourceId && assetLocalId(account, source) === localId) return source;
    }
  }
  return undefined;
}
