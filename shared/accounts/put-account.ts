import type { SecretStore } from '../secrets/secret-store.ts';
import type { AccountStore, Precondition, SavedAccount } from './account-store.ts';
import type { PropertyReport } from './properties/properties-form.ts';

export interface PutContext {
  readonly accounts: AccountStore;
  readonly secrets: SecretStore;
}

export interface PutAccount extends SavedAccount {
  /** Of a body in properties: what became of each. */
  readonly report?: readonly PropertyReport[];
}

/**
 * Saves the account that a body of `PUT /accounts/{account}` describes, in either form: its fields, or Jakarta-Mail
 * properties. Secrets found in properties are in Key Vault before the account is saved. Throws HttpProblem 400 with
 * every mistake, and 412 where the precondition does not hold; then nothing is stored, in Key Vault neither.
 */
export async function putAccount(
  { accounts, secrets }: PutContext,
  name: string,
  body: unknown,
  precondition: Precondition,
  options: { readonly signal: AbortSignal },
): Promise<PutAccount> {
  const { accountFromProperties, isPropertiesForm } = await import('./properties/account-from-properties.ts');
  if (!isPropertiesForm(body)) return await accounts.save(name, body, precondition, options);
  // Where Key Vault cannot be asked, the secret is named all the same, and the warnings say so.
  const hasSecret = async (secret: string) => (await secrets.expiry(secret, options).catch(() => null)) !== undefined;
  const { input, report, notes, secrets: found } = await accountFromProperties(name, body, { hasSecret });
  await accounts.check(name, precondition, options);
  for (const { name: secret, value } of found) await secrets.set(secret, value, options);
  const saved = await accounts.save(name, input, precondition, options);
  return { ...saved, warnings: [...notes, ...saved.warnings], report };
}
