import { explainNetError } from '../net/net-errors.ts';
import { oneLine } from '../net/one-line.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import { exchangeTokenHint, notConnectedHint } from '../sign-in/entra/exchange-hints.ts';
import { isExchangeHost } from '../sign-in/entra/place.ts';
import { openConnectionHint } from '../sign-in/open-connection.ts';
import { StoreError, type StoreErrorKind } from '../store.ts';
import { slowDownHint, throttleWords } from '../store-troubles.ts';

/** Longest server text looked at. It goes into no error: a server may repeat what it was sent, the password included. */
const MAX_SERVER_TEXT = 2_000;
/** Longest wait a server may ask for; a hint beyond a day is a mistake. */
const MAX_RETRY_AFTER = 86_400_000;

/** Response codes of RFC 5530, RFC 3501 and RFC 9051 by whose trouble they are. */
const kindsByCode: ReadonlyMap<string, readonly [StoreErrorKind, string]> = new Map([
  ['AUTHENTICATIONFAILED', ['signIn', 'The server refuses user and password. Check auth.user and the secret.']],
  ['AUTHORIZATIONFAILED', ['signIn', 'The user may not open this mailbox. Check auth.user.']],
  ['EXPIRED', ['signIn', 'The password has expired. Set a new one and store it as the secret.']],
  ['PRIVACYREQUIRED', ['permission', 'The server takes passwords over TLS only. Use imaps, or tls.starttls required.']],
  ['CONTACTADMIN', ['permission', 'The server asks to contact its administrator about this mailbox.']],
  ['NOPERM', ['permission', 'The user lacks the right to do this in the folder. Check the folder’s access rights.']],
  ['OVERQUOTA', ['permission', 'The mailbox is full. Free some space, or choose another folder.']],
  ['UNAVAILABLE', ['connection', 'A part of the server is down. It may pass.']],
  ['INUSE', ['connection', 'Another session holds the mailbox. It may pass.']],
  ['LIMIT', ['throttled', 'The server’s limit is reached. Lower limits.connections or import less often.']],
  ['THROTTLED', ['throttled', slowDownHint]],
  ['NONEXISTENT', ['folderMissing', 'The folder does not exist. Check its name on the server.']],
  ['TRYCREATE', ['folderMissing', 'The folder does not exist. Create it, or check its name on the server.']],
] as const);

/**
 * Response codes that errors repeat (IANA, "IMAP Response Codes", and what Gmail and Exchange add). Any other word in
 * brackets may be anything, also a password.
 */
const repeatedCodes: ReadonlySet<string> = new Set(
  `ALERT ALREADYEXISTS APPENDUID AUTHENTICATIONFAILED AUTHORIZATIONFAILED BADCHARSET BADURL CANNOT CAPABILITY CLIENTBUG
  CLOSED CONTACTADMIN COPYUID CORRUPTION EXPIRED EXPUNGEISSUED HASCHILDREN INPROGRESS INUSE LIMIT MESSAGELIMIT NEWNAME
  NONEXISTENT NOPERM NOTSAVED OVERQUOTA OVERQUOTATEMP PARSE PERMANENTFLAGS PRIVACYREQUIRED READ-ONLY READ-WRITE REFERRAL
  SERVERBUG TEMPFAIL THROTTLED TOOBIG TOOMANY TRYCREATE UIDNEXT UIDNOTSTICKY UIDREQUIRED UIDVALIDITY UNAVAILABLE
  UNKNOWN-CTE UNSEEN USEATTR WEBALERT`.split(/\s+/),
);

const temporaryWords = /temporar|try again|unavailable|internal error/i;

/** What the library puts on the errors it throws, read with care: they are not typed. */
export interface LibraryError {
  readonly code: string | undefined;
  /** NO or BAD where the server answered; absent where the connection failed. */
  readonly status: string | undefined;
  readonly responseCode: string | undefined;
  /** The server's words, to be looked at and never to be repeated. */
  readonly text: string;
  readonly refusedCredentials: boolean;
  readonly tlsFailed: boolean;
  readonly retryAfterMs: number | undefined;
}

