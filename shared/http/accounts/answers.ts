import { z } from 'zod';
import { accountViewSchema } from '../../accounts/account-view.ts';
import { leftSecretSchema } from '../../accounts/delete-account.ts';
import { webhookSummarySchema } from '../../events/webhooks/view.ts';
import { pushStatusSchema } from '../../inbox/push/status.ts';
import { accountStatusSchema } from '../../inbox/status.ts';
import { transportStatusSchema } from '../../outbox/status.ts';
import type { View } from '../../platform/view.ts';

/** The answer to a `DELETE` of an account whose secrets are named. */
export const deletedAccountSchema = z.object({ account: z.string(), secrets: z.array(leftSecretSchema) });
export type DeletedAccount = View<typeof deletedAccountSchema>;

/** What `GET /accounts/{account}/status` answers. */
export const statusAnswerSchema = z
  .object({
    ...accountStatusSchema.shape,
    push: pushStatusSchema.nullable().meta({
      description: 'Notifications of Microsoft Graph; null: the store has no `push`, or the account is disabled.',
    }),
    transport: transportStatusSchema,
    webhook: webhookSummarySchema,
  })
  .meta({ id: 'AccountStatus', description: "How an account's store, transport and webhook are doing." });
export type StatusAnswer = View<typeof statusAnswerSchema>;

/** An account in their list. */
export const listedAccountSchema = accountViewSchema.extend({
  health: statusAnswerSchema.optional().meta({ description: 'Where `health=true` asks for it.' }),
});
export type ListedAccount = View<typeof listedAccountSchema>;

/** The answer to a retry of all mail of an account. */
export const retriedAccountSchema = z.object({ account: z.string() });
export type RetriedAccount = View<typeof retriedAccountSchema>;
