import { z } from 'zod';
import { type GivenUp, type HandledGivenUp, handleEntry } from '../platform/poison-queue.ts';
import type { InboxContext } from './context.ts';
import { failGivenUpRun } from './importing/given-up.ts';
import { runImport } from './importing/run.ts';
import type { PushContext } from './push/context.ts';
import { tendFromQueue } from './push/tend.ts';

const schema = z.object({
  account: z.string(),
  runId: z.string().optional(),
  folder: z.string().optional(),
  /** A look after the account's subscriptions is asked for, and no import. */
  subscriptions: z.literal(true).optional(),
});

/** What entries of queue `mail-import` are done with. */
export interface ImportQueueContext {
  readonly inbox: InboxContext;
  readonly push: PushContext;
}

/**
 * Does what an entry of queue `mail-import` asks for. Throws for another form: the host then puts it on the poison
 * queue.
 */
export async function importFromQueue({ inbox, push }: ImportQueueContext, entry: unknown): Promise<void> {
  const { account, runId, folder, subscriptions } = schema.parse(entry);
  if (subscriptions) {
    await tendFromQueue(push, account);
    return;
  }
  await runImport(inbox, account, {
    ...(runId === undefined ? {} : { runId }),
    ...(folder === undefined ? {} : { folder }),
  });
}

/**
 * Records an import as failed whose entry of queue `mail-import` was given up. A look after subscriptions is queued again
 * by the timer. Throws where that fails.
 */
export async function handleGivenUpEntry(
  inbox: InboxContext,
  given: GivenUp,
  options: { readonly signal: AbortSignal },
): Promise<HandledGivenUp> {
  return await handleEntry(schema, given, ({ account, runId, subscriptions }) =>
    subscriptions ? { result: 'left', account } : failGivenUpRun(inbox, { account, runId, given }, options),
  );
}
