import { z } from 'zod';
import { errorText, log } from '../platform/log.ts';
import { Refusal } from '../platform/refusal.ts';
import type { View } from '../platform/view.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { AccountStore, Precondition } from './account-store.ts';
import { secretsOf } from './destinations.ts';

/** A secret of a deleted account. */
export const leftSecretSchema = z.object({
  name: z.string(),
  deleted: z.boolean().meta({ description: 'It can be recovered in Key Vault for as long as the vault says.' }),
  reason: z.string().optional().meta({ description: 'Why it stays, where it was to be deleted.' }),
});
export type LeftSecret = View<typeof leftSecretSchema>;

/**
 * Deletes an account and keeps what it imported. With `secrets` its secrets in Key Vault are deleted as well. Answers
 * every secret that it had there. Throws what deleting the account throws.
 */
export async function deleteAccount(
  { accounts, secrets, bound }: { accounts: AccountStore; secrets: SecretStore; bound: BoundSecrets },
  name: string,
  precondition: Precondition,
  options: {
    readonly signal: AbortSignal;
    readonly secrets: boolean;
    /** Done when the account is gone and its secrets are still there. */
    readonly withSecrets: () => Promise<unknown>;
  },
): Promise<readonly LeftSecret[]> {
  const { signal } = options;
  const stored = await accounts.get(name, { signal });
  const names = await secretNames(
    { secrets, bound },
    name,
    secretsOf(stored.account).map((each) => each.name),
    signal,
  );
  await accounts.delete(name, precondition, { signal });
  await options.withSecrets();
  const left: LeftSecret[] = [];
  for (const secret of names) {
    left.push(options.secrets ? await remove(bound, name, secret, signal) : { name: secret, deleted: false });
  }
  return left;
}

/** Secrets in Key Vault that are bound to the account, or that it alone names; those it names where Key Vault is away. */
async function secretNames(
  { secrets, bound }: { secrets: SecretStore; bound: BoundSecrets },
  account: string,
  named: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    const names = new Map((await bound.namesOf(account, { signal })).map((each) => [each.toLowerCase(), each]));
    for (const name of named) {
      const owner = await bound.ownerOf(name, { signal });
      const mine = owner === undefined || owner.account === account;
      if (mine && (await secrets.expiry(name, { signal })) !== undefined && !names.has(name.toLowerCase()))
        names.set(name.toLowerCase(), name);
    }
    return [...names.values()].sort();
  } catch (error) {
    signal.throwIfAborted();
    log.warn('account.secretsUnknown', { account, error: errorText(error) });
    return [...new Set(named)];
  }
}

async function remove(bound: BoundSecrets, account: string, name: string, signal: AbortSignal): Promise<LeftSecret> {
  try {
    await bound.remove(name, account, { signal });
    return { name, deleted: true };
  } catch (error) {
    if (error instanceof Refusal) return { name, deleted: false, reason: error.message };
    return { name, deleted: false, reason: 'Key Vault could not be asked. See the log.' };
  }
}
