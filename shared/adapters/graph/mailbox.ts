import { graphPath, graphUrl } from './addresses.ts';
import type { Folders } from './folders.ts';
import type { GraphClient } from './graph-client.ts';
import { GraphError } from './graph-error.ts';
import { type MailboxIdentity, type MailItem, mailItemSchema } from './store/mail-items.ts';
import { isGone } from './store/store-errors.ts';

/** What the parts of a session work with. */
export interface MailboxContext extends MailboxIdentity {
  readonly client: GraphClient;
  readonly folders: Folders;
}

/** The address of a message, or of something below it. */
export function messageUrl(
  { client, userId }: Pick<MailboxContext, 'client' | 'userId'>,
  id: string,
  below: readonly string[] = [],
  query: Readonly<Record<string, string>> = {},
): URL {
  return graphUrl(client.place, graphPath('users', userId, 'messages', id, ...below), query);
}

/** One message as it is now; undefined where the mailbox no longer has it. Throws GraphError. */
export async function readItem(
  context: MailboxContext,
  id: string,
  fields: string,
  signal: AbortSignal,
): Promise<MailItem | undefined> {
  const url = messageUrl(context, id, [], { $select: fields });
  try {
    return await context.client.json({ method: 'GET', url, signal }, mailItemSchema);
  } catch (error) {
    if (error instanceof GraphError && isGone(error)) return undefined;
    throw error;
  }
}
