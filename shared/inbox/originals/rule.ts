import type { Account } from '../../accounts/rules.ts';
import type { Disposal } from '../../adapters/store.ts';

const dayMs = 24 * 3_600_000;

/** When the original of a mail checked in at `importedAt` is to be deleted: N × 24 h after, fixed at the check-in. */
export function dueAt(account: Account, importedAt: number): number | undefined {
  const rule = account.import.delete;
  return typeof rule === 'object' ? importedAt + rule.afterDays * dayMs : undefined;
}

/**
 * What an account wants done with an original right after the check-in, in this order. `keepOriginal`: the
 * original of an oversize or quarantined mail, or of one whose bytes are in doubt, is never deleted or moved.
 */
export function disposals(account: Account, abilities: { markRead: boolean }, keepOriginal: boolean): Disposal[] {
  const { markRead, moveTo, deleteMode } = account.import;
  const wanted: Disposal[] = [];
  const deletes = account.import.delete === 'immediately' && !keepOriginal;
  // A mail that is about to vanish need not be marked first; in the trash its state shows.
  if (markRead && abilities.markRead && !(deletes && deleteMode === 'permanent')) {
    wanted.push({ action: 'markRead' });
  }
  if (deletes) {
    wanted.push({ action: 'delete', mode: deleteMode });
  } else if (moveTo !== null && !keepOriginal) {
    wanted.push({ action: 'move', folder: moveTo });
  }
  return wanted;
}

/** The deletion that is due N days after the check-in, if the account's rule, read again, still wants it. */
export function dueDisposal(account: Account): Disposal | undefined {
  const wanted = account.enabled && account.import.delete !== 'never';
  return wanted ? { action: 'delete', mode: account.import.deleteMode } : undefined;
}
