/** What `PUT /accounts/{account}/secrets/{name}` answers; never the value. */
export interface SecretReceipt {
  readonly name: string;
  readonly version: string;
  /** ISO instant, or null for a secret without an end. */
  readonly expiresAt: string | null;
}

export interface SecretOptions {
  readonly signal?: AbortSignal;
}

/** Where secrets live. No method ever puts a value into an error. */
export interface SecretStore {
  /** The current value. Throws SecretMissing where there is none, or it is disabled or past its end. */
  get(name: string, options?: SecretOptions): Promise<string>;
  /** Writes a new version. */
  set(name: string, value: string, options?: SecretOptions & { readonly expiresAt?: Date }): Promise<SecretReceipt>;
  /** When the current version ends: undefined where there is no such secret, null where it has no end. */
  expiry(name: string, options?: SecretOptions): Promise<Date | null | undefined>;
  /** Every enabled secret whose current version has an end; some 25 to a request. */
  ends(options?: SecretOptions): AsyncIterable<{ readonly name: string; readonly expiresAt: Date }>;
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
