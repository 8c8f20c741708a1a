import type { SecretKind } from '../../secrets/bound-secrets.ts';
import { SecretWithheld } from '../../secrets/secret-store.ts';
import { CredentialsError } from './credentials-error.ts';

/** Reads a Key Vault secret by name, to be used as this kind; throws where it is missing or withheld. */
export type ReadSecret = (name: string, signal: AbortSignal, kind: SecretKind) => Promise<string>;

/**
 * The value of a secret, never blank. Throws CredentialsError `secret` with what it should hold in its hint, or the
 * signal's reason.
 */
export async function secretValue(
  name: string,
  kind: SecretKind,
  read: ReadSecret,
  signal: AbortSignal,
): Promise<string> {
  const holds = kind === 'password' ? 'password' : 'credential';
  const failure = (what: string) =>
    new CredentialsError('secret', `the secret ${name} ${what}`, {
      code: 'SECRET',
      hint: `Store the ${holds} as the secret ${name}, or check the app's access to Key Vault.`,
    });
  let value: string;
  try {
    value = await read(name, signal, kind);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SecretWithheld) {
      const code = error.reason === 'foreign' ? 'SECRET_FOREIGN' : 'SECRET_WAITS';
      throw new CredentialsError('secret', error.message, { code, hint: error.hint });
    }
    // The error's text is not passed on: who knows what it quotes.
    throw failure('could not be read');
  }
  if (value.trim() === '') throw failure('is empty');
  return value;
}
