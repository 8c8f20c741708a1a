import { createHmac } from 'node:crypto';
import type { ServerAuth } from '../../accounts/model.ts';
import type { Credentials } from './credentials.ts';

/** SASL mechanisms that Mailroom knows; LOGIN is also the name of IMAP's own command. */
export type SaslMechanism = 'PLAIN' | 'LOGIN' | 'CRAM-MD5' | 'XOAUTH2';

/** The client's side of one exchange (RFC 4422 section 3). All texts are base64, as they cross the line. */
export interface SaslExchange {
  readonly mechanism: SaslMechanism;
  /** What the client says first; undefined where the server begins. */
  readonly initial: string | undefined;
  /** The answer to a challenge; undefined where none makes sense and the exchange is to be cancelled. */
  respond(challenge: string): string | undefined;
}

/** In the order in which they are tried where the account names none. */
const passwordMechanisms: readonly SaslMechanism[] = ['PLAIN', 'LOGIN', 'CRAM-MD5'];

/** The mechanisms that an account may use, the preferred one first. */
export function allowedMechanisms(auth: ServerAuth): readonly SaslMechanism[] {
  if (auth.type === 'none') return [];
  return auth.type === 'oauth2' ? ['XOAUTH2'] : (auth.mechanisms ?? passwordMechanisms);
}

/** Why none of the account's mechanisms will do: a hint that names both lists. */
export function noMechanismHint(allowed: readonly SaslMechanism[], offered: readonly string[]): string {
  const said = offered.length === 0 ? 'no sign-in' : `sign-in by ${offered.join(', ')} only`;
  const wanted = `The server offers ${said} on this connection, and the account uses ${allowed.join(', ')}.`;
  if (allowed.includes('XOAUTH2')) return `${wanted} Check host and port, or use a password.`;
  return offered.length === 0
    ? `${wanted} Set auth to none, or TLS so that it is offered.`
    : `${wanted} Check auth.mechanisms and auth.type.`;
}

const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const decode = (text: string): Buffer => Buffer.from(text, 'base64');

/** Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth": SASL XOAUTH2. */
const xoauth2 = (user: string, token: string): string => encode(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`);

/** RFC 4616. */
const plain = (user: string, password: string): string => encode(`\0${user}\0${password}`);

/** An exchange of `mechanism` with these credentials, which must be of its kind. */
export function saslExchange(
  mechanism: SaslMechanism,
  credentials: Exclude<Credentials, { kind: 'none' }>,
): SaslExchange {
  if (credentials.kind === 'token') {
    const { user, token } = credentials;
    // The challenge that follows a refusal describes it; it is to be answered with nothing.
    return once('XOAUTH2', xoauth2(user, token), '');
  }
  const { user, password } = credentials;
  switch (mechanism) {
    case 'PLAIN':
      return once(mechanism, plain(user, password), undefined);
    case 'LOGIN':
      return login(user, password);
    case 'CRAM-MD5':
      return cramMd5(user, password);
    case 'XOAUTH2':
      throw new Error('XOAUTH2 takes a token');
  }
}

/** One message from the client, on the command's line or behind an empty challenge; `then` answers any further one. */
function once(mechanism: SaslMechanism, initial: string, then: string | undefined): SaslExchange {
  return { mechanism, initial, respond: () => then };
}

/** The user, then the password, whatever the server calls them: the prompts vary (draft-murchison-sasl-login). */
function login(user: string, password: string): SaslExchange {
  const answers = [encode(user), encode(password)];
  return { mechanism: 'LOGIN', initial: undefined, respond: () => answers.shift() };
}

/** RFC 2195: a keyed digest of the challenge, so that the password itself never crosses the line. */
function cramMd5(user: string, password: string): SaslExchange {
  const answers = [(challenge: Buffer) => `${user} ${createHmac('md5', password).update(challenge).digest('hex')}`];
  return {
    mechanism: 'CRAM-MD5',
    initial: undefined,
    respond: (challenge) => {
      const answer = answers.shift()?.(decode(challenge));
      return answer === undefined ? undefined : encode(answer);
    },
  };
}
