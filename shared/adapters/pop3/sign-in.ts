import { createHmac } from 'node:crypto';
import type { ServerAuth } from '../../accounts/model.ts';
import type { Credentials } from '../credentials.ts';
import { credentialScrub } from '../smtp/reply.ts';
import { StoreError } from '../store.ts';
import type { Pop3Connection } from './connection.ts';
import { nonsense, signInError } from './pop3-errors.ts';
import type { Reply } from './replies.ts';

type Password = Extract<Credentials, { kind: 'password' }>;
type Token = Extract<Credentials, { kind: 'token' }>;
type Mechanism = NonNullable<Extract<ServerAuth, { type: 'password' }>['mechanisms']>[number];

const doing = 'to sign in';

/** Signs in. Throws StoreError, whose text holds no credentials, even where the server echoes them. */
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
  const { reply, secrets } =
    credentials.kind === 'token'
      ? await byToken(connection, credentials, signal)
      : await byPassword(connection, auth, credentials, signal);
  if (reply.status === 'ok') return;
  if (reply.status === 'more') throw connection.fail(nonsense(doing, 'one challenge too many'));
  const secret = credentials.kind === 'token' ? credentials.token : credentials.password;
  // An answer is read an octet a character, so a password beyond ASCII comes back in that form.
  const forms = [...secrets, Buffer.from(secret, 'utf8').toString('latin1')];
  const scrub = credentialScrub(credentials.user, secret);
  const text = forms.reduce((rest, form) => rest.split(form).join('***'), scrub(reply.text));
  const error = signInError({ ...reply, text }, facts(connection, credentials.kind === 'token'));
  if (error.kind === 'signIn' && credentials.kind === 'token') credentials.refused();
  throw error;
}

function facts(connection: Pop3Connection, token: boolean) {
  const delay = Number(connection.capabilities?.get('LOGIN-DELAY')?.[0]);
  return {
    token,
    marksRefusals: connection.has('AUTH-RESP-CODE'),
    loginDelayMs: Number.isFinite(delay) && delay > 0 ? Math.min(delay, 86_400) * 1000 : undefined,
  };
}

interface SignedIn {
  readonly reply: Reply;
  /** What was sent and must not come back in an error, beside the credentials as they are. */
  readonly secrets: readonly string[];
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/**
 * XOAUTH2 in two lines, always: Exchange Online takes no initial response ("Authenticate an IMAP, POP or SMTP connection
 * using OAuth", Microsoft Learn), and every server takes it without one (RFC 5034 section 4).
 */
async function byToken(connection: Pop3Connection, { user, token }: Token, signal: AbortSignal): Promise<SignedIn> {
  const blob = base64(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`);
  let reply = await dialogue(connection, 'XOAUTH2', [() => blob], signal);
  // A refusal may come as a challenge that says why; an empty answer ends it (Google, "The SASL XOAUTH2 mechanism").
  if (reply.status === 'more') reply = await connection.command('', signal, doing);
  return { reply, secrets: [blob] };
}

async function byPassword(
  connection: Pop3Connection,
  auth: ServerAuth,
  credentials: Password,
  signal: AbortSignal,
): Promise<SignedIn> {
  const { user, password } = credentials;
  const mechanism = chosenMechanism(connection, auth.type === 'password' ? auth.mechanisms : undefined);
  switch (mechanism) {
    case undefined: {
      sendable(user, password);
      const asked = await connection.command(`USER ${user}`, signal, doing);
      const reply = asked.status === 'ok' ? await connection.command(`PASS ${password}`, signal, doing) : asked;
      return { reply, secrets: [] };
    }
    case 'PLAIN': {
      if (user.includes('\0') || password.includes('\0')) throw unsendable('a NUL');
      const reply = await dialogue(connection, 'PLAIN', [() => base64(`\0${user}\0${password}`)], signal);
      return { reply, secrets: [] };
    }
    case 'LOGIN': {
      const reply = await dialogue(connection, 'LOGIN', [() => base64(user), () => base64(password)], signal);
      return { reply, secrets: [] };
    }
    case 'CRAM-MD5': {
      const answer = (challenge: string) => {
        const proof = createHmac('md5', password).update(Buffer.from(challenge, 'base64')).digest('hex');
        return base64(`${user} ${proof}`);
      };
      return { reply: await dialogue(connection, 'CRAM-MD5', [answer], signal), secrets: [] };
    }
  }
}

/** AUTH, and an answer to each challenge (RFC 5034). */
async function dialogue(
  connection: Pop3Connection,
  mechanism: string,
  answers: readonly ((challenge: string) => string)[],
  signal: AbortSignal,
): Promise<Reply> {
  let reply = await connection.command(`AUTH ${mechanism}`, signal, doing);
  for (const answer of answers) {
    if (reply.status !== 'more') break;
    reply = await connection.command(answer(reply.text), signal, doing);
  }
  return reply;
}

/**
 * Undefined for USER and PASS, which every server knows unless CAPA says otherwise (RFC 2449 section 6.3). An account that
 * names mechanisms gets the first of them that the server offers.
 */
function chosenMechanism(connection: Pop3Connection, wanted: readonly Mechanism[] | undefined): Mechanism | undefined {
  const offered = connection.capabilities?.get('SASL')?.map((name) => name.toUpperCase());
  if (wanted === undefined) {
    if (connection.capabilities === undefined || connection.has('USER')) return undefined;
    return (['PLAIN', 'LOGIN'] as const).find((name) => offered?.includes(name));
  }
  const found = offered === undefined ? wanted[0] : wanted.find((name) => offered.includes(name));
  if (found) return found;
  throw new StoreError('permission', 'the server offers none of the mechanisms that the account allows', {
    code: 'NO_MECHANISM',
    hint: `The server offers ${(offered ?? []).slice(0, 10).join(', ') || 'none'}. Change or leave out auth.mechanisms.`,
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
