import { z } from 'zod';
import { accountNameSchema, secretNameSchema } from '../accounts/model.ts';
import { badInput } from '../http/problem.ts';
import { parseInput } from '../http/validation.ts';
import type { SecretOptions, SecretReceipt, SecretStore } from './secret-store.ts';

/** Key Vault keeps values of at most 25 KB (Microsoft: "Azure Key Vault service limits"). */
const maxValue = 25_000;

export const secretInputSchema = z.strictObject({
  value: z.string().min(1, 'must not be empty').max(maxValue, `must be at most ${maxValue} characters`),
  expiresAt: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' }).nullish(),
});

/** Writes an account's secret. Throws HttpProblem 400 for a name that is not the account's own. */
export async function putSecret(
  secrets: SecretStore,
  account: string,
  name: string,
  input: unknown,
  options: SecretOptions,
): Promise<SecretReceipt> {
  const { value, expiresAt } = parseInput(secretInputSchema, input);
  if (!accountNameSchema.safeParse(account).success) {
    throw badInput([{ pointer: '', detail: 'the account in the path is not an account name' }]);
  }
  // Whoever may edit one account must not reach another's secrets (design section 2).
  if (
    !secretNameSchema.safeParse(name).success ||
    !name.startsWith(`${account}-`) ||
    name.length === account.length + 1
  ) {
    throw badInput([
      { pointer: '', detail: `the secret's name must start with "${account}-" and hold letters, digits and dashes` },
    ]);
  }
  return await secrets.set(name, value, { ...options, ...(expiresAt ? { expiresAt: new Date(expiresAt) } : {}) });
}
