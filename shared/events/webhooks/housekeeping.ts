import { mapConcurrently } from '../../platform/concurrency.ts';
import { forEachAccount } from '../../platform/isolated-jobs.ts';
import { errorText, log } from '../../platform/log.ts';
import {
  dueOf,
  givenUpDeliveries,
  giveUp,
  nextDue,
  removeDelivery,
  waitingSince,
} from '../deliveries/delivery-rows.ts';
import type { WebhookContext } from './context.ts';
import { giveUpAfterMs } from './schedule.ts';

/** How long events are kept that were given up. In ms. */
const keepMs = 30 * 86_400_000;

/** A receiver that is there has been asked by then, whatever delayed it. In ms. */
const graceMs = 24 * 3_600_000;

/** Rows of one account looked at in one run of the timer; the next one brings the rest. */
const batch = 2_000;
const concurrency = 50;

/** Accounts looked at together. */
const accountsAtOnce = 16;

interface Options {
  readonly signal: AbortSignal;
}

/** Starts the deliveries of every webhook that has some due: nothing depends on a queue message surviving. */
export async function recoverDeliveries(context: WebhookContext, { signal }: Options): Promise<void> {
  await mapConcurrently(await context.accounts(signal), accountsAtOnce, async (account) => {
    try {
      const next = await nextDue(context, account, { signal });
      if (next !== undefined && next <= context.clock.now()) await context.wakeUps.request(account);
    } catch (error) {
      signal.throwIfAborted();
      log.error('webhook.recoverFailed', { account, error: errorText(error) });
    }
  });
}

/**
 * Removes what was given up 30 days ago, and gives up what waits for a webhook that is no more, or that has stopped, as
 * late as if it had been tried all the time. What waits for a later time, as its receiver may have asked, is left.
 */
export async function removeOldDeliveries(context: WebhookContext, options: Options): Promise<void> {
  const now = context.clock.now();
  const tidy = async (account: string) => {
    const list = { ...options, top: batch };
    const waiting = await waitingSince(context, account, { ...list, before: now - giveUpAfterMs - graceMs });
    const left = waiting.filter(({ key }) => dueOf(key) <= now - graceMs);
    await mapConcurrently(left, concurrency, (delivery) => giveUp(context, account, delivery));
    if (left.length > 0) log.warn('webhook.givenUp', { account, events: left.length });
    const old = await givenUpDeliveries(context, account, { ...list, before: now - keepMs });
    await mapConcurrently(old, concurrency, (delivery) => removeDelivery(context, account, delivery));
  };
  await forEachAccount(await context.accountNames(options.signal), tidy, { ...options, task: 'removeOldDeliveries' });
}
