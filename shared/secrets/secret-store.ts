import { z } from 'zod';
import { instantSchema } from '../platform/validation.ts';
import type { View } from '../platform/view.ts';

/** What `PUT /accounts/{account}/secrets/{name}` answers; never the value. */
export const secretReceiptSchema = z.object({
  name: z.string(),
  version: z.string(),
  expiresAt: instantSchema.nullable().meta({ description: 'Null: it has no end.' }),
});
export type SecretReceipt = View<typeof secretReceiptSchema>;

/** Options of every call. */
export interface SecretOptions {
  readonly signal?: AbortSignal;
}

/** Tags of a Key Vault secret's current version. */
export type SecretTags = Readonly<Record<string, string>>;

/** A secret as it is read for use. */
export interface KeptSecret {
  readonly value: string;
  readonly tags: SecretTags;
}

/** What Key Vault says of a secret without its value. */
export interface SecretDescription {
  readonly name: string;
  readonly expiresAt: Date | null;
  readonly tags: SecretTags;
}

/** What is written with a secret's value. */
export interface SetSecretOptions extends SecretOptions {
  readonly expiresAt?: Date;
  readonly tags?: SecretTags;
}

/** A secret that is written over and over has no end of versions. */
export const maxRecent = 5;

/**
 * Where secrets live. Names are compared without regard to letter case, as Key Vault does. No method ever puts a value
 * into an error. Writes that fail throw Refusal with a reason that a person can act on.
 */
export interface SecretStore {
  /** The current version. Throws SecretMissing where there is none, or it is disabled or past its end. */
  read(name: string, options?: SecretOptions): Promise<KeptSecret>;
  /** The current value. Throws as `read`. */
  get(name: string, options?: SecretOptions): Promise<string>;
  /**
   * Versions that were the current one at `since` (ms since the epoch) or later, the newest first, at most `maxRecent` of
   * them; earlier ones that are disabled or cannot be read are left out. Throws as `read`.
   */
  recent(name: string, since: number, options?: SecretOptions): Promise<readonly KeptSecret[]>;
  /** Writes a new version. A soft-deleted secret of the name is recovered first. */
  set(name: string, value: string, options?: SetSecretOptions): Promise<SecretReceipt>;
  /** Replaces the tags of the current version; false where the app may not. */
  tag(name: string, tags: SecretTags, options?: SecretOptions): Promise<boolean>;
  /** Deletes a secret, so that it can be recovered; false where there was none. */
  remove(name: string, options?: SecretOptions): Promise<boolean>;
  /** What is known of a soft-deleted secret; undefined where there is none, or it cannot be looked at. */
  deleted(name: string, options?: SecretOptions): Promise<SecretDescription | undefined>;
  /** When the current version ends: undefined where there is no such secret, null where it has no end. */
  expiry(name: string, options?: SecretOptions): Promise<Date | null | undefined>;
  /** Every enabled secret; some 25 to a request. */
  list(options?: SecretOptions): AsyncIterable<SecretDescription>;
  /** Every enabled secret whose current version has an end; some 25 to a request. */
  withExpiry(options?: SecretOptions): AsyncIterable<{ readonly name: string; readonly expiresAt: Date }>;
}

/** The account names a secret that Key Vault does not have, or no longer gives out. */
export class SecretMissing extends Error {
  override readonly name = 'SecretMissing';
  readonly secret: string;
  constructor(secret: string, reason: string) {
    super(`Secret ${secret} ${reason}`);
    this.secret = secret;
  }
}

/** The secret is there and is not to be used for this. Its text names accounts and ends, never a value. */
export class SecretWithheld extends Error {
  override readonly name = 'SecretWithheld';
  /** `foreign`: it is another account's, or of another kind; `unconfirmed`: see accounts/destinations.ts. */
  readonly reason: 'foreign' | 'unconfirmed';
  /** What a person can do about it. */
  readonly hint: string;
  constructor(reason: 'foreign' | 'unconfirmed', message: string, hint: string) {
    super(message);
    this.reason = reason;
    this.hint = hint;
  }
}
