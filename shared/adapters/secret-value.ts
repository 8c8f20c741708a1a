import { CredentialsError } from './credentials-error.ts';

/** Reads a Key Vault secret by name; throws where it is missing. */
export type ReadSecret = (name: string, signal: AbortSignal) => Promise<string>;

/**
 * The value of a secret, never blank. Throws CredentialsError `secret` with what it should hold in its hint, or the
 * signal's reason.
 */
export async function secretValue(
  name: string,
  holds: 'password' | 'credential',
  read: ReadSecret,
  signal: AbortSignal,
): Promise<string> {
  const failure = (what: string) =>
    new CredentialsError('secret', `the secret ${name} ${what}`, {
      code: 'SECRET',
      hint: `Store the ${holds} as the secret ${name}, or check the app's access to Key Vault.`,
    });
  let value: string;
  try {
    value = await read(name, signal);
  } catch {
    // The error's text is not passed on: who knows what it quotes.
    signal.throwIfAborted();
    throw failure('could not be read');
  }
  if (value.trim() === '') throw failure('is empty');
  return value;
}
