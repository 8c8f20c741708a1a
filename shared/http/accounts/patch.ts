import { patchAccount } from '../../accounts/patch-account.ts';
import type { Answer, Call } from '../call.ts';
import { saveAnswer } from './save.ts';

/** `PATCH /accounts/{account}`: a JSON merge patch (RFC 7396), answered like a `PUT`. */
export async function handle(call: Call): Promise<Answer> {
  return await saveAnswer(call, ({ name, body, precondition, options }) =>
    patchAccount(call.services.accounts, { name, patch: body }, precondition, options),
  );
}
