import { type Disposal, type DisposalOutcome, type DisposalTarget, type DisposeOptions, StoreError } from '../store.ts';
import { nameOf } from './headers.ts';
import type { Maildrop } from './maildrop.ts';
import type { MaildropContext } from './pop3-sessions.ts';

/** Mails deleted by one QUIT. A line that drops before it deletes nothing, so little is to be done again. */
const BATCH = 25;

/**
 * `StoreSession.dispose`: in each session, what is there of a batch is marked by the number which that session's own
 * listing gives it, and QUIT deletes it. `done` is said only of what a QUIT with +OK has covered.
 */
export async function disposeMails(
  context: MaildropContext,
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
    await context.sessions.exclusive(signal, async (maildrop) => {
      const found = new Map<DisposalTarget, readonly number[]>();
      for (const target of batch) {
        const place = { identity: context.identity, maildrop };
        const { numbers, outcome } = await numbersOf(place, target, { signal, verify });
        if (numbers) found.set(target, numbers);
        else outcomes.set(target, outcome);
      }
      const numbers = [...new Set([...found.values()].flat())];
      if (numbers.length === 0) return;
      const refused = await context.sessions.deleteAndQuit(maildrop, numbers, signal);
      for (const [target, its] of found) {
        const refusal = its.map((number) => refused.get(number)).find((error) => error !== undefined);
        outcomes.set(target, refusal ? { refused: refusal } : 'done');
      }
    });
  }
  return targets.map((target) => outcomes.get(target) ?? 'mismatch');
}

/** Messages to delete, or what is answered instead. */
type Numbers =
  | { readonly numbers: readonly number[]; readonly outcome?: never }
  | { readonly numbers?: never; readonly outcome: DisposalOutcome };

/** The messages that are the target now; or why there is nothing to delete. */
async function numbersOf(
  { identity, maildrop }: { readonly identity: string; readonly maildrop: Maildrop },
  { source, folder, size, sha256 }: DisposalTarget,
  { signal, verify }: DisposeOptions,
): Promise<Numbers> {
  const name = nameOf(source, identity);
  if (!name || folder.toUpperCase() !== 'INBOX') return { outcome: 'mismatch' };
  // Where the name holds a hash, the contents are compared here: another mail may have the same UIDL.
  const numbers = await maildrop.find(name, size, signal);
  if (!numbers) return { outcome: 'mismatch' };
  if (numbers.length === 0) return { outcome: 'gone' };
  if (!verify || size === undefined || name.sha256 !== undefined) return { numbers };
  const sizes = await maildrop.sizes(numbers, signal);
  for (const number of numbers) {
    const sizeNow = sizes.get(number);
    if (sizeNow === size) continue;
    // Exchange corrects its estimates, and a LIST may be refused: then the content says whether it is that mail.
    const content = sha256 === undefined ? undefined : await maildrop.hash(number, signal, { countedAs: size });
    if (content !== undefined && content === sha256) continue;
    if (content === undefined && (sizeNow === undefined || sha256 !== undefined))
      return { outcome: { refused: noAnswer } };
    return { outcome: 'mismatch' };
  }
  return { numbers };
}

const noAnswer = new StoreError('protocol', 'the server gives neither size nor content of the mail', {
  code: 'NO_ANSWER',
  hint: 'It lists the mail and does not give it. It may pass; its log says more.',
});
