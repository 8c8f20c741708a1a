import { errorText, log } from '../platform/log.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import { type KeptSecret, SecretMissing, type SecretStore } from '../secrets/secret-store.ts';
import { secretsOf } from './destinations.ts';
import type { NewSecret } from './properties/new-secrets.ts';
import type { Account } from './rules.ts';

/** Where secrets are written, and whose they are. */
export interface WriteSecretsContext {
  readonly secrets: SecretStore;
  readonly bound: BoundSecrets;
}

interface Written {
  readonly name: string;
  /** Undefined if there was none. */
  readonly before: (KeptSecret & { readonly expiresAt: Date | null }) | undefined;
}

/**
 * Writes secrets of an account, then calls `save`. If one of them cannot be written, or `save` throws, the secrets are
 * restored and the error is thrown: a refused change leaves no secret behind.
 */
export async function withWrittenSecrets<T>(
  { secrets, bound }: WriteSecretsContext,
  account: Account,
  found: readonly NewSecret[],
  options: { readonly signal: AbortSignal; readonly save: () => Promise<T> },
): Promise<T> {
  const { signal } = options;
  const written: Written[] = [];
  try {
    for (const { name, value } of found) {
      const before = await currentOf(secrets, name, signal);
      const use = secretsOf(account).find(({ destination }) => destination.secret === name.toLowerCase());
      written.push({ name, before });
      await bound.write(name, value, { account: account.name, ...(use ? { kind: use.kind } : {}) }, { signal });
    }
    return await options.save();
  } catch (error) {
    for (const each of written) await restore({ secrets, bound }, account.name, each);
    throw error;
  }
}

async function currentOf(secrets: SecretStore, name: string, signal: AbortSignal): Promise<Written['before']> {
  try {
    const kept = await secrets.read(name, { signal });
    return { ...kept, expiresAt: (await secrets.expiry(name, { signal })) ?? null };
  } catch (error) {
    if (error instanceof SecretMissing) return undefined;
    throw error;
  }
}

/** Longest time to restore one secret, in ms. The caller's own time may be over. */
const restoreMs = 20_000;

/** Never throws: a failure is logged. */
async function restore(
  { secrets, bound }: WriteSecretsContext,
  account: string,
  { name, before }: Written,
): Promise<void> {
  const signal = AbortSignal.timeout(restoreMs);
  try {
    const now = await currentOf(secrets, name, signal);
    if (before === undefined) {
      if (now !== undefined) await bound.remove(name, account, { signal });
    } else if (now?.value !== before.value) {
      const { value, tags, expiresAt } = before;
      await secrets.set(name, value, { tags, signal, ...(expiresAt ? { expiresAt } : {}) });
    }
  } catch (error) {
    log.error('account.secretNotRestored', { account, secret: name, error: errorText(error) });
  }
}
