import { Refusal } from '../platform/refusal.ts';
import { storageStatus } from '../platform/storage.ts';

/** How long a name stays busy while Key Vault deletes or recovers a secret, in ms. */
const transitionMs = 15_000;

/** The inner code of Key Vault's answer, such as `ForbiddenByRbac`; the SDK's own fields and its text may hold it. */
function innerCode(error: unknown): string {
  const text = error instanceof Error ? error.message : '';
  const known = [
    'ForbiddenByRbac',
    'ForbiddenByFirewall',
    'AccessDenied',
    'ObjectIsDeletedButRecoverable',
    'ObjectIsBeingDeleted',
    'ObjectIsBeingRecovered',
  ];
  const details = error as { readonly details?: unknown } | null;
  const said = `${text} ${typeof details?.details === 'object' ? JSON.stringify(details.details) : ''}`;
  return known.find((code) => said.includes(code)) ?? '';
}

/** True where the name is that of a soft-deleted secret (Key Vault: 409). */
export function isSoftDeleted(error: unknown): boolean {
  if (storageStatus(error) !== 409) return false;
  const code = innerCode(error);
  return code === 'ObjectIsDeletedButRecoverable' || (code === '' && /deleted but recoverable/i.test(textOf(error)));
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : '');

/**
 * What an error of Key Vault means for whoever wanted something written, as a Refusal. `doing` is `write`, `delete`, or
 * `recover`. Key Vault's own text is not repeated: nobody knows what it quotes.
 */
export function explainWrite(error: unknown, name: string, doing: 'write' | 'delete' | 'recover'): Refusal {
  if (error instanceof Refusal) return error;
  const unavailable = (message: string, retryAfterMs?: number) =>
    new Refusal('unavailable', message, { cause: error, retryAfterMs });
  const status = storageStatus(error);
  const code = innerCode(error);
  switch (status) {
    case 400:
      return new Refusal('conflict', `Key Vault does not take the secret ${name} as it is: is it too long?`, {
        cause: error,
      });
    case 401:
      return unavailable("Key Vault did not take the app's sign-in. Check the app's identity and its tenant.");
    case 403:
      return unavailable(
        code === 'ForbiddenByFirewall' || /client address/i.test(textOf(error))
          ? "Key Vault refuses connections from the app's network. Check the vault's firewall and private endpoint."
          : `The app may not ${doing} secrets in Key Vault. Give its identity the role "Key Vault Secrets Officer" on the vault.`,
      );
    case 409:
      return new Refusal(
        'conflict',
        code === 'ObjectIsBeingDeleted' || code === 'ObjectIsBeingRecovered'
          ? `Key Vault is just deleting or recovering the secret ${name}. Try again in a quarter of a minute.`
          : `The name ${name} is in use in Key Vault by something that is no secret to write to: a deleted secret, or a certificate.`,
        { cause: error, retryAfterMs: transitionMs },
      );
    case 429:
      return unavailable(
        'Key Vault is asked too much at the moment. Try again in a quarter of a minute.',
        transitionMs,
      );
    case undefined:
      return unavailable('Key Vault could not be reached, or the app could not sign in to it. See the log.');
    default:
      return unavailable(`Key Vault answered with status ${status}. It may pass.`, transitionMs);
  }
}
