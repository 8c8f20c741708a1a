import { z } from 'zod';
import { parseMailbox } from '../../accounts/address.ts';
import type { Account } from '../../accounts/rules.ts';
import type { View } from '../../platform/view.ts';
import type { MailStore } from '../store.ts';
import type { MailTransport } from '../transport.ts';
import { type Step, stepSchema } from './steps.ts';

/** One side of an account, tried step by step. */
const sideSchema = z.object({
  protocol: z.string(),
  status: z
    .enum(['ok', 'failed'])
    .meta({ description: '`failed` where a step failed. What is unknown stands in the steps.' }),
  steps: z.array(stepSchema),
});
export type VerifiedSide = View<typeof sideSchema>;

/** What `POST /accounts/{account}/verify` answers. */
export const verificationSchema = z
  .object({
    account: z.string(),
    status: z.enum(['ok', 'failed']),
    transport: sideSchema.nullable().meta({ description: 'Null: the account has none.' }),
    store: sideSchema.nullable().meta({ description: 'Null: the account has none.' }),
    enabled: z
      .literal(false)
      .optional()
      .meta({ description: 'Only of a disabled account: that it neither sends nor fetches.' }),
    hint: z.string().optional(),
    sentCopies: sideSchema
      .optional()
      .meta({ description: "With `saveToSent`: where copies go, in the store's \\Sent folder." }),
  })
  .meta({ id: 'Verification', description: 'Transport and store, tried step by step.' });
export type Verification = View<typeof verificationSchema>;

/** Makes what is tried; undefined where the account has none. */
export interface VerifyContext {
  transport(account: Account): Promise<MailTransport | undefined>;
  store(account: Account): Promise<MailStore | undefined>;
  /** What appends copies to the \Sent folder of the account's store. */
  sentCopies(account: Account): Promise<MailTransport | undefined>;
}

/** The caller waits for the answer; the platform ends a request at 230 s. */
const limitMs = 120_000;

/** Tries an account's transport and store, all at the same time; changes and sends nothing. */
export async function verifyAccount(
  context: VerifyContext,
  account: Account,
  options: { readonly signal: AbortSignal },
): Promise<Verification> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(limitMs)]);
  const sender = parseMailbox(account.sender ?? account.from).address;
  const { markRead, delete: rule, moveTo } = account.import;
  const savesCopies =
    account.transport !== undefined && 'saveToSent' in account.transport && account.transport.saveToSent;
  const [transport, store, sentCopies] = await Promise.all([
    context.transport(account).then((each) => side(each, () => each?.verify({ signal, sender }))),
    context.store(account).then((each) =>
      side(each, () =>
        each?.verify({
          signal,
          folders: account.store?.folders ?? [],
          ...(moveTo === null ? {} : { moveTo }),
          changes: markRead || rule !== 'never' || moveTo !== null,
        }),
      ),
    ),
    savesCopies ? context.sentCopies(account).then((each) => side(each, () => each?.verify({ signal }))) : null,
  ]);
  const failed = [transport, store, sentCopies].some((each) => each?.status === 'failed');
  return {
    account: account.name,
    status: failed ? 'failed' : 'ok',
    ...(account.enabled
      ? {}
      : { enabled: false, hint: 'The account is disabled: nothing is sent or fetched until enabled is true.' }),
    transport,
    store,
    ...(sentCopies ? { sentCopies } : {}),
  };
}

/** A verification with more steps of the store, if it was tried. */
export function withStoreSteps(verification: Verification, more: readonly Step[]): Verification {
  const { store } = verification;
  if (!store) return verification;
  const added = { ...store, steps: [...store.steps, ...more] };
  const failed = more.some(({ status }) => status === 'failed');
  return failed
    ? { ...verification, status: 'failed', store: { ...added, status: 'failed' } }
    : { ...verification, store: added };
}

async function side(
  end: { readonly protocol: string } | undefined,
  verify: () => Promise<readonly Step[]> | undefined,
): Promise<VerifiedSide | null> {
  const steps = await verify();
  if (!end || !steps) return null;
  const failed = steps.some((step) => step.status === 'failed');
  return { protocol: end.protocol, status: failed ? 'failed' : 'ok', steps };
}
