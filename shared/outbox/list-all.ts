import { z } from 'zod';
import { accountNameSchema } from '../accounts/model.ts';
import { encodeContinue, parseList } from '../http/paging.ts';
import type { OutboxContext } from './context.ts';
import { listMessages } from './messages.ts';
import { type MessageRecord, type MessageView, messageStatuses, messageView } from './record.ts';

export const messageQuerySchema = z.object({
  account: accountNameSchema.optional(),
  status: z.enum(messageStatuses).optional(),
});

const tokenSchema = z.object({ after: z.string().max(64) });

/** `GET /messages`: of one account or of all there are or were, newest first. */
export async function listAll(
  context: OutboxContext,
  query: URLSearchParams,
  options: { readonly signal: AbortSignal },
): Promise<{ items: MessageView[]; continue?: string }> {
  const { filters, paging } = parseList(query, messageQuerySchema, tokenSchema);
  const { account, status } = filters;
  const { top, continue: token } = paging;
  const accounts = account === undefined ? await context.accountNames(options.signal) : [account];
  const records: MessageRecord[] = [];
  for (const name of accounts) {
    const listed = await listMessages(context, name, {
      ...options,
      // One more than is answered tells whether there is another page.
      top: top + 1,
      ...(status === undefined ? {} : { status }),
      ...(token === undefined ? {} : { after: token.after }),
    });
    records.push(...listed);
  }
  // Ids sort by time, the newest first, whichever account they are of.
  records.sort((a, b) => (a.rest < b.rest ? -1 : 1));
  const page = records.slice(0, top);
  const last = page.at(-1);
  return {
    items: page.map(messageView),
    ...(records.length > top && last ? { continue: encodeContinue({ after: last.rest }) } : {}),
  };
}
