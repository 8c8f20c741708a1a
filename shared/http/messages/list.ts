import { z } from 'zod';
import { accountNameSchema } from '../../accounts/model.ts';
import { messageIdSchema } from '../../outbox/composing/message-ids.ts';
import { findInAccounts } from '../../outbox/finding/find-messages.ts';
import { accountsWithMail } from '../../outbox/finding/searched-accounts.ts';
import { messageStatuses, messageView } from '../../outbox/record.ts';
import { defined } from '../../platform/defined.ts';
import { badInput } from '../../platform/refusal.ts';
import { toPointer } from '../../platform/validation.ts';
import type { Answer, Call } from '../call.ts';
import { instantSchema } from '../instant.ts';
import { listAnswer, parseList } from '../paging.ts';
import { recipientSchema } from './recipient.ts';

/** Which mail is listed. */
export const messageFilters = z.object({
  account: accountNameSchema.optional(),
  status: z.enum(messageStatuses).optional(),
  recipient: recipientSchema.optional(),
  messageId: messageIdSchema.optional(),
  since: instantSchema.optional().meta({ description: 'Accepted at or after this instant.' }),
  until: instantSchema.optional().meta({ description: 'Accepted before this instant.' }),
});

/**
 * `GET /messages`: of one account or of all there are or were, newest first; those that have all that is asked for. What
 * each search costs in storage transactions stands in docs/operations.md.
 */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const { filters, page } = parseList(request.query, messageFilters);
  const { account, ...wanted } = filters;
  if (wanted.since !== undefined && wanted.until !== undefined && wanted.until <= wanted.since) {
    throw badInput([{ pointer: toPointer(['until']), detail: 'must be after since' }]);
  }
  const accounts =
    account === undefined
      ? await accountsWithMail(services.outbox, await services.accounts.everyOne({ signal }), { signal })
      : [{ name: account }];
  const { records, next } = await findInAccounts(services.outbox, accounts, { ...page, ...defined(wanted), signal });
  return { jsonBody: listAnswer(records.map(messageView), next) };
}
