import type { Credentials } from '../credentials.ts';
import { exchangeTokenHint, isExchangeOnline, notConnectedHint } from '../entra/exchange-hints.ts';
import { explainNetError } from '../net-errors.ts';
import { oneLine } from '../one-line.ts';
import type { Scrub } from '../sasl.ts';
import { StoreError, type StoreErrorKind } from '../store.ts';

/** Longest server text that goes into an error. */
const MAX_SERVER_TEXT = 200;
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
  ['THROTTLED', ['throttled', 'The server asks to slow down. Import less often.']],
  ['NONEXISTENT', ['folderMissing', 'The folder does not exist. Check its name on the server.']],
  ['TRYCREATE', ['folderMissing', 'The folder does not exist. Create it, or check its name on the server.']],
] as const);

const throttleWords = /too many|throttl|rate limit|slow down|maximum number of connections/i;
const temporaryWords = /temporar|try again|unavailable|internal error/i;

/** What the library puts on the errors it throws, read with care: they are not typed. */
export interface LibraryError {
  readonly code: string | undefined;
  /** NO or BAD where the server answered; absent where the connection failed. */
  readonly status: string | undefined;
  readonly responseCode: string | undefined;
  readonly text: string;
  readonly refusedCredentials: boolean;
  readonly tlsFailed: boolean;
  readonly retryAfterMs: number | undefined;
}

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
    responseCode: string('serverResponseCode')?.toUpperCase() ?? codeOfResponse(get('response')),
    // Of a sign-in that Exchange takes back later, the library keeps the words as `response`.
    text: oneLine(string('responseText') ?? string('reason') ?? string('response') ?? '', MAX_SERVER_TEXT),
    refusedCredentials: get('authenticationFailed') === true,
    tlsFailed: get('tlsFailed') === true,
    retryAfterMs: typeof retryAfter === 'number' && retryAfter > 0 ? Math.min(retryAfter, MAX_RETRY_AFTER) : undefined,
  };
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
export function commandError(error: unknown, doing: string, scrub: Scrub = (text) => text): StoreError {
  if (error instanceof StoreError) return error;
  const read = readLibraryError(error);
  const known = { ...read, text: scrub(read.text) };
  if (known.status === undefined && known.code !== 'ETHROTTLE') return connectionLost(error, doing, scrub);
  const said = known.text === '' ? '' : `: ${known.text}`;
  const message = `the server refused ${doing}${said}`;
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
      hint: 'The server asks to slow down. Import less often.',
    });
  }
  return new StoreError('protocol', message, { ...details, hint: 'The server’s log says more about this answer.' });
}

/** Where a connection was opened to, and by what it signed in. */
export interface OpenTarget {
  /** Host and port. */
  readonly target: string;
  readonly host: string;
  readonly by: Credentials['kind'];
  /** Takes the credentials out of what the server says. */
  readonly scrub: Scrub;
}

/** The StoreError for a connection that did not come about, the sign-in included. */
export function openError(error: unknown, opened: OpenTarget): StoreError {
  if (error instanceof StoreError) return error;
  const { target, scrub } = opened;
  const read = readLibraryError(error);
  const known = { ...read, text: scrub(read.text) };
  if (known.refusedCredentials) return signInError(known, opened);
  if (known.status !== undefined) return commandError(error, 'to start the session', scrub);
  if (known.tlsFailed && known.code === undefined) {
    return new StoreError('connection', `${target} offers no STARTTLS, which this account asks for`, {
      code: 'STARTTLS_UNAVAILABLE',
      hint: 'Credentials are not sent unencrypted. Use imaps, or set tls.starttls to never to send it all the same.',
    });
  }
  if (known.code === 'STARTTLS_INJECTION') {
    return new StoreError('connection', `${target} sent plain text after it agreed to STARTTLS`, {
      code: known.code,
      hint: 'Somebody in between may have put plain text into the connection. Use imaps, and look at the network.',
    });
  }
  if (throttleWords.test(known.text)) {
    return new StoreError('throttled', `${target} closed the connection: ${known.text}`, {
      code: 'BYE',
      hint: 'The server limits connections. Lower limits.connections or import less often.',
    });
  }
  return connectionLost(error, `to connect to ${target}`, scrub);
}

const notConnected = /User is authenticated but not connected/i;

/** Only a real refusal of the credentials counts as `signIn`; a server in trouble is not the operator's mistake. */
function signInError(known: LibraryError, { by, host }: OpenTarget): StoreError {
  const message = `sign-in refused${known.text === '' ? '' : `: ${known.text}`}`;
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
    hint: by === 'token' ? exchangeTokenHint('IMAP') : isExchangeOnline(host) ? noPasswordsHint : passwordHint,
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
export function connectionLost(error: unknown, doing?: string, scrub: Scrub = (text) => text): StoreError {
  const known = readLibraryError(error);
  const said = known.text === '' ? '' : `: ${scrub(known.text)}`;
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
  return new StoreError('connection', `the connection failed${trying}${said}`, {
    code: explained.code === 'UNKNOWN' ? 'ECONNRESET' : explained.code,
    hint: vague ? 'The server closed the connection. It may pass; its log says more.' : explained.hint,
    // The library's error is not kept as cause: it carries the command line.
  });
}

export function timeoutError(doing: string, code = 'ETIMEDOUT'): StoreError {
  return new StoreError('connection', `no answer in time while trying ${doing}`, {
    code: 'ETIMEDOUT',
    hint:
      code === 'GREETING_TIMEOUT'
        ? 'The server accepts connections and says nothing. Check port and protocol (imap or imaps).'
        : explainNetError({ code: 'ETIMEDOUT' }).hint,
  });
}

export function abortedError(signal: AbortSignal): StoreError {
  return new StoreError('connection', 'stopped by the caller', { code: 'ABORT_ERR', cause: signal.reason });
}
