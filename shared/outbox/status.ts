import { z } from 'zod';
import { toIso } from '../platform/clock.ts';
import { accountId, instantOf } from '../platform/ids.ts';
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
  /** What failed, where that is known; else it is read. */
  readonly failures?: FailureFacts;
}

/** How an account's sending is, from rows alone. */
export async function transportStatus(
  context: OutboxContext,
  account: string,
  options: TransportStatusOptions,
): Promise<TransportStatus> {
  const [waiting, failures] = await Promise.all([
    options.nothingOpen ? { waiting: 0, oldestWaiting: null } : countWaiting(context, account, options),
    options.failures ?? readFailures(context, account, options),
  ]);
  return { ...waiting, ...failuresView(account, failures, context.clock.now()) };
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

/** What the rows of an account say of its mail that failed. Instants in ms since the epoch. */
export const failureFactsSchema = z.object({
  last: z
    .object({ at: z.number(), message: z.string(), code: z.string().optional(), hint: z.string().optional() })
    .optional(),
  /** When mail failed within the last day. */
  recent: z.array(z.number()),
});
export type FailureFacts = z.output<typeof failureFactsSchema>;

/** Whether a write changes the facts of its account. */
export const changesFailures = ({ key }: { readonly key: string }) => key.startsWith(failurePrefix);

/** Reads what failed: one reading where nothing did within a day, else two. Throws storage's trouble. */
export async function readFailures(
  { rows, clock }: OutboxContext,
  account: string,
  { signal }: Options,
): Promise<FailureFacts> {
  const dayAgo = failureKey(clock.now() - dayMs, '');
  for await (const { key, columns } of rows.range(account, failurePrefix, failuresEnd, { top: 1, signal })) {
    const { at, message, code, hint } = columns;
    const reasons = {
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof hint === 'string' ? { hint } : {}),
    };
    const last = { at: Number(at), message: String(message), ...reasons };
    const recent: number[] = [];
    // The newest stands first: where that is older than a day, all are.
    if (key < dayAgo) {
      const range = { select: [], top: countLimit, signal };
      for await (const { key: each } of rows.range(account, failurePrefix, dayAgo, range))
        recent.push(instantOf(each.slice(failurePrefix.length)));
    }
    return { last, recent };
  }
  return { recent: [] };
}

function failuresView(account: string, { last, recent }: FailureFacts, now: number) {
  const failedWithinDay = recent.filter((at) => at > now - dayMs).length;
  if (!last) return { failedWithinDay, lastFailure: null };
  const { at, message, code = null, hint = null } = last;
  return { failedWithinDay, lastFailure: { at: toIso(at), message: accountId(account, message), code, hint } };
}
