import type { OutboxContext } from '../context.ts';

/** An account whose messages are looked through. */
export interface SearchedAccount {
  readonly name: string;
  /** No mail of it was handed in after this instant, in ms since the epoch, 0: it has none now; absent: that is not known. */
  readonly handedUntil?: number;
}

/**
 * Of all accounts there are or were those that may have mail, with what is known of when the last one was handed in.
 * `fromStart`: since the account was added, it is noted when mail is handed in, so that no note says that there was none.
 * Throws storage's trouble.
 */
export async function accountsWithMail(
  { open: notes }: Pick<OutboxContext, 'open'>,
  accounts: readonly { readonly name: string; readonly fromStart: boolean }[],
  options: { readonly signal: AbortSignal },
): Promise<readonly SearchedAccount[]> {
  const { open, handedUntil } = await notes.noted(options);
  return accounts.flatMap(({ name, fromStart }) => {
    if (open.has(name)) return [{ name }];
    const until = handedUntil.get(name);
    if (until !== undefined) return [{ name, handedUntil: until }];
    return fromStart ? [] : [{ name }];
  });
}
