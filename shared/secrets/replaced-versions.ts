import type { SecretClient, SecretProperties } from '@azure/keyvault-secrets';
import { errorText, log } from '../platform/log.ts';
import { type KeptSecret, maxRecent } from './secret-store.ts';

/** Versions looked at at most, of a secret that is written over and over; they come in pages of 25. */
const maxListed = 250;

interface Replaced {
  readonly name: string;
  /** The current version. */
  readonly version: string;
  /** Versions that were replaced at this instant (ms since the epoch) or later. */
  readonly since: number;
}

/**
 * Versions of a secret that are not the current one any more and were at `since`, the newest first. Those that are disabled
 * or cannot be read are left out.
 */
export async function replacedSince(
  client: SecretClient,
  { name, version, since }: Replaced,
  options: { readonly abortSignal?: AbortSignal },
): Promise<readonly KeptSecret[]> {
  const listed: SecretProperties[] = [];
  for await (const each of client.listPropertiesOfSecretVersions(name, options)) {
    listed.push(each);
    if (listed.length === maxListed) break;
  }
  const createdAt = ({ createdOn }: SecretProperties) => createdOn?.getTime() ?? 0;
  const newestFirst = listed
    .filter((each) => each.version !== version)
    // The vault lists versions in no order that it promises.
    .sort((one, other) => createdAt(other) - createdAt(one));
  const kept: KeptSecret[] = [];
  for (const [index, { version: old, enabled }] of newestFirst.entries()) {
    const next = newestFirst[index - 1];
    // The newest of them was replaced by the current one, whose own time is later than `since`.
    if ((next && createdAt(next) < since) || kept.length === maxRecent - 1) break;
    if (old === undefined || enabled === false) continue;
    try {
      const secret = await client.getSecret(name, { ...options, version: old });
      kept.push({ value: secret.value ?? '', tags: secret.properties.tags ?? {} });
    } catch (error) {
      options.abortSignal?.throwIfAborted();
      log.warn('secrets.versionUnread', { secret: name, error: errorText(error) });
    }
  }
  return kept;
}
