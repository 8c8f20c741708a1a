import { z } from 'zod';
import type { Account } from '../../accounts/rules.ts';
import { toIso } from '../../platform/clock.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import type { PushContext } from './context.ts';
import { askedKey, folderKey, partition, subscriptionKey } from './keys.ts';
import { readSubscriptions } from './subscription-rows.ts';
import { pushedStore } from './wanted.ts';

const folderSchema = z.object({
  folder: z.string(),
  state: z
    .enum(['active', 'pending', 'failing'])
    .meta({ description: '`pending`: about to be made; `failing`: not made, or not renewed, and tried again.' }),
  expiresAt: instantSchema
    .nullable()
    .meta({ description: 'When it ends unless it is renewed; null: it is not there.' }),
  code: z.string().optional(),
  hint: z.string().optional().meta({ description: 'What a person can do about it.' }),
});

/** How push is doing. */
export const pushStatusSchema = z.object({
  reachable: z.boolean().meta({ description: 'False: the app has no PUBLIC_URL, and the schedule does the work.' }),
  lastQueuedAt: instantSchema.nullable().meta({ description: 'When a notification last had an import queued.' }),
  folders: z.array(folderSchema),
});
export type PushStatus = View<typeof pushStatusSchema>;

/** How the account's subscriptions are; null: it has no push. Graph is not asked. Throws storage's trouble. */
export async function pushStatus(
  push: PushContext,
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
  return {
    reachable: push.publicUrl !== undefined,
    lastQueuedAt: typeof at === 'number' ? toIso(at) : null,
    folders: store.folders.map((folder) => {
      const row = known.find(({ key }) => key === subscriptionKey(account.name, folderKey(folder)));
      const { expiresAt, tries = 0, code, hint } = row ?? {};
      return {
        folder,
        state: tries > 0 ? 'failing' : row?.state === 'active' ? 'active' : 'pending',
        expiresAt: expiresAt === undefined ? null : toIso(expiresAt),
        ...(code === undefined ? {} : { code }),
        ...(hint === undefined ? {} : { hint }),
      };
    }),
  };
}
