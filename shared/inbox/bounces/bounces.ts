import type { Asset } from '../../assets/asset.ts';
import { AssetBlobs } from '../../assets/asset-blobs.ts';
import type { BounceReport } from '../../outbox/bounces/report.ts';
import { accountId } from '../../platform/ids.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import type { ImportPlace } from '../session/import-context.ts';

type AssetBounce = NonNullable<Asset['bounce']>;

/** What came back by a mail's `bounce`. `isBounce`: its flag. Those for whom a mail is late, or has arrived, are left out. */
export function reportOf({ messageId, recipients }: AssetBounce, isBounce: boolean): BounceReport {
  const failed = recipients.filter(({ action }) => action === 'failed' || (action === null && isBounce));
  return { messageId, failed: failed.map(({ address, status, diagnostic }) => ({ address, status, diagnostic })) };
}

/** What is written with a ledger row whose bounce is passed on. */
export function bounceDone({ todoBounce }: Pick<LedgerRow, 'todoBounce'>): { readonly todoBounce?: false } {
  return todoBounce ? { todoBounce: false } : {};
}

/** A bounce is tried again this long after its message was being delivered. In ms. */
const laterMs = 60_000;

/**
 * Passes bounces on to their messages, where the ledger says that this is still to do. Answers the ledger keys of those
 * that are to be done later; an import that does so is on the queue.
 */
export async function markBounces(
  { inbox, account, signal }: ImportPlace,
  rows: readonly LedgerRow[],
): Promise<ReadonlySet<string>> {
  const later = new Set<string>();
  const blobs = new AssetBlobs(inbox.assets);
  for (const row of rows) {
    if (!row.todoBounce) continue;
    const id = accountId(account, row.asset);
    const asset = await blobs.describe(account, id, signal);
    const messageRecord = asset?.bounce?.messageRecord;
    if (!asset?.bounce || messageRecord === undefined) continue;
    const report = reportOf(asset.bounce, asset.flags.bounce);
    const bounce = { ...report, asset: id, importedAt: Date.parse(asset.importedAt), messageRecord };
    if (!(await inbox.bounces.mark(bounce, { signal }))) later.add(row.key);
  }
  if (later.size > 0) await inbox.enqueue(account, { delayMs: laterMs });
  return later;
}
