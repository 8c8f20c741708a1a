import type { Account } from '../../accounts/rules.ts';
import type { Step } from '../../adapters/verify/steps.ts';
import type { PushContext } from './context.ts';
import { type PushStatus, pushStatus } from './status.ts';

/** How a subscription is looked at. */
export interface SubscriptionStepsOptions {
  /** The account is stored; what is only described gets its subscriptions once it is. */
  readonly isStored: boolean;
  readonly signal: AbortSignal;
}

/**
 * One step for the subscription to each folder of an account with push, none for others. Graph is not asked: each
 * subscription is renewed every 45 minutes, which shows how it is. Throws storage's trouble.
 */
export async function subscriptionSteps(
  push: Pick<PushContext, 'clock' | 'publicUrl' | 'rows'>,
  account: Account,
  { isStored, signal }: SubscriptionStepsOptions,
): Promise<readonly Step[]> {
  const started = performance.now();
  const status = await pushStatus(push, account, { signal });
  const ms = Math.round(performance.now() - started);
  return (status?.folders ?? []).map((folder) => ({ ...stepOf(folder, isStored), ms }));
}

function stepOf({ folder, state, expiresAt, code, hint }: PushStatus['folders'][number], isStored: boolean) {
  const step = 'subscription';
  const why = { ...(code === undefined ? {} : { code }), ...(hint === undefined ? {} : { hint }) };
  if (state === 'none') return { step, status: 'unknown', detail: folder, ...why } as const;
  if (!isStored)
    return { step, status: 'unknown', detail: folder, hint: 'It is made when the account is stored.' } as const;
  if (state === 'active') return { step, status: 'ok', detail: `${folder}: until ${expiresAt}` } as const;
  if (state === 'failing') return { step, status: 'failed', detail: folder, ...why } as const;
  return { step, status: 'unknown', detail: folder, hint: 'It is being made: look again in a minute.' } as const;
}
