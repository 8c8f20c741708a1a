import type { ServerAuth } from '../../accounts/model.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import {
  allowedMechanisms,
  noMechanismHint,
  type SaslExchange,
  type SaslMechanism,
  saslExchange,
} from '../sign-in/sasl.ts';
import { StoreError } from '../store.ts';
import type { Pop3Connection } from './connection.ts';
import { nonsense, signInError } from './pop3-errors.ts';
import type { Reply } from './replies.ts';

type Password = Extract<Credentials, { kind: 'password' }>;

const doing = 'to sign in';

/** Challenges answered at most: no mechanism here has more than two. */
const maxChallenges = 3;

/** Signs in. Throws StoreError, whose text holds none of the server's words: it may echo the credentials. */
export async function signIn(
  connection: Pop3Connection,
  auth: ServerAuth,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<void> {
  if (credentials.kind === 'none') {
    throw new StoreError('permission', 'POP3 needs a user and a password', {
      code: 'NO_CREDENTIALS',
      hint: 'Set auth to user and secret.',
    });
  }
  const mechanism = chosenMechanism(connection, auth);
  const reply =
    mechanism === undefined && credentials.kind === 'password'
      ? await byUserAndPass(connection, credentials, signal)
      : await bySasl(connection, saslExchange(mechanism ?? 'XOAUTH2', credentials), signal);
  if (reply.status === 'ok') return;
  if (reply.status === 'more') throw connection.fail(nonsense(doing, 'one challenge too many'));
  throw signInError(reply, facts(connection, credentials.kind === 'token'));
}

function facts(connection: Pop3Connection, token: boolean) {
  const delay = Number(connection.capabilities?.get('LOGIN-DELAY')?.[0]);
  return {
    token,
    marksRefusals: connection.has('AUTH-RESP-CODE'),
    loginDelayMs: Number.isFinite(delay) && delay > 0 ? Math.min(delay, 86_400) * 1000 : undefined,
  };
}

async function byUserAndPass(
  connection: Pop3Connection,
  { user, password }: Password,
  signal: AbortSignal,
): Promise<Reply> {
  sendable(user, password);
  const asked = await connection.command(`USER ${user}`, signal, doing);
  return asked.status === 'ok' ? await connection.command(`PASS ${password}`, signal, doing) : asked;
}

/**
 * AUTH (RFC 5034), the client's first message always on a line of its own: Exchange Online takes no initial response
 * ("Authenticate an IMAP, POP or SMTP connection using OAuth", Microsoft Learn), and every server takes it without one.
 */
async function bySasl(connection: Pop3Connection, exchange: SaslExchange, signal: AbortSignal): Promise<Reply> {
  const { mechanism, initial, respond } = exchange;
  let first = initial;
  let reply = await connection.command(`AUTH ${mechanism}`, signal, doing);
  for (let challenges = 0; reply.status === 'more'; challenges++) {
    const answer = challenges < maxChallenges ? (first ?? respond(reply.text.trim())) : undefined;
    first = undefined;
    // An asterisk cancels.
    reply = await connection.command(answer ?? '*', signal, doing);
    if (answer === undefined) break;
  }
  return reply;
}

/**
 * Undefined for USER and PASS, which every server knows unless CAPA says otherwise (RFC 2449 section 6.3). An account that
 * names mechanisms gets the first of them that the server offers.
 */
function chosenMechanism(connection: Pop3Connection, auth: ServerAuth): SaslMechanism | undefined {
  const allowed = allowedMechanisms(auth);
  const offered = connection.capabilities?.get('SASL')?.map((name) => name.toUpperCase());
  if (auth.type === 'oauth2') return 'XOAUTH2';
  if (auth.type === 'password' && auth.mechanisms === undefined) {
    const userIsThere = connection.capabilities === undefined || connection.has('USER');
    return userIsThere ? undefined : allowed.find((name) => offered?.includes(name));
  }
  const found = offered === undefined ? allowed[0] : allowed.find((name) => offered.includes(name));
  if (found) return found;
  throw new StoreError('permission', 'the server offers none of the mechanisms that the account allows', {
    code: 'NO_MECHANISM',
    hint: noMechanismHint(allowed, offered ?? []),
  });
}

/** USER and PASS carry one line each: a line break would begin a command of its own. */
function sendable(...texts: readonly string[]): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what would end the line is what is looked for.
  if (texts.some((text) => /[\u0000\r\n]/.test(text))) throw unsendable('a line break or NUL');
}

function unsendable(what: string): StoreError {
  return new StoreError('permission', `the user or the password holds ${what}, which POP3 cannot carry`, {
    code: 'SECRET',
    hint: 'Store the password without it: often a line break at the end of the secret was stored along.',
  });
}
