import { errorText, log } from '../platform/log.ts';
import { badInput, type Mistake } from '../platform/refusal.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { type NamedSecret, secretsOf } from './destinations.ts';
import type { Account } from './rules.ts';

/** Where secrets are, and whose they are. */
export interface NamedSecretsContext {
  readonly secrets: SecretStore;
  readonly bound: BoundSecrets;
}

/** A secret that an account names, and whether it is in Key Vault: undefined where that could not be found out. */
export type CheckedSecret = NamedSecret & { readonly exists: boolean | undefined };

/**
 * Every secret that the account names, and whether it exists. `written`: names of those that are written with the change.
 * Throws Refusal `invalid` for secrets of another account, and for those used in two ways.
 */
export async function checkNamedSecrets(
  account: Account,
  written: readonly string[],
  { secrets, bound }: NamedSecretsContext,
  signal: AbortSignal,
): Promise<readonly CheckedSecret[]> {
  const renewed = new Set(written.map((name) => name.toLowerCase()));
  const named = secretsOf(account);
  const mistakes: Mistake[] = [];
  const checked: CheckedSecret[] = [];
  for (const each of named) {
    const { pointer, name, kind, destination } = each;
    const other = named.find((one) => one.destination.secret === destination.secret && one.kind !== kind);
    if (other) mistakes.push({ pointer, detail: `is named as a secret of another kind at ${other.pointer}` });
    try {
      const owner = await bound.ownerOf(name, { signal });
      const use = { account: account.name, kind };
      const objection = await bound.objection(name, use, { signal });
      if (objection !== undefined && !(owner?.account === account.name && renewed.has(destination.secret)))
        mistakes.push({ pointer, detail: objection });
      checked.push({ ...each, exists: (await secrets.expiry(name, { signal })) !== undefined });
    } catch {
      signal.throwIfAborted();
      checked.push({ ...each, exists: undefined });
    }
  }
  if (mistakes.length > 0) throw badInput(mistakes);
  return checked;
}

/** Binds the secrets that exist to the account, unless another account had them first: then reading them fails. */
export async function claimSecrets(
  account: Account,
  named: readonly CheckedSecret[],
  { bound }: NamedSecretsContext,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, kind, exists } of named) {
    if (exists !== true) continue;
    try {
      await bound.claim(name, { account: account.name, kind }, { signal });
    } catch (error) {
      signal.throwIfAborted();
      log.warn('account.secretNotBound', { account: account.name, secret: name, error: errorText(error) });
    }
  }
}

/** Warnings of secrets that do not exist yet: they may be written later. `written`: names in lower case. */
export function missingWarnings(named: readonly CheckedSecret[], written: ReadonlySet<string>): readonly Mistake[] {
  return named.flatMap(({ pointer, name, exists }) => {
    if (exists === true || written.has(name.toLowerCase())) return [];
    const detail =
      exists === false ? 'the secret is not in Key Vault yet' : 'Key Vault could not be asked for the secret';
    return [{ pointer, detail }];
  });
}
