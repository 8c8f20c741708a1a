import type { PutAccount } from '../../accounts/put-account.ts';
import type { Answer, Call } from '../call.ts';
import { checkPreconditions } from '../conditional.ts';
import { readJsonBody } from '../json-body.ts';
import { mayWriteSecrets } from './may-write-secrets.ts';
import { accountQuery } from './query.ts';
import { savedAnswer } from './saved-answer.ts';

/** What the ways to change an account have in common. */
export interface Saving {
  readonly name: string;
  readonly body: unknown;
  /** Throws where `If-Match` or `If-None-Match` does not hold. */
  readonly precondition: (etag: string | undefined) => void;
  readonly options: {
    readonly signal: AbortSignal;
    readonly dryRun: boolean;
    readonly mayWriteSecrets: () => Promise<boolean>;
  };
}

/** Answers `PUT` and `PATCH` of an account; `save` is the way in which the body changes it. */
export async function saveAnswer(
  { request, param, services, signal }: Call,
  save: (saving: Saving) => Promise<PutAccount>,
): Promise<Answer> {
  const name = param('account');
  const { dryRun } = accountQuery.put(request.query);
  // Only whether mail may leave otherwise now: what cannot be read is no reason to refuse the new account.
  const before = (await services.accounts.find(name, { signal }).catch(() => undefined))?.account;
  const saved = await save({
    name,
    body: await readJsonBody(request),
    precondition: (etag) => checkPreconditions(request.headers, etag),
    options: { signal, dryRun, mayWriteSecrets: () => mayWriteSecrets(request) },
  });
  return await savedAnswer(saved, services, { dryRun, before, signal });
}
