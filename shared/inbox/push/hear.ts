import { z } from 'zod';
import { log } from '../../platform/log.ts';
import { isOwnCode, parseClientState, rowKeyOf, type SubscriptionName } from './client-state.ts';
import type { PushContext } from './context.ts';
import { readSubscription, replaceRow, type SubscriptionRow } from './subscription-rows.ts';
import { lookMs } from './timing.ts';

/** Notifications of one post that are looked at. Graph sends some tens; the schedule finds what more would tell of. */
const maxNotifications = 1_000;

const notificationSchema = z.object({
  subscriptionId: z.string().max(100),
  clientState: z.string().max(128),
  lifecycleEvent: z.string().max(40).nullish(),
});

/** What Graph posts: changes to mail, and to subscriptions. Fields that nothing depends on may be anything. */
export const notificationsSchema = z
  .looseObject({ value: z.array(z.looseObject({})) })
  .meta({ id: 'ChangeNotifications', description: 'changeNotificationCollection of Microsoft Graph.' });

/** A notification that Graph has sent. */
interface Heard {
  readonly name: SubscriptionName;
  readonly subscriptionId: string;
  readonly event: string | undefined;
}

/**
 * Takes the notifications of a post: each that is Graph's asks for an import of its account, or for a look after its
 * subscription. Anything else is passed over. No server is called, and nothing of a notification is used but which
 * subscription it is of. Throws storage's trouble, and Key Vault's where it has never been reached.
 */
export async function hearNotifications(
  push: PushContext,
  body: unknown,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const parsed = notificationsSchema.safeParse(body);
  const items = parsed.success ? parsed.data.value.slice(0, maxNotifications) : [];
  // Many of one subscription ask for the same.
  const different = new Map<string, z.output<typeof notificationSchema>>();
  for (const item of items) {
    const { data } = notificationSchema.safeParse(item);
    if (data) different.set(`${data.clientState} ${data.subscriptionId} ${data.lifecycleEvent ?? ''}`, data);
  }
  let refused = 0;
  for (const { clientState, subscriptionId, lifecycleEvent } of different.values()) {
    const given = parseClientState(clientState);
    if (!given || !(await push.key.fits((key) => isOwnCode(key, given.name, given.code), options.signal))) {
      refused += 1;
      continue;
    }
    await hear(push, { name: given.name, subscriptionId, event: lifecycleEvent ?? undefined });
  }
  if (refused > 0) push.refusals.note(refused);
}

async function hear(push: PushContext, heard: Heard): Promise<void> {
  const { account } = heard.name;
  const isOfItself = heard.event === 'subscriptionRemoved' || heard.event === 'reauthorizationRequired';
  if (!isOfItself && push.imports.isQueued(account)) return;
  const row = await readSubscription(push, rowKeyOf(heard.name));
  // Of one that was ended, or that another has taken the place of.
  if (row?.generation !== heard.name.generation) return;
  const isOther = row.id !== undefined && row.id.toLowerCase() !== heard.subscriptionId.toLowerCase();
  if (isOfItself) {
    if (!isOther) await askForLook(push, row, account);
    return;
  }
  if (isOther && row.stray === undefined) await askForLook(push, row, account, heard.subscriptionId);
  if (await push.imports.ask(account)) log.info('push.heard', { account });
}

/** Has a subscription looked after now, unless that is to happen already. `stray`: a second one that must end. */
async function askForLook(push: PushContext, row: SubscriptionRow, account: string, stray?: string): Promise<void> {
  const now = push.clock.now();
  if (row.state === 'creating' || (row.workAt <= now && stray === undefined)) return;
  const look = { workAt: now, dueAt: now + lookMs, waitMs: lookMs };
  if (await replaceRow(push, row, { ...(stray === undefined ? {} : { stray }), ...look })) await push.enqueue(account);
}
