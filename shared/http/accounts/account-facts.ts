import { z } from 'zod';
import { nothing } from '../../accounts/account-summaries.ts';
import { readTarget, type TargetFacts, targetFactsSchema } from '../../events/deliveries/target-facts.ts';
import { type InboxFacts, type InboxRead, inboxFactsSchema, noInboxFacts, readInbox } from '../../inbox/inbox-facts.ts';
import { type FailureFacts, failureFactsSchema, readFailures } from '../../outbox/status.ts';
import type { Services } from '../services.ts';

/** Failures within a day that a summary keeps at most: of an account with more its rows are read. */
const maxRecent = 200;

/** What the rows of an account say of it, in short. */
export interface AccountFacts {
  readonly inbox: InboxFacts;
  readonly failures: FailureFacts;
  readonly target: TargetFacts;
}

/** The same with row `turn`, which no summary has. */
export type ReadAccount = Omit<AccountFacts, 'inbox'> & { readonly inbox: InboxRead };

/** A version that adds to the facts changes `form`: what another one has kept is read anew. */
const summarySchema = z.object({
  form: z.literal(1),
  inbox: inboxFactsSchema,
  failures: failureFactsSchema,
  target: targetFactsSchema,
});

/** Reads what an account's rows say: some six readings. Throws storage's trouble. */
export async function readAccount(
  { inbox, outbox, webhooks }: Pick<Services, 'inbox' | 'outbox' | 'webhooks'>,
  name: string,
  options: { readonly signal: AbortSignal },
): Promise<ReadAccount> {
  const [imports, failures, target] = await Promise.all([
    readInbox(inbox, name, options),
    readFailures(outbox, name, options),
    readTarget(webhooks, name, options),
  ]);
  return { inbox: imports, failures, target };
}

/** What of it is kept; undefined: it is too much. */
export function summaryOf({ inbox, failures, target }: ReadAccount): z.input<typeof summarySchema> | undefined {
  return failures.recent.length > maxRecent ? undefined : { form: 1, inbox: inbox.facts, failures, target };
}

/** What a summary says; undefined: its account's rows must be read. */
export function factsOf(summary: unknown): AccountFacts | undefined {
  if (summary === nothing) {
    return { inbox: noInboxFacts(), failures: { recent: [] }, target: { waiting: 0, givenUp: 0 } };
  }
  return summarySchema.safeParse(summary).data;
}
