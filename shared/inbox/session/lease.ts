import { isAcquired } from '../../platform/acquired.ts';
import { isLeased, type LeaseKind, RowLease } from '../../platform/row-lease.ts';
import type { Row } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { singleKeys } from '../keys.ts';

/** A lease that is not renewed for this long has lapsed: its process is gone. In ms. */
export const leaseMs = 30_000;

const kind: LeaseKind = {
  name: 'inbox',
  lapseMs: leaseMs,
  renewEveryMs: 8_000,
  ownRow: true,
  stopsWhenUnsure: true,
};

const key = singleKeys.lease;

/** What the holder of an account's lease is doing. */
export interface LeaseView {
  readonly purpose: string;
  readonly runId: string;
  /** The one folder it goes through; absent: all of the account's. */
  readonly folder?: string;
}

function viewOf(row: Row | undefined): LeaseView {
  const { purpose, runId, folder } = row?.columns ?? {};
  return {
    purpose: String(purpose ?? ''),
    runId: String(runId ?? ''),
    ...(typeof folder === 'string' ? { folder } : {}),
  };
}

/** Who holds the account's lease now. */
export async function leaseHolder(
  inbox: InboxContext,
  account: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<LeaseView | undefined> {
  const row = await inbox.rows.get(account, key, options);
  return isLeased(row, kind, inbox.clock.now()) ? viewOf(row) : undefined;
}

/**
 * Acquires the account's lease, or answers who holds it. There is one worker per account at a time: an import, a
 * retention, a sweep or a dry run. It keeps servers from being asked twice; that nothing is imported twice rests on
 * conditional writes alone.
 */
export async function acquireLease(
  inbox: InboxContext,
  account: string,
  view: LeaseView,
): Promise<RowLease | LeaseView> {
  const { rows, clock } = inbox;
  const row = await rows.get(account, key);
  if (isLeased(row, kind, clock.now())) {
    return viewOf(row);
  }
  const lease = await RowLease.acquire({ rows, clock, partition: account, key }, kind, row, { ...view });
  return isAcquired(lease) ? lease : viewOf(await rows.get(account, key));
}
