import type { MailStore } from '../adapters/store.ts';
import type { MailTransport } from '../adapters/transport.ts';
import type { Step } from '../adapters/verify/steps.ts';
import type { Account } from './rules.ts';

/** One side of an account, tried step by step. */
export interface VerifiedSide {
  readonly protocol: string;
  /** `failed` where a step failed. What is unknown stands in the steps. */
  readonly status: 'ok' | 'failed';
  readonly steps: readonly Step[];
}

/** What `POST /accounts/{account}/verify` answers. */
export interface Verification {
  readonly account: string;
  readonly status: 'ok' | 'failed';
  /** Null: the account has none. */
  readonly transport: VerifiedSide | null;
  readonly store: VerifiedSide | null;
  /** With `saveToSent`: where copies go, in the store's \Sent folder. */
  readonly sentCopies?: VerifiedSide;
}

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
  const { markRead, delete: rule, moveTo } = account.import;
  const savesCopies =
    account.transport !== undefined && 'saveToSent' in account.transport && account.transport.saveToSent;
  const [transport, store, sentCopies] = await Promise.all([
    context.transport(account).then((each) => side(each, () => each?.verify({ signal }))),
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
    transport,
    store,
    ...(sentCopies ? { sentCopies } : {}),
  };
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