/** Reads what the library has put on an error; of anything else, nothing is known. */
export function readLibraryError(error: unknown): LibraryError {
  const get = (name: string): unknown =>
    typeof error === 'object' && error !== null ? (error as Readonly<Record<string, unknown>>)[name] : undefined;
  const string = (name: string) => {
    const value = get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const retryAfter = get('throttleReset');
  return {
    code: string('code'),
    status: string('responseStatus'),
    responseCode: repeatedCode(string('serverResponseCode')?.toUpperCase() ?? codeOfResponse(get('response'))),
    // Of a sign-in that Exchange takes back later, the library keeps the words as `response`.
    text: oneLine(string('responseText') ?? string('reason') ?? string('response') ?? '', MAX_SERVER_TEXT),
    refusedCredentials: get('authenticationFailed') === true,
    tlsFailed: get('tlsFailed') === true,
    retryAfterMs: typeof retryAfter === 'number' && retryAfter > 0 ? Math.min(retryAfter, MAX_RETRY_AFTER) : undefined,
  };
}

function repeatedCode(code: string | undefined): string | undefined {
  return code !== undefined && repeatedCodes.has(code) ? code : undefined;
}

/**
 * Codes of refusals that are the server's and may pass (RFC 5530; TEMPFAIL as some servers have it). UNAVAILABLE, INUSE and
 * LIMIT have kinds of their own.
 */
const passingCodes: ReadonlySet<string> = new Set([
  'SERVERBUG',
  'EXPUNGEISSUED',
  'TEMPFAIL',
  'OVERQUOTATEMP',
  'INPROGRESS',
]);

/** Whether a refused command's code or words say that the trouble may pass. */
export function saysPassing(error: unknown): boolean {
  const { responseCode, text } = readLibraryError(error);
  return (responseCode !== undefined && passingCodes.has(responseCode)) || temporaryWords.test(text);
}

function codeOfResponse(response: unknown): string | undefined {
  if (typeof response !== 'object' || response === null || !('attributes' in response)) return undefined;
  const { attributes } = response;
  const first: unknown = Array.isArray(attributes) ? attributes[0] : undefined;
  if (typeof first !== 'object' || first === null || !('section' in first) || !Array.isArray(first.section)) {
    return undefined;
  }
  const name: unknown = first.section[0];
  const value = typeof name === 'object' && name !== null && 'value' in name ? name.value : undefined;
  return typeof value === 'string' ? value.toUpperCase() : undefined;
}

/** The StoreError for a command that failed. `doing` says what was tried, without secrets. */
export function commandError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const known = readLibraryError(error);
  if (known.status === undefined && known.code !== 'ETHROTTLE') return connectionLost(error, doing);
  const message = `the server refused ${doing}`;
  const details = {
    code: known.responseCode ?? known.code ?? known.status ?? 'NO',
    ...(known.retryAfterMs === undefined ? {} : { retryAfterMs: known.retryAfterMs }),
  };
  if (notConnected.test(known.text)) {
    return new StoreError('permission', message, { code: 'NOT_CONNECTED', hint: notConnectedHint });
  }
  const byCode = kindsByCode.get(known.responseCode ?? '');
  if (byCode) return new StoreError(byCode[0], message, { ...details, hint: byCode[1] });
  if (known.code === 'ETHROTTLE' || throttleWords.test(known.text)) {
    return new StoreError('throttled', message, {
      ...details,
      hint: slowDownHint,
    });
  }
  return new StoreError('protocol', message, { ...details, hint: logHint });
}

const logHint = 'The server’s log says more about this answer; so does Mailroom’s, with debug on for the account.';

/** Where a connection was opened to, and by what it signed in. */
export interface OpenTarget {
  /** Host and port. */
  readonly target: string;
  readonly host: string;
  readonly by: Credentials['kind'];
}

/** The StoreError for a connection that did not come about, the sign-in included. */
export function openError(error: unknown, opened: OpenTarget): StoreError {
  if (error instanceof StoreError) return error;
  const { target } = opened;
  const known = readLibraryError(error);
  if (known.refusedCredentials) return signInError(known, opened);
  if (known.status !== undefined) return commandError(error, 'to start the session');
  if (known.tlsFailed && known.code === undefined) {
    return new StoreError('connection', `${target} offers no STARTTLS, which this account asks for`, {
      code: 'STARTTLS_UNAVAILABLE',
      hint: openConnectionHint(opened.by === 'token' ? 'token' : 'password', 'imaps'),
    });
  }
  if (known.code === 'STARTTLS_INJECTION') {
    return new StoreError('connection', `${target} sent plain text after it agreed to STARTTLS`, {
      code: known.code,
      hint: 'Somebody in between may have put plain text into the connection. Use imaps, and look at the network.',
    });
  }
  if (throttleWords.test(known.text)) {
    return new StoreError('throttled', `${target} closed the connection`, {
      code: 'BYE',
      hint: 'The server limits connections. Lower limits.connections or import less often.',
    });
  }
  return connectionLost(error, `to connect to ${target}`);
}

