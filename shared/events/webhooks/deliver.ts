import { isAcquired } from '../../platform/acquired.ts';
import { inLogScope } from '../../platform/log.ts';
import { dueDeliveries, nextDue } from '../deliveries/delivery-rows.ts';
import {
  acquireTarget,
  finishTarget,
  isSuspended,
  readState,
  type StoredState,
  saveTarget,
  type TargetState,
} from '../deliveries/target-state.ts';
import type { WebhookContext } from './context.ts';
import { giveUpAfterMs } from './schedule.ts';
import { isOld, page, Turn } from './turn.ts';
import type { Webhook } from './webhook.ts';

/** Receivers that fail or take long share some workers of a process, so that the others always find one. */
const troubledWorkers = 8;
const troubledAgainMs = 5_000;

let troubled = 0;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Delivers what is due to an account's webhook, as much as the time of one turn allows; a queue message brings the
 * rest. Calling it at any time and from anywhere is harmless: one process at a time delivers to a receiver.
 */
export async function deliverToWebhook(context: WebhookContext, account: string, options: Options): Promise<void> {
  await inLogScope({ fields: { account } }, () => context.shutdown.track(deliverDue(context, account, options)));
}

async function deliverDue(context: WebhookContext, account: string, options: Options): Promise<void> {
  if (context.shutdown.stopping.aborted) return await context.wakeUps.request(account);
  const known = await context.account(account, options.signal);
  if (!known?.webhook) return;
  const stored = await readState(context, account, known.version, options);
  if (isSuspended(stored.state, context.clock.now()) && !(await hasOld(context, account, stored.state, options))) {
    return await scheduleNext(context, account, stored.state, options);
  }
  const isTroubled = stored.state.failing > 0 || stored.state.slow;
  if (isTroubled && troubled >= troubledWorkers) {
    return await context.wakeUps.request(account, context.clock.now() + troubledAgainMs);
  }
  troubled += Number(isTroubled);
  try {
    await takeTurn(context, account, { webhook: known.webhook, stored, signal: options.signal });
  } finally {
    troubled -= Number(isTroubled);
  }
}

/** Whether something is due that has waited too long: only where the receiver has been failing for as long. */
async function hasOld(
  context: WebhookContext,
  account: string,
  { failing, failingSince }: TargetState,
  { signal }: Options,
): Promise<boolean> {
  if (failing === 0 || failingSince > context.clock.now() - giveUpAfterMs) return false;
  const due = await dueDeliveries(context, account, { signal, top: page });
  return due.some((delivery) => isOld(delivery, context.clock.now()));
}

async function takeTurn(
  context: WebhookContext,
  account: string,
  { webhook, stored, signal }: Options & { readonly webhook: Webhook; readonly stored: StoredState },
): Promise<void> {
  const lease = await acquireTarget(context, account, stored);
  // Whoever has it looks again when it has released it.
  if (!isAcquired(lease)) return;
  const cut = context.shutdown.cutAfter(cutMs);
  const turn = new Turn(context, { account, webhook, cut: cut.signal }, stored.state);
  try {
    const save = (state: TargetState) => saveTarget(context, lease, state);
    await turn.run(AbortSignal.any([signal, lease.lost]), save);
    await finishTarget(context, lease, turn.state);
  } catch (error) {
    lease.abandon();
    if (!lease.lost.aborted) throw error;
  } finally {
    cut.forget();
    turn.logResult();
  }
  await scheduleNext(context, account, turn.state, { signal });
}

/** The process is to end: answers are waited for so long, in ms. */
const cutMs = 2_000;

/** Starts the webhook's next deliveries when they are due; while nothing is sent to it, not for every event. */
async function scheduleNext(
  context: WebhookContext,
  account: string,
  state: TargetState,
  options: Options,
): Promise<void> {
  const { wakeUps, clock } = context;
  const { stoppedAt, pauseUntil } = state;
  if (!isSuspended(state, clock.now())) {
    wakeUps.resume(account);
    const next = await nextDue(context, account, options);
    if (next !== undefined) await wakeUps.request(account, next);
  } else if (stoppedAt > 0) {
    wakeUps.pause(account, Number.POSITIVE_INFINITY);
  } else {
    wakeUps.pause(account, pauseUntil);
    await wakeUps.request(account, pauseUntil);
  }
}
