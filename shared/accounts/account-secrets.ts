import type { BoundSecrets, SecretKind } from '../secrets/bound-secrets.ts';
import { SecretWithheld } from '../secrets/secret-store.ts';
import type { AccountStore } from './account-store.ts';
import { type Endpoint, knownFor, leastChanges, secretOfEndpoint, secretsOf } from './destinations.ts';

/** Reads a secret for a connection. Throws what BoundSecrets throws, and SecretWithheld `unconfirmed`. */
export type AccountSecretReader = (name: string, signal: AbortSignal, kind: SecretKind) => Promise<string>;

/** What may change where a secret comes from, and whether it is given out. */
export interface ReaderOptions {
  /** Values (by name in lower case) that stand in for those in Key Vault: what the caller wants tried. */
  readonly given?: ReadonlyMap<string, string>;
  /** Whether the caller may write secrets, and so decide where they are sent. Asked only where it matters. */
  readonly mayWriteSecrets?: () => Promise<boolean>;
}

/** Gives secrets out to the endpoints of accounts: each to its own account, for its own use, to an endpoint that was confirmed. */
export class AccountSecrets {
  readonly #accounts: AccountStore;
  readonly #bound: BoundSecrets;

  constructor(accounts: AccountStore, bound: BoundSecrets) {
    this.#accounts = accounts;
    this.#bound = bound;
  }

  /** What an adapter of this endpoint reads its secret by. */
  reader(account: string, endpoint: Endpoint, options: ReaderOptions = {}): AccountSecretReader {
    return async (name, signal, kind) => {
      const given = options.given?.get(name.toLowerCase());
      if (given !== undefined) return given;
      const value = await this.#bound.read(name, { account, kind }, { signal });
      const changed = await this.#unconfirmed(account, endpoint, signal);
      if (changed.length === 0 || (await options.mayWriteSecrets?.()) === true) return value;
      throw new SecretWithheld(
        'unconfirmed',
        `the secret ${name} waits: ${changed.join(', ')} of the account changed since it was written`,
        `Write the secret ${name} again (PUT /api/accounts/${account}/secrets/${name}), or let somebody who may write secrets save the account. Until then nothing is sent or fetched there.`,
      );
    };
  }

  /** Fields that make this endpoint another than those the secret may be sent to. */
  async #unconfirmed(account: string, endpoint: Endpoint, signal: AbortSignal): Promise<readonly string[]> {
    const wanted = secretOfEndpoint(endpoint)?.destination;
    const stored = wanted && (await this.#accounts.knownDestinations(account, { signal }));
    if (!stored) return [];
    const naming = secretsOf(stored.endpoints).map(({ destination }) => destination);
    return leastChanges(knownFor(wanted.secret, stored.known, naming), wanted);
  }
}
