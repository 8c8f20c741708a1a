import { z } from 'zod';
import { toIso } from '../../platform/clock.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import { type Delivery, givenUpDeliveries } from '../deliveries/delivery-rows.ts';
import { readTarget, stateOfFacts, type TargetFacts } from '../deliveries/target-facts.ts';
import { readState, type TargetState } from '../deliveries/target-state.ts';
import type { WebhookAccount, WebhookContext } from './context.ts';
import { hintOf } from './hints.ts';

/** Events that were given up, as far as they are shown one by one. */
const shownGivenUp = 20;

const conditionSchema = z.enum(['none', 'ok', 'failing', 'stopped']).meta({
  description:
    '`none`: the account has no webhook. `failing`: the last attempt failed. `stopped`: the receiver answered 410; nothing is sent until the account is saved again.',
});
export type WebhookCondition = z.output<typeof conditionSchema>;

/** What came back; `status` is absent where no answer came. */
const answerFields = { status: z.int().optional(), code: z.string().optional() };

const failureSchema = z.object({
  at: instantSchema,
  id: z.string().meta({ description: 'Of the event.' }),
  type: z.string(),
  attempt: z.int(),
  ...answerFields,
  hint: z.string().optional(),
});

const givenUpSchema = z.object({
  id: z.string(),
  type: z.string(),
  time: instantSchema.meta({ description: 'When it happened.' }),
  givenUpAt: instantSchema,
  attempts: z.int(),
  ...answerFields,
});
type GivenUpView = View<typeof givenUpSchema>;

/** How an account's webhook is doing, in short. */
export const webhookSummarySchema = z.object({
  state: conditionSchema,
  waiting: z.int().meta({ description: 'Events that wait to be delivered.' }),
  nextAttemptAt: instantSchema.nullable(),
  lastSuccess: instantSchema.nullable(),
  failingSince: instantSchema.nullable(),
  givenUp: z.int().meta({ description: 'Events that were given up within 30 days.' }),
});
export type WebhookSummary = View<typeof webhookSummarySchema>;

/** What `GET /accounts/{account}/webhook` answers. */
export const webhookViewSchema = z.object({
  account: z.string(),
  url: z.string().nullable(),
  events: z.array(z.string()),
  ...webhookSummarySchema.shape,
  lastFailures: z.array(failureSchema).meta({ description: 'Attempts that failed, the last one first.' }),
  lastGivenUp: z
    .array(givenUpSchema)
    .meta({ description: 'Events that were given up, the last one first; a replay sends them again.' }),
});
export type WebhookView = View<typeof webhookViewSchema>;

interface Options {
  readonly signal: AbortSignal;
}

/** What `status` has of a webhook. `facts`: what its rows say, where that is known; else they are read. */
export async function webhookSummary(
  context: WebhookContext,
  name: string,
  account: WebhookAccount,
  options: Options & { readonly facts?: TargetFacts },
): Promise<WebhookSummary> {
  const facts = options.facts ?? (await readTarget(context, name, options));
  const { waiting, givenUp, next } = facts;
  const now = context.clock.now();
  const state = stateOfFacts(facts, account.version, now);
  const sends = account.webhook !== null && state.stoppedAt === 0 && next !== undefined;
  return {
    state: account.webhook === null ? 'none' : conditionOf(state),
    waiting,
    nextAttemptAt: sends ? toIso(Math.max(next, state.pauseUntil, now)) : null,
    lastSuccess: state.lastSuccessAt === 0 ? null : toIso(state.lastSuccessAt),
    failingSince: state.failing === 0 ? null : toIso(state.failingSince),
    givenUp,
  };
}

/** What `GET /accounts/{account}/webhook` answers. */
export async function webhookView(
  context: WebhookContext,
  name: string,
  account: WebhookAccount,
  options: Options,
): Promise<WebhookView> {
  const [summary, { state }, lost] = await Promise.all([
    webhookSummary(context, name, account, options),
    readState(context, name, account.version, options),
    givenUpDeliveries(context, name, { ...options, top: shownGivenUp }),
  ]);
  const lastFailures = state.failures.map(({ at, status, code, ...failure }) => {
    const hint = hintOf({ status, code });
    return {
      at: toIso(at),
      ...failure,
      ...(status === undefined ? {} : { status }),
      ...(code === undefined ? {} : { code }),
      ...(hint === undefined ? {} : { hint }),
    };
  });
  return {
    account: name,
    url: account.webhook?.url ?? null,
    events: account.webhook?.events ?? [],
    ...summary,
    lastFailures,
    lastGivenUp: lost.map(givenUpView),
  };
}

function conditionOf({ stoppedAt, failing }: TargetState): WebhookCondition {
  if (stoppedAt > 0) return 'stopped';
  return failing > 0 ? 'failing' : 'ok';
}

function givenUpView({ event, givenUpAt = 0, attempts, lastStatus, lastCode }: Delivery): GivenUpView {
  return {
    id: event.id,
    type: event.type,
    time: event.time,
    givenUpAt: toIso(givenUpAt),
    attempts,
    ...(lastStatus === undefined ? {} : { status: lastStatus }),
    ...(lastCode === undefined ? {} : { code: lastCode }),
  };
}
