import type { QueueClient } from '@azure/storage-queue';
import type { z } from 'zod';
import { errorText, log } from './log.ts';
import { storageStatus } from './storage.ts';

/** A queue message that the host gave up: it had failed as often as `maxDequeueCount` of host.json says. */
export interface GivenUp {
  /** Of the message in the poison queue. */
  readonly id: string;
  /** When it came there, in ms since the epoch. */
  readonly at: number;
  /** What it says; undefined where it is no JSON in base64. */
  readonly entry: unknown;
}

/**
 * What became of what a message asked for. `failed`: recorded as failed. `repeated`: to be done again, by another queue
 * message or a timer. `left`: somebody else does it, has done it, or will in its time. `unreadable`: what it is about is kept,
 * and this version cannot read it. `unknown`: it names nothing there is.
 */
export type GivenUpResult = 'failed' | 'repeated' | 'left' | 'unreadable' | 'unknown';

/** What was done for a message that was given up. */
export interface HandledGivenUp {
  readonly result: GivenUpResult;
  readonly account?: string;
  readonly message?: string;
  readonly run?: string;
}

export type PoisonQueue = Pick<QueueClient, 'receiveMessages' | 'deleteMessage'>;

/** Messages taken at a time, and in one go: storage's most, and as many as a timer that runs every minute can do. */
const batch = 32;
const maxBatches = 30;

/** One whose handling failed comes again after this, in seconds. */
const againSeconds = 300;

/**
 * Empties a poison queue: `handle` does for each message what is to be done where the queue could not. A message is
 * deleted once that is durable; one whose handling fails stays there, and comes again. Handling may happen twice. Throws
 * at the end if any failed.
 */
export async function emptyPoisonQueue(
  client: PoisonQueue,
  queue: string,
  handle: (given: GivenUp) => Promise<HandledGivenUp>,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  let failed = 0;
  for (let round = 0; round < maxBatches; round += 1) {
    const { receivedMessageItems } = await client.receiveMessages({
      numberOfMessages: batch,
      visibilityTimeout: againSeconds,
      abortSignal: signal,
    });
    for (const { messageId, messageText, insertedOn, popReceipt } of receivedMessageItems) {
      signal.throwIfAborted();
      try {
        const given = { id: messageId, at: insertedOn.getTime(), entry: entryOf(messageText) };
        const { result, account, message, run } = await handle(given);
        log.error('queue.gaveUp', { queue, result, account, message, run });
        await deleteIfOurs(client, messageId, popReceipt);
      } catch (error) {
        failed += 1;
        log.error('queue.gaveUpNotHandled', { queue, error: errorText(error) });
      }
    }
    if (receivedMessageItems.length < batch) break;
  }
  if (failed > 0) throw new Error(`${failed} messages of ${queue} could not be handled`);
}

function entryOf(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString());
  } catch {
    return undefined;
  }
}

/** Somebody else may have received it since, where this process stood still; it is theirs then. */
async function deleteIfOurs(client: PoisonQueue, messageId: string, popReceipt: string): Promise<void> {
  try {
    await client.deleteMessage(messageId, popReceipt);
  } catch (error) {
    if (storageStatus(error) !== 404) throw error;
  }
}

/** The answer for a message that is not ours. */
export const nothingOfOurs: HandledGivenUp = { result: 'unknown' };

/** What `handle` answers for an entry of this form; anything else is not ours. */
export function handleEntry<T>(
  schema: z.ZodType<T>,
  { entry }: GivenUp,
  handle: (asked: T) => Promise<HandledGivenUp> | HandledGivenUp,
): Promise<HandledGivenUp> | HandledGivenUp {
  const parsed = schema.safeParse(entry);
  return parsed.success ? handle(parsed.data) : nothingOfOurs;
}
