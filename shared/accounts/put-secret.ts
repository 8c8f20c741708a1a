import { z } from 'zod';
import { badInput, type Mistake } from '../platform/refusal.ts';
import { checkFields } from '../platform/validation.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import type { SecretReceipt } from '../secrets/secret-store.ts';
import type { AccountStore } from './account-store.ts';
import { secretsOf } from './destinations.ts';
import { accountNameSchema, secretNameSchema } from './model.ts';
import { isSecretNameOf } from './rules.ts';

/** Key Vault keeps values of at most 25 KB (Microsoft: "Azure Key Vault service limits"). */
const maxSecretValue = 25_000;

/** A secret's value as callers give it. */
export const secretValueSchema = z
  .string()
  .min(1, 'must not be empty')
  .max(maxSecretValue, `must be at most ${maxSecretValue} characters`);

/** The body of `PUT /accounts/{account}/secrets/{name}`. */
export const secretInputSchema = z.strictObject({
  value: secretValueSchema,
  expiresAt: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' }).nullish(),
});

/** What writing a secret needs. */
export interface PutSecretContext {
  readonly bound: BoundSecrets;
  readonly accounts: AccountStore;
}

/** The secret of an account that is to be written. */
export interface SecretTarget {
  readonly account: string;
  readonly name: string;
}

/**
 * Writes an account's secret, bound to the account and to the use that it makes of it. From then on the secret may be
 * sent to the endpoints that name it. The account need not be there yet: the secret is then bound to its name, and may
 * be sent to the first endpoint that names it. Throws Refusal `invalid`, also for a name that is not the account's own,
 * and others where Key Vault does not take it.
 */
export async function putSecret(
  { bound, accounts }: PutSecretContext,
  { account: name, name: secret }: SecretTarget,
  input: unknown,
  options: { readonly signal: AbortSignal },
): Promise<SecretReceipt> {
  const { value, expiresAt } = checkFields(secretInputSchema, input).complete(nameMistakes(name, secret));
  const stored = await accounts.fresh(name, options);
  const owner = await bound.ownerOf(secret, options);
  if (owner && owner.account !== name)
    throw badInput([{ pointer: '', detail: `it is a secret of the account ${owner.account}` }]);
  const use = (stored ? secretsOf(stored.account) : []).find(
    ({ destination }) => destination.secret === secret.toLowerCase(),
  );
  const receipt = await bound.write(
    secret,
    value,
    { account: name, ...(use ? { kind: use.kind } : {}) },
    { ...options, ...(expiresAt ? { expiresAt: new Date(expiresAt) } : {}) },
  );
  if (stored) await accounts.confirm(name, secret, options);
  return receipt;
}

/** Whoever may edit one account must not reach another's secrets (design section 2). */
function nameMistakes(account: string, name: string): readonly Mistake[] {
  if (!accountNameSchema.safeParse(account).success) {
    return [{ pointer: '', detail: 'the account in the path is not an account name' }];
  }
  return secretNameSchema.safeParse(name).success && isSecretNameOf(account, name)
    ? []
    : [
        {
          pointer: '',
          detail: `the secret's name must start with "${account}-" and hold letters, digits and dashes`,
        },
      ];
}
