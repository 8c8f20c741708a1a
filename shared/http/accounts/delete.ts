import { deleteAccount } from '../../accounts/delete-account.ts';
import { endSubscriptions } from '../../inbox/push/tend.ts';
import { errorText, log } from '../../platform/log.ts';
import type { Answer, Call } from '../call.ts';
import { checkPreconditions } from '../conditional.ts';
import type { DeletedAccount } from './answers.ts';
import { accountQuery } from './query.ts';

/** The caller waits no longer than this for the end of subscriptions; the timer ends what is left, in ms. */
const endingMs = 10_000;

/** `DELETE /accounts/{account}`: 204, or 200 with the names of its secrets that stay in Key Vault. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const { secrets } = accountQuery.delete(request.query);
  const name = param('account');
  const precondition = (etag: string | undefined) => checkPreconditions(request.headers, etag);
  const withSecrets = () =>
    endSubscriptions(services.push, name, { signal: AbortSignal.any([signal, AbortSignal.timeout(endingMs)]) }).catch(
      (error: unknown) => log.warn('push.notEnded', { account: name, error: errorText(error) }),
    );
  const left = await deleteAccount(services, name, precondition, { signal, secrets, withSecrets });
  await services.outbox.health.forget(name, ['transport', 'store', 'originals']);
  const answer: DeletedAccount = { account: name, secrets: left };
  return left.length === 0 ? { status: 204 } : { status: 200, jsonBody: answer };
}
