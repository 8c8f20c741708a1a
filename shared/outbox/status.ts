import { z } from 'zod';
import { toIso } from '../platform/clock.ts';
import { accountId, instantOf } from '../platform/ids.ts';
import type { Row } from '../platform/rows.ts';
import { instantSchema } from '../platform/validation.ts';
import type { View } from '../platform/view.ts';
import type { OutboxContext } from './context.ts';
import { failureKey, failurePrefix, failuresEnd, localIdOf, openPrefix } from './keys.ts';

/** Rows counted at most; beyond it the number stands for "at least". */
const countLimit = 5_000;
const dayMs = 86_400_000;

/** What `status` has of an account's sending. */
export const transportStatusSchema = z.object({
  waiting: z.int().meta({
    description: 'Mail that is to be sent now or by a later attempt; without what is scheduled for later.',
  }),
  oldestWaiting: instantSchema.nullable().meta({ description: 'When the oldest of it was accepted.' }),
  failedWithinDay: z.int().meta({
    description: 'Mail that failed in the last 24 hours, for all or some of its recipients.',
  }),
  lastFailure: z
    .object({ at: instantSchema, message: z.string(), code: z.string().nullable(), hint: z.string().nullable() })
    .nullable()
    .meta({ description: 'The last mail that failed; trouble of the account itself is in `failing`.' }),
});
export type TransportStatus = View<typeof transportStatusSchema>;

interface Options {
  readonly signal: AbortSignal;
}

/** How an account's status is read. */
export interface TransportStatusOptions extends Options {
  /** Nothing of the account is open, as is known already (open-accounts.ts). */
  readonly nothingOpen?: boolean;
}

/** How an account's sending is, from rows alone. */
export async function transportStatus(
  context: OutboxContext,
  account: string,
  options: TransportStatusOptions,
): Promise<TransportStatus> {
  const [waiting, failures] = await Promise.all([
    options.nothingOpen ? { waiting: 0, oldestWaiting: null } : countWaiting(context, account, options),
    readFailures(context, account, options),
  ]);
  return { ...waiting, ...failures };
}

async function countWaiting({ rows, clock }: OutboxContext, account: string, { signal }: Options) {
  const now = clock.now();
  let waiting = 0;
  let oldest: string | undefined;
  const select = ['checkAt', 'waitMs', 'ended'];
  for await (const { key, columns } of rows.prefix(account, openPrefix, { select, top: countLimit, signal })) {
    if (columns.ended) continue;
    // One that is scheduled has a time that the caller named, and no length of a wait, until that time has come.
    if (columns.waitMs === undefined && Number(columns.checkAt) > now) continue;
    waiting += 1;
    // Keys begin with the newest.
    oldest = localIdOf(key);
  }
  return { waiting, oldestWaiting: oldest === undefined ? null : toIso(instantOf(oldest)) };
}

async function readFailures({ rows, clock }: OutboxContext, account: string, { signal }: Options) {
  const dayAgo = failureKey(clock.now() - dayMs, '');
  let last: Row | undefined;
  for await (const row of rows.range(account, failurePrefix, failuresEnd, { top: 1, signal })) last = row;
  if (!last) return { failedWithinDay: 0, lastFailure: null };
  let failedWithinDay = 0;
  // The newest stands first: where that is older than a day, all are.
  if (last.key < dayAgo) {
    const range = { select: ['at'], top: countLimit, signal };
    for await (const _ of rows.range(account, failurePrefix, dayAgo, range)) failedWithinDay += 1;
  }
  return { failedWithinDay, lastFailure: failureView(account, last) };
}

function failureView(account: string, { columns: { at, message, code, hint } }: Row) {
  return {
    at: toIso(Number(at)),
    message: accountId(account, String(message)),
    code: typeof code === 'string' ? code : null,
    hint: typeof hint === 'string' ? hint : null,
  };
}
