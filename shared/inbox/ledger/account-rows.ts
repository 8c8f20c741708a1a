import type { Row } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { prefixes } from '../keys.ts';
import { type PendingMail, readPending } from './pending.ts';
import type { Quiet } from './quiet.ts';

/** What a round over an account begins with. */
export interface AccountRows extends Quiet {
  /** At most 5,000. */
  readonly pending: readonly PendingMail[];
}

/** Of whom it is read. */
interface Place {
  readonly inbox: Pick<InboxContext, 'rows'>;
  readonly account: string;
  readonly signal: AbortSignal;
}

/**
 * Reads all of it at one time: the storage may be far away. Whoever reads has the account's turn, so that nobody writes it
 * meanwhile. Throws where a row was written by another version in another form.
 */
export async function readAccountRows(place: Place): Promise<AccountRows> {
  const { inbox, account, signal } = place;
  const [checkpoints, scopes, pending] = await Promise.all([
    rowsOf(place, prefixes.checkpoint),
    rowsOf(place, prefixes.scope),
    readPending(inbox, account, { signal }),
  ]);
  return { checkpoints, scopes, pending };
}

async function rowsOf({ inbox, account, signal }: Place, prefix: string): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const row of inbox.rows.prefix(account, prefix, { signal })) rows.push(row);
  return rows;
}
