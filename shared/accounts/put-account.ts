import { Refusal } from '../platform/refusal.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { AccountStore, Precondition, SavedAccount, SaveOptions } from './account-store.ts';
import { changeAccount } from './change-account.ts';
import type { PropertyReport } from './properties/properties-form.ts';

/** What a `PUT` needs. */
export interface PutContext {
  readonly accounts: AccountStore;
  readonly secrets: SecretStore;
  readonly bound: BoundSecrets;
}

/** The account of the path, and what it is to be. */
export interface PutTarget {
  readonly name: string;
  readonly body: unknown;
}

/** The answer to a `PUT`. */
export interface PutAccount extends SavedAccount {
  /** Of a body in properties: what became of each, and what was kept from the account as it was. */
  readonly report?: readonly PropertyReport[];
}

type Options = Omit<SaveOptions, 'written'>;

/**
 * Saves the account that a body of `PUT /accounts/{account}` describes, in either form: its fields, or Jakarta-Mail
 * properties. Secrets found in properties are in Key Vault before the account is saved, and after every check. Throws
 * Refusal `invalid` with every mistake, `changed` where the precondition does not hold; then nothing is stored, in Key Vault
 * neither. With `dryRun` nothing is stored in any case.
 */
export async function putAccount(
  context: PutContext,
  { name, body }: PutTarget,
  precondition: Precondition,
  options: Options,
): Promise<PutAccount> {
  const { isPropertiesForm } = await import('./properties/account-from-properties.ts');
  if (!isPropertiesForm(body)) return await context.accounts.save(name, body, precondition, options);
  return await changeAccount(context.accounts, name, precondition, {
    signal: options.signal,
    change: async (base, pinned) =>
      await putProperties(context, { name, body, before: base?.account }, pinned, options),
  });
}

async function putProperties(
  { accounts, secrets, bound }: PutContext,
  { name, body, before }: PutTarget & { readonly before: SavedAccount['account'] | undefined },
  precondition: Precondition,
  options: Options,
): Promise<PutAccount> {
  const [{ accountFromProperties }, { refusedReport }, { withWrittenSecrets }] = await Promise.all([
    import('./properties/account-from-properties.ts'),
    import('./properties/refused-report.ts'),
    import('./write-secrets.ts'),
  ]);
  const { signal } = options;
  // Where Key Vault cannot be asked, the secret is named all the same, and the warnings say so.
  const hasSecret = async (secret: string) =>
    (await secrets.expiry(secret, { signal }).catch(() => null)) !== undefined;
  const { input, report, notes, secrets: found } = await accountFromProperties(name, body, { hasSecret, before });
  const saving = { ...options, written: found.map((each) => each.name) };
  try {
    const checked = await accounts.save(name, input, precondition, { ...saving, dryRun: true });
    const saved = options.dryRun
      ? checked
      : await withWrittenSecrets({ secrets, bound }, checked.account, found, {
          signal,
          save: () => accounts.save(name, input, precondition, saving),
        });
    return { ...saved, warnings: [...notes, ...saved.warnings], report };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { reason, message, mistakes, details, retryAfterMs } = error;
    throw new Refusal(reason, message, {
      ...(mistakes ? { mistakes } : {}),
      details: { ...details, report: refusedReport(report, found) },
      retryAfterMs,
      cause: error,
    });
  }
}
