import { putAccount } from '../../accounts/put-account.ts';
import type { Answer, Call } from '../call.ts';
import { saveAnswer } from './save.ts';

/** `PUT /accounts/{account}`: 201 or 200 with the account as it will be used, warnings and, of properties, a report. */
export async function handle(call: Call): Promise<Answer> {
  return await saveAnswer(call, ({ name, body, precondition, options }) =>
    putAccount(call.services, { name, body }, precondition, options),
  );
}
