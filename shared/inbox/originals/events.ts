import { mapConcurrently } from '../../platform/concurrency.ts';
import { accountId } from '../../platform/ids.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import type { ImportContext, ImportPlace } from '../session/import-context.ts';
import type { DisposalResult } from './dispose.ts';

/** Events under way at one time. */
const concurrentEvents = 32;

/** Publishes the events of mails that were imported or given up, where the ledger says that this is still to do. */
export async function publishCheckedIn(
  { inbox, account, signal }: ImportPlace,
  rows: readonly LedgerRow[],
): Promise<void> {
  await mapConcurrently(
    rows.filter((row) => row.todoEvent),
    concurrentEvents,
    async (row) => {
      const assetId = accountId(account, row.asset);
      const about = { account: account, subject: assetId, time: row.importedAt };
      if (row.state === 'quarantined') {
        await inbox.events.publish({ ...about, type: 'mailroom.mail.quarantined', data: { assetId } }, { signal });
        return;
      }
      const data = { assetId, size: row.size, sha256: row.sha256 };
      const completed = row.completedAt === undefined ? {} : { occasion: 'completed', time: row.completedAt };
      await inbox.events.publish({ ...about, ...completed, type: 'mailroom.mail.imported', data }, { signal });
    },
  );
}

/**
 * The events of originals that were deleted or moved, or left alone although they were to be. A repeat has the same id;
 * one that was dropped may be disposed of later, under another source id, and its event has an id of its own.
 */
export async function publishDisposed(
  context: ImportContext,
  rows: readonly LedgerRow[],
  results: ReadonlyMap<string, DisposalResult>,
): Promise<void> {
  const { inbox, account, signal } = context;
  await mapConcurrently(rows, concurrentEvents, async (row) => {
    const its = results.get(row.key);
    if (!its || !('action' in its)) return;
    const dropped = its.outcome === 'dropped';
    await inbox.events.publish(
      {
        type: 'mailroom.mail.disposed',
        account: account,
        subject: accountId(account, row.asset),
        ...(dropped ? { occasion: 'dropped' } : {}),
        time: inbox.clock.now(),
        data: {
          assetId: accountId(account, row.asset),
          action: its.action,
          outcome: its.outcome,
          ...(dropped ? { reason: its.reason } : {}),
        },
      },
      { signal },
    );
  });
}
