import { Refusal } from '../platform/refusal.ts';
import type { AccountStore, Precondition, StoredAccount } from './account-store.ts';

/** Thrown within this module only: another caller changed the account first. */
class AccountChanged extends Error {
  override readonly name = 'AccountChanged';
}

const maxRounds = 10;

/**
 * Changes an account on the basis of what it is now. `change` gets the account (undefined if there is none) and a
 * precondition that also fails if the account is another by then; in that case it is called again with the new one.
 * Throws what `change` throws, and Refusal `conflict` after ten rounds.
 */
export async function changeAccount<T>(
  accounts: AccountStore,
  name: string,
  precondition: Precondition,
  options: {
    readonly signal: AbortSignal;
    readonly change: (base: StoredAccount | undefined, precondition: Precondition) => Promise<T>;
  },
): Promise<T> {
  for (let round = 1; round <= maxRounds; round += 1) {
    const base = await accounts.fresh(name, { signal: options.signal });
    try {
      return await options.change(base, (etag) => {
        precondition(etag);
        if (etag !== base?.etag) throw new AccountChanged();
      });
    } catch (error) {
      if (!(error instanceof AccountChanged)) throw error;
    }
  }
  throw new Refusal('conflict', 'The account is being changed by others; try again.');
}
