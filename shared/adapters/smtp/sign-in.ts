import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { ServerAuth } from '../../accounts/model.ts';
import type { Credentials } from '../credentials.ts';
import { allowedMechanisms, type SaslExchange, saslExchange } from '../sasl.ts';

/**
 * Nodemailer knows the sign-in of this module under this name. Its own chooses among the mechanisms by itself, repeats a
 * refused token and drops the reply that refused it.
 */
const method = 'SASL';

/** Challenges answered at most: no mechanism here has more than two. */
const maxChallenges = 3;

/** The mechanisms that a server offers on this connection, by its reply to EHLO (RFC 4954 section 4). */
export function offeredMechanisms(capabilities: string): readonly string[] {
  const lines = capabilities.matchAll(/^250[ -]AUTH[ \t=]+([^\r\n]*)/gim);
  const names = [...lines].flatMap(([, list = '']) => list.toUpperCase().split(/[\s=]+/));
  return [...new Set(names)].filter((name) => name !== '');
}

/** The exchange to sign in by: the first mechanism of the account that is offered. Undefined: none is. */
export function chooseExchange(
  auth: ServerAuth,
  credentials: Exclude<Credentials, { kind: 'none' }>,
  offered: readonly string[],
): SaslExchange | undefined {
  const mechanism = allowedMechanisms(auth).find((name) => offered.includes(name));
  return mechanism && saslExchange(mechanism, credentials);
}

/** AUTH (RFC 4954), with the client's first message on the command's line, as Exchange Online documents it. */
export function login(
  connection: SMTPConnection,
  exchange: SaslExchange,
  done: Parameters<SMTPConnection['login']>[1],
): void {
  connection.customAuth.set(method, async ({ sendCommand }) => {
    const { mechanism, initial, respond } = exchange;
    let { response } = await sendCommand(initial === undefined ? `AUTH ${mechanism}` : `AUTH ${mechanism} ${initial}`);
    for (let challenges = 0; response.startsWith('334'); challenges++) {
      const answer = challenges < maxChallenges ? respond(response.slice(4).trim()) : undefined;
      ({ response } = await sendCommand(answer ?? '*'));
      if (answer === undefined) break;
    }
    // Nodemailer puts the last reply on the error.
    if (!response.startsWith('2')) throw new Error('sign-in refused');
  });
  connection.login({ method }, done);
}
