import { StoreError } from './store.ts';

/** The StoreError of what was stopped by the caller's signal. */
export function abortedError(signal?: AbortSignal): StoreError {
  return new StoreError('connection', 'stopped by the caller', { code: 'ABORT_ERR', cause: signal?.reason });
}

/** The StoreError of an adapter that failed by itself: a bug, or something that a library throws unexpectedly. */
export function internalError(error: unknown): StoreError {
  const name = error instanceof Error ? error.name : 'unknown';
  return new StoreError('protocol', `the adapter failed (${name})`, { code: 'INTERNAL', cause: error });
}

/** Words by which IMAP and POP3 servers ask to slow down, whatever their code. */
export const throttleWords =
  /too (many|fast|frequent|often)|throttl|rate limit|slow down|maximum number of connections/i;

/** The hint of a server that does. */
export const slowDownHint = 'The server asks to slow down. Import less often.';

/**
 * Servers whose sizes are estimates unless they are set up otherwise (Microsoft Learn, Set-ImapSettings and Set-PopSettings,
 * `EnableExactRFC822Size`).
 */
const estimatingServers = /Microsoft[ .]Exchange/i;

/** Whether the sizes that a server gives for mails can be believed, by what it says of itself. */
export function givesExactSizes(serverName: string): boolean {
  return !estimatingServers.test(serverName);
}

/** What a person can do about a trouble, with what there is to choose from; undefined where nothing is known. */
export function adviceOf({ hint, found }: Pick<StoreError, 'hint' | 'found'>): string | undefined {
  return hint === undefined || found === undefined ? (hint ?? found) : `${hint} ${found}`;
}

/** A server's trouble in words for a person: what went wrong, and what can be done about it, as sentences. */
export function sentencesOf(error: Pick<StoreError, 'message' | 'hint' | 'found'>): string {
  const { message } = error;
  const advice = adviceOf(error);
  if (advice === undefined) {
    return message;
  }
  return `${/[.!?]$/.test(message) ? message : `${message}.`} ${advice}`;
}
