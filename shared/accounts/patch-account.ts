import { type Mistake, Refusal } from '../platform/refusal.ts';
import { peek, toPointer } from '../platform/validation.ts';
import type { AccountStore, Precondition, SavedAccount, SaveOptions } from './account-store.ts';
import { changeAccount } from './change-account.ts';
import { defaultSchedules } from './import-schedule.ts';
import { mergePatch } from './merge-patch.ts';
import type { Account } from './rules.ts';

/**
 * Changes an account by a JSON merge patch (RFC 7396) of what `GET` answers. Throws Refusal where there is no such
 * account, and what saving it throws. A null that may be meant as a value is among the warnings.
 */
export async function patchAccount(
  accounts: AccountStore,
  { name, patch }: { readonly name: string; readonly patch: unknown },
  precondition: Precondition,
  options: Omit<SaveOptions, 'written'>,
): Promise<SavedAccount> {
  return await changeAccount(accounts, name, precondition, {
    signal: options.signal,
    change: async (base, pinned) => {
      if (!base) throw new Refusal('notFound', 'There is no account of this name.');
      const saved = await accounts.save(name, mergePatch(patchedAccount(base.account, patch), patch), pinned, options);
      return { ...saved, warnings: [...removedByNull(patch, saved.account), ...saved.warnings] };
    },
  });
}

/**
 * What is patched: the account, but for a schedule that is one of the defaults where the patch switches push on or off.
 * Nobody asked for it, and another default may apply.
 */
function patchedAccount(account: Account, patch: unknown): unknown {
  const defaults: readonly unknown[] = Object.values(defaultSchedules);
  const { schedule, ...rule } = account.import;
  const switches = peek(patch, ['store', 'push']) !== undefined && defaults.includes(schedule);
  return switches ? { ...account, import: rule } : account;
}

/** Fields that `PUT` takes null for, and whose default is something else. */
const nullable = [
  { path: ['import', 'schedule'], meaning: 'import only on request' },
  { path: ['limits', 'perMinute'], meaning: 'set no limit' },
] as const;

/** Null in a merge patch removes a field (RFC 7396 section 1); whoever knows it from `PUT` may mean the value. */
function removedByNull(patch: unknown, saved: Account): readonly Mistake[] {
  return nullable.flatMap(({ path, meaning }) => {
    const value = peek(saved, path);
    if (peek(patch, path) !== null || value === null) return [];
    const detail = `null in a merge patch removes the field (RFC 7396), so its default applies: ${String(value)}. To ${meaning}, PUT the account with null here`;
    return [{ pointer: toPointer(path), detail }];
  });
}