const notConnected = /User is authenticated but not connected/i;

/** Only a real refusal of the credentials counts as `signIn`; a server in trouble is not the operator's mistake. */
function signInError(known: LibraryError, { by, host }: OpenTarget): StoreError {
  const message = 'sign-in refused';
  const byCode = kindsByCode.get(known.responseCode ?? '');
  const code = known.responseCode ?? known.status ?? 'NO';
  if (notConnected.test(known.text)) {
    return new StoreError('permission', message, { code: 'NOT_CONNECTED', hint: notConnectedHint });
  }
  if (byCode && !(by === 'token' && byCode[0] === 'signIn')) {
    return new StoreError(byCode[0], message, { code, hint: byCode[1] });
  }
  if (throttleWords.test(known.text)) {
    return new StoreError('throttled', message, { code, hint: 'Too many sign-ins or connections. It may pass.' });
  }
  if (known.responseCode === 'SERVERBUG' || temporaryWords.test(known.text)) {
    return new StoreError('connection', message, { code, hint: 'The server cannot check passwords now. It may pass.' });
  }
  if (known.status === 'BAD') {
    return new StoreError('protocol', message, { code, hint: 'The server did not understand the sign-in.' });
  }
  return new StoreError('signIn', message, {
    code,
    hint: by === 'token' ? exchangeTokenHint('IMAP') : isExchangeHost(host) ? noPasswordsHint : passwordHint,
  });
}

const passwordHint = 'The server refuses user and password. Check auth.user and the secret.';
const noPasswordsHint = 'Exchange Online takes no passwords for IMAP. Use auth of type oauth2.';

const timeoutCodes: ReadonlySet<string> = new Set([
  'CONNECT_TIMEOUT',
  'GREETING_TIMEOUT',
  'UPGRADE_TIMEOUT',
  'ETIMEOUT',
]);
/** The library's guards against a server that floods or talks nonsense. */
const nonsense = /^(Line|Literal|Response)TooLarge$|^TooMany|^ParserError|^InvalidResponse$|^UnexpectedTag$|^MAX_IMAP/;

/** The StoreError for a connection that ended, by itself or while something was being tried. */
export function connectionLost(error: unknown, doing?: string): StoreError {
  const known = readLibraryError(error);
  const trying = doing === undefined ? '' : ` while trying ${doing}`;
  if (known.code !== undefined && timeoutCodes.has(known.code)) return timeoutError(doing ?? 'to go on', known.code);
  if (known.code !== undefined && nonsense.test(known.code)) {
    return new StoreError('protocol', `an answer that makes no sense or is too large${trying}`, {
      code: known.code,
      hint: 'Check that an IMAP server listens at host and port.',
    });
  }
  const explained = explainNetError(error);
  const vague = explained.kind === 'other';
  return new StoreError('connection', `the connection failed${trying}`, {
    code: explained.code === 'UNKNOWN' ? 'ECONNRESET' : explained.code,
    hint: vague ? 'The server closed the connection. It may pass; its log says more.' : explained.hint,
    // The library's error is not kept as cause: it carries the command line.
  });
}

/** A server that sends far more than it was asked for. */
export function answersTooLarge(): StoreError {
  return new StoreError('protocol', 'more answers than what was asked for can take', {
    code: 'ANSWER_SIZE',
    hint: 'Check that an IMAP server listens at host and port. Its log says more.',
  });
}

/** The StoreError of a server that is silent. `doing`: what was tried, without secrets; `code`: the library's. */
export function timeoutError(doing: string, code = 'ETIMEDOUT'): StoreError {
  return new StoreError('connection', `no answer in time while trying ${doing}`, {
    code: 'ETIMEDOUT',
    hint:
      code === 'GREETING_TIMEOUT'
        ? 'The server accepts connections and says nothing. Check port and protocol (imap or imaps).'
        : explainNetError({ code: 'ETIMEDOUT' }).hint,
  });
}
