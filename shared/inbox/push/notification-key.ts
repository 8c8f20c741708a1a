import { randomBytes } from 'node:crypto';
import { untilAborted } from '../../platform/abort.ts';
import type { Clock } from '../../platform/clock.ts';
import { digest } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import { SecretMissing, type SecretStore } from '../../secrets/secret-store.ts';

/** The service's own secret. No account can name it: their secrets' names begin with their own and a dash. */
export const keyName = 'MailroomNotificationsKey';

/** How long a process uses what it read. */
const believeMs = 5 * 60_000;

/** A code that does not fit is looked up with newer keys at most this often, however many such codes come. */
const askAgainMs = 60_000;

/** How long Key Vault may take to answer, and to make a key where one of that name was deleted before. */
const askMs = 30_000;
const makeMs = 90_000;

/** Earlier keys still fit for this long: every subscription is made anew with the newest key long before. */
const keepMs = 24 * 3_600_000;

/** A key that codes are made with. */
export interface CodeKey {
  readonly value: string;
  /** Tells it from the others, and nothing of it. */
  readonly id: string;
}

/** The keys of the codes in notifications, kept in Key Vault. A new version there replaces the key, within the hour. */
export class NotificationKey {
  readonly #secrets: Pick<SecretStore, 'recent' | 'set'>;
  readonly #clock: Clock;
  #known: { readonly keys: readonly CodeKey[]; readonly at: number } | undefined;
  #asking: Promise<readonly CodeKey[]> | undefined;
  #making: Promise<CodeKey> | undefined;

  constructor(secrets: Pick<SecretStore, 'recent' | 'set'>, clock: Clock) {
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** The key for new codes, made where there is none yet. Throws what Key Vault's trouble is. */
  async newest(signal: AbortSignal): Promise<CodeKey> {
    const [known] = await this.#read(believeMs, signal);
    if (known) return known;
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return await untilAborted(this.#making, signal);
  }

  /** Whether a code fits one of the keys. Asks Key Vault once a minute at most. Throws where it has never been reached. */
  async fits(isOwn: (key: string) => boolean, signal: AbortSignal): Promise<boolean> {
    const believed = await this.#read(believeMs, signal);
    if (believed.some(({ value }) => isOwn(value))) return true;
    const newer = await this.#read(askAgainMs, signal);
    return newer !== believed && newer.some(({ value }) => isOwn(value));
  }

  /** For all who wait for it: the signal of none of them ends it. */
  async #make(): Promise<CodeKey> {
    const signal = AbortSignal.timeout(makeMs);
    await this.#secrets.set(keyName, randomBytes(32).toString('base64url'), { signal });
    log.info('push.keyMade');
    // What is being read since before the key was there does not have it.
    await this.#asking?.catch(() => undefined);
    // Another process may have made one at the same time: the newest counts, and both fit.
    const [made] = await this.#read(0, signal);
    if (!made) throw new Error('The key of notifications was written, and is not there');
    return made;
  }

  async #read(mayBeOldMs: number, signal: AbortSignal): Promise<readonly CodeKey[]> {
    const known = this.#known;
    if (known && Math.abs(this.#clock.now() - known.at) < mayBeOldMs) return known.keys;
    signal.throwIfAborted();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return await untilAborted(this.#asking, signal);
  }

  /** For all who wait for it, as `#make`. */
  async #ask(): Promise<readonly CodeKey[]> {
    const now = this.#clock.now();
    try {
      const recent = await this.#secrets.recent(keyName, now - keepMs, { signal: AbortSignal.timeout(askMs) });
      const keys = recent.map(({ value }) => ({ value, id: digest(8, 'notifications', value) }));
      this.#known = { keys, at: now };
      return keys;
    } catch (error) {
      if (error instanceof SecretMissing) {
        this.#known = { keys: [], at: now };
        return [];
      }
      if (!this.#known) throw error;
      // Notifications need not wait for Key Vault.
      log.warn('push.keyUnread', { error: errorText(error) });
      this.#known = { ...this.#known, at: now };
      return this.#known.keys;
    }
  }
}
