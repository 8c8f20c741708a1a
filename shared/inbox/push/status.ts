import { z } from 'zod';
import type { Account } from '../../accounts/rules.ts';
import { toIso } from '../../platform/clock.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import type { PushContext } from './context.ts';
import { askedKey, folderKey, partition, subscriptionKey } from './keys.ts';
import { readSubscriptions, type SubscriptionRow } from './subscription-rows.ts';
import { pushedStore } from './wanted.ts';

/** Says why there is no subscription where Graph cannot call the app. */
const unreachable = {
  code: 'NO_PUBLIC_URL',
  hint: 'Graph cannot call the app: set PUBLIC_URL to its https address. Until then the schedule finds new mail.',
} as const;

const folderSchema = z.object({
  folder: z.string(),
  state: z.enum(['active', 'pending', 'failing', 'none']).meta({
    description:
      '`pending`: about to be made; `failing`: not made, or not renewed, and tried again; `none`: Graph cannot call the app.',
  }),
  expiresAt: instantSchema
    .nullable()
    .meta({ description: 'When it ends unless it is renewed; null: it is not there.' }),
  code: z.string().optional().meta({ description: 'Why it is `failing` or `none`.' }),
  hint: z.string().optional().meta({ description: 'What a person can do about it.' }),
});

/** How push is doing. */
export const pushStatusSchema = z.object({
  reachable: z.boolean().meta({ description: 'False: the app has no PUBLIC_URL, and the schedule does the work.' }),
  lastNotification: instantSchema
    .nullable()
    .meta({ description: 'When Graph last told of mail, to some seconds; null: it never did.' }),
  folders: z.array(folderSchema),
});
export type PushStatus = View<typeof pushStatusSchema>;

/** How the account's subscriptions are; null: it has no push. Graph is not asked. Throws storage's trouble. */
export async function pushStatus(
  push: Pick<PushContext, 'clock' | 'publicUrl' | 'rows'>,
  account: Account,
  options: { readonly signal: AbortSignal },
): Promise<PushStatus | null> {
  const store = pushedStore(account);
  if (!store) return null;
  const [known, asked] = await Promise.all([
    readSubscriptions(push, account.name, options),
    push.rows.get(partition, askedKey(account.name), options),
  ]);
  const at = asked?.columns.at;
  const isReachable = push.publicUrl !== undefined;
  return {
    reachable: isReachable,
    lastNotification: typeof at === 'number' ? toIso(at) : null,
    folders: store.folders.map((folder) => {
      const row = known.find(({ key }) => key === subscriptionKey(account.name, folderKey(folder)));
      return { folder, ...(isReachable ? stateOf(row, push.clock.now()) : { ...none, ...unreachable }) };
    }),
  };
}

const none = { state: 'none', expiresAt: null } as const;

function stateOf(row: SubscriptionRow | undefined, now: number): Omit<PushStatus['folders'][number], 'folder'> {
  const { state, expiresAt, tries = 0, code, hint } = row ?? {};
  // One that was not renewed in time has ended at Graph, whatever the row says.
  const isThere = state === 'active' && expiresAt !== undefined && expiresAt > now;
  return {
    state: tries > 0 ? 'failing' : isThere ? 'active' : 'pending',
    expiresAt: isThere ? toIso(expiresAt) : null,
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
  };
}
