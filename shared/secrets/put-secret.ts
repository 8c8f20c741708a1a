import { z } from 'zod';
import type { AccountStore } from '../accounts/account-store.ts';
import { accountNameSchema, secretNameSchema } from '../accounts/model.ts';
import type { Mistake } from '../http/problem.ts';
import { checkFields } from '../http/validation.ts';
import type { SecretReceipt, SecretStore } from './secret-store.ts';

/** Key Vault keeps values of at most 25 KB (Microsoft: "Azure Key Vault service limits"). */
const maxValue = 25_000;

export const secretInputSchema = z.strictObject({
  value: z.string().min(1, 'must not be empty').max(maxValue, `must be at most ${maxValue} characters`),
  expiresAt: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' }).nullish(),
});

export interface PutSecretContext {
  readonly secrets: SecretStore;
  readonly accounts: Pick<AccountStore, 'ownerOf'>;
}

/** Writes an account's secret. Throws HttpProblem 400, also for a name that is not the account's own. */
export async function putSecret(
  { secrets, accounts }: PutSecretContext,
  account: string,
  name: string,
  input: unknown,
  options: { readonly signal: AbortSignal },
): Promise<SecretReceipt> {
  const mistakes = nameMistakes(account, name);
  const owner = mistakes.length > 0 ? undefined : await accounts.ownerOf(name, account, options);
  const { value, expiresAt } = checkFields(secretInputSchema, input).complete(
    owner === undefined ? mistakes : [{ pointer: '', detail: `it is a secret of the account ${owner}` }],
  );
  return await secrets.set(name, value, { ...options, ...(expiresAt ? { expiresAt: new Date(expiresAt) } : {}) });
}

/** Whoever may edit one account must not reach another's secrets (design section 2). */
function nameMistakes(account: string, name: string): readonly Mistake[] {
  if (!accountNameSchema.safeParse(account).success) {
    return [{ pointer: '', detail: 'the account in the path is not an account name' }];
  }
  const prefix = `${account}-`;
  return secretNameSchema.safeParse(name).success && name.startsWith(prefix) && name.length > prefix.length
    ? []
    : [{ pointer: '', detail: `the secret's name must start with "${prefix}" and hold letters, digits and dashes` }];
}
