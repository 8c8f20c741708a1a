import type { InboxContext } from './context.ts';
import { endOf, prefixes } from './keys.ts';
import { pendingOf, readPending } from './ledger/pending.ts';

/** Rows counted at most of each kind; beyond it a number stands for "at least". */
export const countLimit = 5_000;

/** What runs have left in an account's partition. */
export interface LeftRows {
  readonly pending: number;
  /** When pending mail was received, in ms since the epoch, where that is known. */
  readonly pendingReceivedAt: readonly number[];
  readonly quarantined: number;
  /** Disposals that were dropped. */
  readonly dropped: number;
}

interface Options {
  readonly signal: AbortSignal;
}

/** Rows of one kind, counted by one reading for each thousand. Throws storage's trouble. */
export async function countRows(
  inbox: InboxContext,
  account: string,
  prefix: string,
  { signal }: Options,
): Promise<number> {
  let count = 0;
  for await (const _ of inbox.rows.prefix(account, prefix, { select: ['at'], top: countLimit, signal })) count += 1;
  return count;
}

/**
 * Counts what runs have left: one reading where it is little, since the kinds stand beside each other. Throws storage's
 * trouble.
 */
export async function countLeft(inbox: InboxContext, account: string, options: Options): Promise<LeftRows> {
  const { signal } = options;
  const { dropped, pending, quarantine } = prefixes;
  const counts = new Map<string, number>();
  const pendingReceivedAt: number[] = [];
  let all = 0;
  const range = { signal, top: countLimit };
  for await (const row of inbox.rows.range(account, dropped, endOf(quarantine), range)) {
    const prefix = row.key.slice(0, dropped.length);
    counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    all += 1;
    if (prefix === pending) pendingReceivedAt.push(...receivedAt([pendingOf(row)]));
  }
  if (all === countLimit) return await countEach(inbox, account, options);
  return {
    pending: counts.get(pending) ?? 0,
    pendingReceivedAt,
    quarantined: counts.get(quarantine) ?? 0,
    dropped: counts.get(dropped) ?? 0,
  };
}

/** Where there are many: a kind with very many of them must not hide the others. */
async function countEach(inbox: InboxContext, account: string, options: Options): Promise<LeftRows> {
  const [waiting, quarantined, dropped] = await Promise.all([
    readPending(inbox, account, options),
    countRows(inbox, account, prefixes.quarantine, options),
    countRows(inbox, account, prefixes.dropped, options),
  ]);
  return { pending: waiting.length, pendingReceivedAt: receivedAt(waiting), quarantined, dropped };
}

function receivedAt(mails: readonly ReturnType<typeof pendingOf>[]): number[] {
  return mails.flatMap(({ mail }) => (mail.receivedAt === undefined ? [] : [mail.receivedAt]));
}
