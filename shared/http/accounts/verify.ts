import { readTrial } from '../../adapters/verify/trial.ts';
import { verifyAccount, withStoreSteps } from '../../adapters/verify/verify.ts';
import { subscriptionSteps } from '../../inbox/push/verify.ts';
import type { Answer, Call } from '../call.ts';
import { readJsonBody } from '../json-body.ts';
import { mayWriteSecrets } from './may-write-secrets.ts';

/**
 * `POST /accounts/{account}/verify`: tries transport and store, stored or as the body describes them, and says how the
 * subscriptions of a store with push are.
 */
export async function handle({ param, request, services, signal }: Call): Promise<Answer> {
  const { accounts, secrets } = services;
  const name = param('account');
  const stored = (await accounts.fresh(name, { signal }))?.account;
  const trial = await readTrial(name, await readJsonBody(request, { optional: true }), {
    before: stored,
    hasSecret: async (secret) => (await secrets.expiry(secret, { signal }).catch(() => null)) !== undefined,
  });
  const account = trial.account ?? stored ?? (await accounts.get(name, { signal })).account;
  // Whoever describes the endpoint may send a secret there, if they may write it. What others stored stays as it is: a
  // verification does not confirm an endpoint that waits.
  const own = trial.account ? { mayWriteSecrets: () => mayWriteSecrets(request) } : {};
  const context = services.trial({ given: trial.secrets, ...own });
  try {
    const [verified, subscriptions] = await Promise.all([
      verifyAccount(context, account, { signal }),
      subscriptionSteps(services.push, account, { isStored: !trial.account, signal }),
    ]);
    return { jsonBody: withStoreSteps(verified, subscriptions) };
  } finally {
    await context.close();
  }
}
