import { graphPath, graphUrl } from './addresses.ts';
import type { Folders } from './folders.ts';
import type { GraphClient } from './graph-client.ts';
import { GraphError } from './graph-error.ts';
import { type MailboxIdentity, type MailItem, mailItemSchema } from './mail-items.ts';
import { isGone } from './store-errors.ts';

/** What the parts of a session work with. */
export interface MailboxContext extends MailboxIdentity {
  readonly client: GraphClient;
  readonly folders: Folders;
}

/** The address of a message, or of something below it. */
export function messageUrl(
  { client, userId }: Pick<MailboxContext, 'client' | 'userId'>,
  id: string,
  rest: readonly string[] = [],
  query: Readonly<Record<string, string>> = {},
): URL {
  return graphUrl(client.place, graphPath('users', userId, 'messages', id, ...rest), query);
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

/** Runs `task` over items, a few at a time, and keeps their order. The first failure is thrown when none runs any more. */
export async function mapAtOnce<T, R>(
  items: readonly T[],
  atOnce: number,
  task: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Map<number, R>();
  const failures: unknown[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length && failures.length === 0) {
      const at = next++;
      const item = items[at];
      if (item === undefined) continue;
      try {
        results.set(at, await task(item));
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
}
