import { type Disposal, type DisposalOutcome, type DisposalTarget, type DisposeOptions, StoreError } from '../store.ts';
import { nameOf } from './headers.ts';
import type { ListingContext } from './listing.ts';
import type { Maildrop } from './maildrop.ts';

/** Mails deleted by one QUIT. A line that drops before it deletes nothing, so little is to be done again. */
const BATCH = 25;

/**
 * `StoreSession.dispose`: in each session, what is there of a batch is marked by the number which that session's own
 * listing gives it, and QUIT deletes it. `done` is said only of what a QUIT with +OK has covered.
 */
export async function disposeMails(
  context: ListingContext,
  targets: readonly DisposalTarget[],
  disposal: Disposal,
  { signal, verify }: DisposeOptions,
): Promise<readonly DisposalOutcome[]> {
  if (disposal.action !== 'delete' || disposal.mode !== 'permanent') {
    throw new StoreError('permission', 'POP3 can delete mail for good, and nothing else', {
      code: 'NOT_ABLE',
      hint: 'Leave out markRead, moveTo and deleteMode.',
    });
  }
  const outcomes = new Map<DisposalTarget, DisposalOutcome>();
  for (let at = 0; at < targets.length; at += BATCH) {
    const batch = targets.slice(at, at + BATCH);
    await context.maildrops.exclusive(signal, async (maildrop) => {
      const found = new Map<DisposalTarget, readonly number[]>();
      for (const target of batch) {
        const numbers = await numbersOf(context.identity, maildrop, target, verify, signal);
        if (typeof numbers === 'string') outcomes.set(target, numbers);
        else found.set(target, numbers);
      }
      const numbers = [...new Set([...found.values()].flat())];
      if (numbers.length === 0) return;
      const refused = await context.maildrops.deleteAndQuit(maildrop, numbers, signal);
      for (const [target, its] of found) {
        outcomes.set(target, its.some((number) => refused.has(number)) ? 'mismatch' : 'done');
      }
    });
  }
  return targets.map((target) => outcomes.get(target) ?? 'mismatch');
}

/** The messages that are the target now; or why there is nothing to delete. */
async function numbersOf(
  identity: string,
  maildrop: Maildrop,
  { source, folder, size }: DisposalTarget,
  verify: boolean,
  signal: AbortSignal,
): Promise<readonly number[] | DisposalOutcome> {
  const name = nameOf(source, identity);
  if (!name || folder.toUpperCase() !== 'INBOX') return 'mismatch';
  // Where the name holds a hash, the contents are compared here: another mail may have the same UIDL.
  const numbers = await maildrop.find(name, size, signal);
  if (!numbers) return 'mismatch';
  if (numbers.length === 0) return 'gone';
  if (!verify || size === undefined) return numbers;
  const sizes = await maildrop.sizes(numbers, signal);
  return numbers.every((number) => sizes.get(number) === size) ? numbers : 'mismatch';
}
