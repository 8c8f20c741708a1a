import { z } from 'zod';
import { accountNamed } from '../platform/ids.ts';
import { type GivenUp, type HandledGivenUp, handleEntry, nothingOfOurs } from '../platform/poison-queue.ts';
import type { OutboxContext } from './context.ts';
import { deliverFromQueue } from './delivering/deliver.ts';
import { handleGivenUpMail } from './delivering/given-up.ts';
import { releaseWaiting } from './delivering/release.ts';
import { saveSentCopyFromQueue } from './sent-copies/sent-copy.ts';
import { deliveryMs } from './timing.ts';

const schema = z.union([
  z.object({
    id: z.string(),
    /** See OutboxContext.enqueue. */
    accepted: z.string().optional(),
    /** The message was sent; only its copy for \Sent is to be made. */
    copy: z.boolean().optional(),
  }),
  /** The waiting mail of this account is to be tried now. */
  z.object({ release: z.string() }),
]);

/**
 * Does what an entry of queue `mail-send` asks for. `again`: the queue has handed it out before, or that is not known.
 * Throws for another form: the host then puts it on the poison queue.
 */
export async function runQueueEntry(
  context: OutboxContext,
  entry: unknown,
  { again }: { readonly again: boolean },
): Promise<void> {
  const asked = schema.parse(entry);
  const options = { signal: AbortSignal.timeout(deliveryMs) };
  if ('release' in asked) await releaseWaiting(context, asked.release, options);
  else if (asked.copy) await saveSentCopyFromQueue(context, asked.id, options);
  else await deliverFromQueue(context, asked.id, { ...options, again, accepted: asked.accepted });
}

/** Does what is to be done for an entry of queue `mail-send` that was given up. Throws where that fails. */
export async function handleGivenUpEntry(
  context: OutboxContext,
  given: GivenUp,
  options: { readonly signal: AbortSignal },
): Promise<HandledGivenUp> {
  return await handleEntry(schema, given, async (asked) => {
    const account = accountNamed('release' in asked ? asked.release : asked.id);
    if (account === undefined) return nothingOfOurs;
    // The timers that run every minute queue releases and copies again that are left.
    if ('release' in asked) return { result: 'repeated', account };
    if (asked.copy) return { result: 'repeated', account, message: asked.id };
    return await handleGivenUpMail(context, asked.id, options);
  });
}
