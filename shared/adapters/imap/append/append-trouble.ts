import { defined } from '../../../platform/defined.ts';
import { explainNetError } from '../../net/net-errors.ts';
import { StoreError, type StoreErrorKind } from '../../store.ts';
import type { RecipientOutcome, Trouble, TroubleScope } from '../../transport.ts';
import type { ImapConnection } from '../connection.ts';
import { commandError, connectionLost, readLibraryError } from '../imap-errors.ts';
import { missingFolder } from '../missing-folder.ts';

/** What a NO or BAD to APPEND means for the mail. */
export interface AppendRefusal {
  readonly outcome: Extract<RecipientOutcome, 'rejected' | 'deferred'>;
  readonly trouble: Trouble;
}

const scopes: Readonly<Record<StoreErrorKind, TroubleScope>> = {
  connection: 'connection',
  signIn: 'account',
  permission: 'account',
  throttled: 'throttled',
  noConnection: 'limit',
  folderMissing: 'account',
  resync: 'connection',
  protocol: 'connection',
};

/** Troubles of a connection that only the account's settings and secrets can end. */
const settingCodes: ReadonlySet<string> = new Set(['TLS_NOT_ALLOWED', 'STARTTLS_UNAVAILABLE', 'SECRET']);

/** The trouble behind a connection that did not come about, went away or went silent. The server's words stay out. */
export function connectionTrouble(error: unknown): Trouble {
  const failure = error instanceof StoreError ? error : connectionLost(error);
  const { kind, code, hint, retryAfterMs } = failure;
  const ofSettings = code !== undefined && (settingCodes.has(code) || explainNetError({ code }).certificate);
  return { scope: ofSettings ? 'account' : scopes[kind], ...defined({ code, hint, retryAfterMs }) };
}

/** True where the server answered NO or BAD; any other error means that the answer is not known. */
export function isRefusal(error: unknown): boolean {
  return !(error instanceof StoreError) && readLibraryError(error).status !== undefined;
}

const slowDown = 'The server asks to slow down. Fewer connections, or limits.perMinute, keep below its limit.';

/** Of the mail: the same one would be refused again (RFC 7889 section 4, RFC 5530 section 3). */
const refusedForGood: ReadonlyMap<string, string> = new Map([
  ['TOOBIG', 'The mail is too large for the server. Send less, or by a link.'],
  ['LIMIT', 'The mail is beyond a limit of the server. Its words say which.'],
]);

/**
 * What a NO or BAD to APPEND means (RFC 3501 section 6.3.11). Nothing was added. IMAP has no classes of replies, so only
 * what the codes of RFC 5530 call final ends the mail; everything else is tried again as long as mail is tried at all.
 */
export async function appendRefusal(
  connection: ImapConnection,
  folder: string,
  error: unknown,
  signal: AbortSignal,
): Promise<AppendRefusal> {
  const { status, responseCode, text } = readLibraryError(error);
  const code = responseCode ?? status ?? 'NO';
  const reply = text === '' ? {} : { reply: text };
  const forGood = refusedForGood.get(code);
  if (forGood !== undefined) {
    return { outcome: 'rejected', trouble: { scope: 'message', code, ...reply, hint: forGood } };
  }
  const failure = await folderFailure(connection, folder, error, signal);
  const { kind, retryAfterMs } = failure;
  const hint = kind === 'throttled' ? slowDown : failure.hint;
  // Without a code that is known, it counts as a refusal of this mail.
  const scope = kind === 'protocol' ? 'message' : scopes[kind];
  return { outcome: 'deferred', trouble: { scope, code, ...reply, ...defined({ hint, retryAfterMs }) } };
}

/** Servers that give no response code say NO to a missing folder as to any other trouble; LIST then shows. */
async function folderFailure(
  connection: ImapConnection,
  folder: string,
  error: unknown,
  signal: AbortSignal,
): Promise<StoreError> {
  const failure = commandError(error, 'to append the mail');
  const { status, responseCode } = readLibraryError(error);
  const unclear =
    status === 'NO' && failure.kind === 'protocol' && (responseCode === undefined || responseCode === 'CANNOT');
  if (!connection.alive || (failure.kind !== 'folderMissing' && !unclear)) return failure;
  try {
    return (await missingFolder(connection, folder, signal)) ?? failure;
  } catch {
    return failure;
  }
}

/** The mail is larger than the server says it takes (RFC 7889): nothing was offered. */
export function tooLarge(size: number, limit: number): Trouble {
  const hint = `The mail has ${size} bytes and the server takes at most ${limit}. Send less, or by a link.`;
  return { scope: 'message', code: 'APPENDLIMIT', hint };
}
