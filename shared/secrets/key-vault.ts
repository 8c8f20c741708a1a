import type { TokenCredential } from '@azure/identity';
import type { SecretClient } from '@azure/keyvault-secrets';
import type { Clock } from '../platform/clock.ts';
import { storageStatus } from '../platform/storage.ts';
import { SecretMissing, type SecretStore } from './secret-store.ts';

/** How long a value read is used without asking again: a rotated secret is in use everywhere after this. */
const cacheMs = 60_000;

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

/** Secrets in Azure Key Vault, with a small cache so that a busy account does not ask for every connection. */
export function keyVaultSecrets({ uri, credential, clock }: KeyVaultOptions): SecretStore {
  let client: Promise<SecretClient> | undefined;
  const cache = new Map<string, Known>();

  async function connect(): Promise<SecretClient> {
    const [{ SecretClient }, token] = await Promise.all([import('@azure/keyvault-secrets'), credential()]);
    const host = new URL(uri).hostname;
    return new SecretClient(uri, token, {
      // The SDK accepts a token challenge only from Azure's own vault domains (design section 7).
      disableChallengeResourceVerification: !vaultDomains.some((domain) => host.endsWith(domain)),
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

  async function read(name: string, signal: AbortSignal | undefined): Promise<Known> {
    const cached = cache.get(name);
    if (cached && clock.now() - cached.readAt < cacheMs) {
      return cached;
    }
    const secret = await (await vault())
      .getSecret(name, signal ? { abortSignal: signal } : {})
      .catch((error: unknown) => {
        cache.delete(name);
        const status = storageStatus(error);
        if (status === 404) {
          throw new SecretMissing(name, 'is not in Key Vault');
        }
        if (status === 403 && error instanceof Error && /SecretDisabled|disabled|expired/i.test(error.message)) {
          throw new SecretMissing(name, 'is disabled or past its end');
        }
        throw error;
      });
    const known = { value: secret.value ?? '', expiresOn: secret.properties.expiresOn, readAt: clock.now() };
    remember(name, known);
    return known;
  }

  return {
    async get(name, options = {}) {
      return (await read(name, options.signal)).value;
    },
    async set(name, value, options = {}) {
      const stored = await (await vault()).setSecret(name, value, {
        ...(options.expiresAt ? { expiresOn: options.expiresAt } : {}),
        ...(options.signal ? { abortSignal: options.signal } : {}),
      });
      cache.delete(name);
      return {
        name,
        version: stored.properties.version ?? '',
        expiresAt: stored.properties.expiresOn?.toISOString() ?? null,
      };
    },
    async expiry(name, options = {}) {
      try {
        return (await read(name, options.signal)).expiresOn ?? null;
      } catch (error) {
        if (error instanceof SecretMissing) {
          return undefined;
        }
        throw error;
      }
    },
  };
}
