import type { TokenCredential } from '@azure/identity';
import type { SecretClient } from '@azure/keyvault-secrets';
import { untilAborted } from '../platform/abort.ts';
import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import { storageStatus } from '../platform/storage.ts';
import { SecretMissing, type SecretStore } from './secret-store.ts';

/** A burst of connections asks once; whoever connects later than this uses what Key Vault has then. */
const burstMs = 5_000;

/** How long the end of a secret is believed: `status` may be asked often. */
const endMs = 60_000;

/** While Key Vault cannot be reached, the last value is used for this long: mail need not wait for it. */
const awayMs = 15 * 60_000;

/** Longest answer of Key Vault. */
const answerMs = 10_000;

/** Values kept at most; the one used longest ago goes first. */
const cacheSize = 500;

/** Azure's vault domains, public and national clouds (Microsoft: "Azure Key Vault DNS suffixes"). */
const vaultDomains = ['.vault.azure.net', '.vault.azure.cn', '.vault.usgovcloudapi.net', '.vault.microsoftazure.de'];

interface Known {
  readonly value: string;
  readonly expiresOn: Date | undefined;
  readonly readAt: number;
}

export interface KeyVaultOptions {
  readonly uri: string;
  readonly credential: () => Promise<TokenCredential>;
  readonly clock: Clock;
}

/**
 * Secrets in Azure Key Vault. A rotated secret is used by the next connection, whichever process or person wrote it: a
 * value is read for each, but for bursts and for times when Key Vault is away.
 */
export function keyVaultSecrets({ uri, credential, clock }: KeyVaultOptions): SecretStore {
  let client: Promise<SecretClient> | undefined;
  const cache = new Map<string, Known>();
  const asking = new Map<string, Promise<Known>>();

  async function connect(): Promise<SecretClient> {
    const [{ SecretClient }, token] = await Promise.all([import('@azure/keyvault-secrets'), credential()]);
    const host = new URL(uri).hostname;
    return new SecretClient(uri, token, {
      // The SDK accepts a token challenge only from Azure's own vault domains (design section 7).
      disableChallengeResourceVerification: !vaultDomains.some((domain) => host.endsWith(domain)),
      // A connection waits for this answer; the queue and the next run try again for longer.
      retryOptions: { maxRetries: 2, retryDelayInMs: 200 },
    });
  }

  function vault(): Promise<SecretClient> {
    client ??= connect().catch((error) => {
      client = undefined;
      throw error;
    });
    return client;
  }

  function remember(name: string, known: Known): void {
    cache.delete(name);
    cache.set(name, known);
    const oldest = cache.keys().next();
    if (cache.size > cacheSize && !oldest.done) {
      cache.delete(oldest.value);
    }
  }

  /** Asks Key Vault now. Where it is away, the last value serves, for a while. */
  async function ask(name: string): Promise<Known> {
    try {
      const secret = await (await vault()).getSecret(name, { abortSignal: AbortSignal.timeout(answerMs) });
      const known = { value: secret.value ?? '', expiresOn: secret.properties.expiresOn, readAt: clock.now() };
      remember(name, known);
      return known;
    } catch (error) {
      const status = storageStatus(error);
      const last = cache.get(name);
      if (last && mayPass(status) && clock.now() - last.readAt < awayMs) {
        log.warn('secrets.vaultAway', { secret: name, error: errorText(error) });
        return last;
      }
      cache.delete(name);
      if (status === 404) {
        throw new SecretMissing(name, 'is not in Key Vault');
      }
      if (status === 403 && error instanceof Error && /SecretDisabled|disabled|expired/i.test(error.message)) {
        throw new SecretMissing(name, 'is disabled or past its end');
      }
      throw error;
    }
  }

  async function read(name: string, believeMs: number, signal: AbortSignal | undefined): Promise<Known> {
    const cached = cache.get(name);
    if (cached && Math.abs(clock.now() - cached.readAt) < believeMs) {
      return cached;
    }
    const answer = asking.get(name) ?? ask(name).finally(() => asking.delete(name));
    asking.set(name, answer);
    return await untilAborted(answer, signal);
  }

  return {
    async get(name, options = {}) {
      return (await read(name, burstMs, options.signal)).value;
    },
    async set(name, value, options = {}) {
      const stored = await (await vault()).setSecret(name, value, {
        ...(options.expiresAt ? { expiresOn: options.expiresAt } : {}),
        ...(options.signal ? { abortSignal: options.signal } : {}),
      });
      // A read under way may still bring the old value.
      await asking.get(name)?.catch(() => undefined);
      cache.delete(name);
      return {
        name,
        version: stored.properties.version ?? '',
        expiresAt: stored.properties.expiresOn?.toISOString() ?? null,
      };
    },
    async expiry(name, options = {}) {
      try {
        return (await read(name, endMs, options.signal)).expiresOn ?? null;
      } catch (error) {
        if (error instanceof SecretMissing) {
          return undefined;
        }
        throw error;
      }
    },
    async *ends(options = {}) {
      const pages = (await vault()).listPropertiesOfSecrets(options.signal ? { abortSignal: options.signal } : {});
      for await (const { name, enabled, expiresOn } of pages) {
        if (enabled !== false && expiresOn) {
          yield { name, expiresAt: expiresOn };
        }
      }
    },
  };
}

/** Not reached, busy or broken: nothing that is said about the secret. */
function mayPass(status: number | undefined): boolean {
  return status === undefined || status === 429 || status >= 500;
}
