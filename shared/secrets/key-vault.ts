import type { TokenCredential } from '@azure/identity';
import type { SecretClient } from '@azure/keyvault-secrets';
import { untilAborted } from '../platform/abort.ts';
import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import { LruMap } from '../platform/lru-map.ts';
import { Refusal } from '../platform/refusal.ts';
import { storageStatus } from '../platform/storage.ts';
import { replacedSince } from './replaced-versions.ts';
import { SecretMissing, type SecretOptions, type SecretStore, type SecretTags } from './secret-store.ts';
import { explainWrite, isSoftDeleted } from './write-errors.ts';

/** A burst of connections asks once; whoever connects later than this uses what Key Vault has then. */
const burstMs = 5_000;

/** How long the end of a secret is believed: `status` may be asked often. */
const endMs = 60_000;

/** While Key Vault cannot be reached, the last value is used for this long: mail need not wait for it. */
const awayMs = 15 * 60_000;

/** Longest answer of Key Vault. */
const answerMs = 10_000;

/** Recovering a deleted secret takes Key Vault some seconds; its caller waits no longer than this. */
const recoveryMs = 60_000;
const recoveryPollMs = 1_000;

/** Values kept at most; the one used longest ago goes first. */
const cacheSize = 500;

/** Azure's vault domains, public and national clouds (Microsoft: "Azure Key Vault DNS suffixes"). */
const vaultDomains = ['.vault.azure.net', '.vault.azure.cn', '.vault.usgovcloudapi.net', '.vault.microsoftazure.de'];

interface Known {
  readonly value: string;
  readonly tags: SecretTags;
  readonly version: string;
  readonly createdOn: Date | undefined;
  readonly expiresOn: Date | undefined;
  readonly readAt: number;
}

/** Which vault, and how the app signs in to it. */
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
  const cache = new LruMap<string, Known>({ max: cacheSize });
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

  /** Asks Key Vault now. Where it is away, the last value serves, for a while. */
  async function ask(name: string): Promise<Known> {
    try {
      const secret = await (await vault()).getSecret(name, { abortSignal: AbortSignal.timeout(answerMs) });
      const { createdOn, expiresOn, tags = {}, version = '' } = secret.properties;
      const known = { value: secret.value ?? '', tags, version, createdOn, expiresOn, readAt: clock.now() };
      cache.set(name, known);
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

  async function read(given: string, believeMs: number, signal: AbortSignal | undefined): Promise<Known> {
    const name = given.toLowerCase();
    const cached = cache.get(name);
    if (cached && Math.abs(clock.now() - cached.readAt) < believeMs) {
      return cached;
    }
    const answer = asking.get(name) ?? ask(name).finally(() => asking.delete(name));
    asking.set(name, answer);
    return await untilAborted(answer, signal);
  }

  /** What was known of a secret is not believed any more. A read under way may still bring the old value. */
  async function forget(name: string): Promise<void> {
    const key = name.toLowerCase();
    await asking.get(key)?.catch(() => undefined);
    cache.delete(key);
  }

  /** Brings a soft-deleted secret back, so that its name can be written to. Throws Refusal. */
  async function recover(name: string, signal: AbortSignal | undefined): Promise<void> {
    const limit = AbortSignal.timeout(recoveryMs);
    const abortSignal = signal ? AbortSignal.any([signal, limit]) : limit;
    const client = await vault();
    try {
      const recovery = await client.beginRecoverDeletedSecret(name, { abortSignal, intervalInMs: recoveryPollMs });
      await recovery.pollUntilDone();
    } catch (error) {
      signal?.throwIfAborted();
      if (storageStatus(error) !== 403 && !limit.aborted) throw explainWrite(error, name, 'recover');
      const message = `A deleted secret has the name ${name}, and could not be recovered by the app. Recover or purge it in Key Vault, or take another name.`;
      throw new Refusal('conflict', message, { cause: error });
    }
    log.info('secrets.recovered', { secret: name });
  }

  const signalOf = (options: SecretOptions) => (options.signal ? { abortSignal: options.signal } : {});

  return {
    async read(name, options = {}) {
      const { value, tags } = await read(name, burstMs, options.signal);
      return { value, tags };
    },
    async get(name, options = {}) {
      return (await read(name, burstMs, options.signal)).value;
    },
    async recent(name, since, options = {}) {
      const current = await read(name, burstMs, options.signal);
      const { createdOn, version } = current;
      // What came before it was no longer current then.
      if (createdOn && createdOn.getTime() < since) return [current];
      return [current, ...(await replacedSince(await vault(), { name, version, since }, signalOf(options)))];
    },
    async set(name, value, options = {}) {
      const write = async () =>
        await (await vault()).setSecret(name, value, {
          ...(options.expiresAt ? { expiresOn: options.expiresAt } : {}),
          ...(options.tags ? { tags: { ...options.tags } } : {}),
          ...signalOf(options),
        });
      try {
        const stored = await write().catch(async (error) => {
          if (!isSoftDeleted(error)) throw error;
          await recover(name, options.signal);
          return await write();
        });
        return {
          name,
          version: stored.properties.version ?? '',
          expiresAt: stored.properties.expiresOn?.toISOString() ?? null,
        };
      } catch (error) {
        options.signal?.throwIfAborted();
        throw explainWrite(error, name, 'write');
      } finally {
        await forget(name);
      }
    },
    async tag(name, tags, options = {}) {
      const { version } = await read(name, burstMs, options.signal);
      try {
        await (await vault()).updateSecretProperties(name, version, { tags: { ...tags }, ...signalOf(options) });
        return true;
      } catch (error) {
        if (storageStatus(error) === 403) return false;
        throw error;
      } finally {
        await forget(name);
      }
    },
    async remove(name, options = {}) {
      try {
        // What comes after, until it shows among the deleted ones, need not be waited for.
        await (await vault()).beginDeleteSecret(name, signalOf(options));
        return true;
      } catch (error) {
        if (storageStatus(error) === 404) return false;
        options.signal?.throwIfAborted();
        throw explainWrite(error, name, 'delete');
      } finally {
        await forget(name);
      }
    },
    async deleted(name, options = {}) {
      try {
        const { properties } = await (await vault()).getDeletedSecret(name, signalOf(options));
        return { name: properties.name, expiresAt: properties.expiresOn ?? null, tags: properties.tags ?? {} };
      } catch (error) {
        const status = storageStatus(error);
        if (status === 404 || status === 403) return undefined;
        throw error;
      }
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
    async *list(options = {}) {
      for await (const found of (await vault()).listPropertiesOfSecrets(signalOf(options))) {
        if (found.enabled !== false) {
          yield { name: found.name, expiresAt: found.expiresOn ?? null, tags: found.tags ?? {} };
        }
      }
    },
    async *withExpiry(options = {}) {
      for await (const { name, expiresAt } of this.list(options)) {
        if (expiresAt) yield { name, expiresAt };
      }
    },
  };
}

/** Not reached, busy or broken: nothing that is said about the secret. */
function mayPass(status: number | undefined): boolean {
  return status === undefined || status === 429 || status >= 500;
}
