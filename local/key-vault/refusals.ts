import { VaultError } from './vault-error.ts';

/** What a caller may be refused; names are those of Key Vault's data actions. */
export type VaultOperation = 'set' | 'update' | 'delete' | 'recover' | 'purge';

/** Why: no role, the vault's firewall, too many calls, or a secret that is on its way to or from the deleted ones. */
export type VaultRefusal = 'rbac' | 'firewall' | 'throttled' | 'beingDeleted' | 'beingRecovered';

/** Refusals in Key Vault's own words and codes (Microsoft Learn: "Azure Key Vault REST API error codes"). */
const refusals: Readonly<Record<VaultRefusal, () => VaultError>> = {
  rbac: () =>
    new VaultError(403, 'Forbidden', 'Caller is not authorized to perform action on resource.', 'ForbiddenByRbac'),
  firewall: () =>
    new VaultError(
      403,
      'Forbidden',
      'Client address is not authorized and caller is not a trusted service.',
      'ForbiddenByFirewall',
    ),
  throttled: () => new VaultError(429, 'Throttled', 'Too many requests.'),
  beingDeleted: () => new VaultError(409, 'Conflict', 'Secret is currently being deleted.', 'ObjectIsBeingDeleted'),
  beingRecovered: () =>
    new VaultError(409, 'Conflict', 'Secret is currently being recovered.', 'ObjectIsBeingRecovered'),
};

/** Operations that the vault refuses until a test takes that back. */
export class VaultRefusals {
  readonly #refused = new Map<VaultOperation, VaultRefusal>();

  set(operation: VaultOperation, refusal: VaultRefusal | undefined): void {
    if (refusal) this.#refused.set(operation, refusal);
    else this.#refused.delete(operation);
  }

  /** Throws VaultError where the operation is refused. */
  check(operation: VaultOperation): void {
    const refusal = this.#refused.get(operation);
    if (refusal) throw refusals[refusal]();
  }
}
