import { explainNetError } from '../net/net-errors.ts';
import { StoreError, type StoreErrorKind } from '../store.ts';
import { slowDownHint, throttleWords } from '../store-troubles.ts';
import type { Reply } from './replies.ts';

const hints = {
  credentials: 'The server refuses user and password. Check auth.user and the secret.',
  token:
    'The server refuses the access token. Check auth.user, the app’s permission POP.AccessAsApp and its service principal in Exchange.',
  inUse: 'Another session holds the mailbox: POP3 allows one at a time. It may pass.',
  temporary: 'The server cannot do this now. It may pass.',
  encrypt: 'The server takes passwords over TLS only. Use pop3s, or tls.starttls required.',
  log: 'The server’s log says more about this answer; so does Mailroom’s, with debug on for the account.',
} as const;

/** Response codes of RFC 2449 and RFC 3206 by whose trouble they are. */
const kindsByCode: ReadonlyMap<string, readonly [StoreErrorKind, string]> = new Map([
  ['AUTH', ['signIn', hints.credentials]],
  ['IN-USE', ['connection', hints.inUse]],
  ['LOGIN-DELAY', ['throttled', slowDownHint]],
  ['SYS/TEMP', ['connection', hints.temporary]],
  ['SYS/PERM', ['permission', 'The server’s administrator has to mend something about this mailbox.']],
] as const);

const wordsOf: readonly (readonly [RegExp, StoreErrorKind, string])[] = [
  [throttleWords, 'throttled', slowDownHint],
  [
    /\b(in use|already (locked|open)|is locked|lock(ed)? (by|mailbox|maildrop)|unable to lock|lock busy|another session)\b/i,
    'connection',
    hints.inUse,
  ],
  [/temporar|try again|try later|unavailable|internal (server )?error|timed? ?out/i, 'connection', hints.temporary],
  [
    /(plain ?text|cleartext).{0,40}(disallow|not allow|disabl)|(requires?|only (over|with)|must use|issue) .{0,30}(TLS|SSL|STLS)|(TLS|SSL|STLS).{0,20}required/i,
    'permission',
    hints.encrypt,
  ],
];

/** Whose trouble it is, by the server's code or words; undefined where they say nothing. */
function knownTrouble({ code, text }: Reply): readonly [StoreErrorKind, string] | undefined {
  const byCode = kindsByCode.get(code ?? '');
  if (byCode) return byCode;
  const byWords = wordsOf.find(([words]) => words.test(text));
  return byWords && [byWords[1], byWords[2]];
}

/** Codes that errors repeat: any other word in brackets may be anything, also a password. */
function safeCode({ code }: Reply): string {
  return code !== undefined && kindsByCode.has(code) ? code : 'ERR';
}

/**
 * The StoreError for a command the server refused. `doing` says what was tried, without secrets. The server's words stay
 * out: it may repeat what it was sent.
 */
export function replyError(reply: Reply, doing: string): StoreError {
  const [kind, hint] = knownTrouble(reply) ?? (['protocol', hints.log] as const);
  return new StoreError(kind, `the server refused ${doing}`, { code: safeCode(reply), hint });
}

/** What decides about the meaning of a refused sign-in. */
export interface SignInFacts {
  readonly token: boolean;
  /** The server marks every refusal of credentials as such (RFC 3206 section 6, AUTH-RESP-CODE). */
  readonly marksRefusals: boolean;
  /** ms that must lie between two sign-ins, where CAPA says. */
  readonly loginDelayMs: number | undefined;
}

/** Only a real refusal of the credentials counts as `signIn`; a server in trouble is not the operator's mistake. */
export function signInError(reply: Reply, { token, marksRefusals, loginDelayMs }: SignInFacts): StoreError {
  const message = 'sign-in refused';
  const code = safeCode(reply);
  const by = knownTrouble(reply);
  const refused = token ? hints.token : hints.credentials;
  if (by === undefined && marksRefusals) {
    return new StoreError('connection', message, {
      code,
      hint: 'The server says that it is not the credentials. It may pass; its log says more.',
    });
  }
  const [kind, hint] = by ?? (['signIn', refused] as const);
  return new StoreError(kind, message, {
    code,
    hint: kind === 'signIn' ? refused : hint,
    ...(reply.code === 'LOGIN-DELAY' && loginDelayMs !== undefined ? { retryAfterMs: loginDelayMs } : {}),
  });
}

/** A server that says -ERR instead of a greeting. */
export function greetingError(reply: Reply): StoreError {
  const [kind, hint] =
    knownTrouble(reply) ?? (['connection', 'The server takes no connection now. Its log says more.'] as const);
  return new StoreError(kind, 'the server refuses the connection', {
    code: safeCode(reply),
    hint,
  });
}

/** The StoreError for a connection that did not come about, or ended. */
export function connectionLost(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const explained = explainNetError(error);
  return new StoreError('connection', `the connection failed while trying ${doing}`, {
    code: explained.code === 'UNKNOWN' ? 'ECONNRESET' : explained.code,
    hint:
      explained.kind === 'other' ? 'The server closed the connection. It may pass; its log says more.' : explained.hint,
  });
}

/** The StoreError of a server that is silent. `doing`: what was tried, without secrets. */
export function silenceError(doing: string): StoreError {
  return new StoreError('connection', `no answer in time while trying ${doing}`, {
    code: 'ETIMEDOUT',
    hint:
      doing === greeting
        ? 'The server accepts connections and says nothing. Check port and protocol (pop3 or pop3s).'
        : explainNetError({ code: 'ETIMEDOUT' }).hint,
  });
}

/** What is waited for first; a silence there has its own hint. */
export const greeting = 'to be greeted';

/** The StoreError of an answer that makes no sense. `what`: in our own words, never the server's. */
export function nonsense(doing: string, what: string, code = 'NONSENSE'): StoreError {
  return new StoreError('protocol', `${what} while trying ${doing}`, {
    code,
    hint: 'Check that a POP3 server listens at host and port.',
  });
}
