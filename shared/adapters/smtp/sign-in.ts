import type { ServerAuth } from '../../accounts/model.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import { allowedMechanisms, type SaslExchange, saslExchange } from '../sign-in/sasl.ts';
import type { SmtpConnection } from './connection.ts';
import type { RawReply } from './reply-reader.ts';

/** Challenges answered at most: no mechanism here has more than two. */
const maxChallenges = 3;

/** In place of a line that holds credentials. */
const hidden = '(hidden)';

/** The exchange to sign in by: the first mechanism of the account that is offered. Undefined: none is. */
export function chooseExchange(
  auth: ServerAuth,
  credentials: Exclude<Credentials, { kind: 'none' }>,
  offered: readonly string[],
): SaslExchange | undefined {
  const mechanism = allowedMechanisms(auth).find((name) => offered.includes(name));
  return mechanism && saslExchange(mechanism, credentials);
}

/**
 * AUTH (RFC 4954), with the client's first message on the command's line, as Exchange Online documents it. Answers the
 * last reply: 235 where the sign-in is done. Throws ConnectionLost.
 */
export async function signIn(connection: SmtpConnection, exchange: SaslExchange): Promise<RawReply> {
  const { mechanism, initial, respond } = exchange;
  const command = `AUTH ${mechanism}`;
  let reply =
    initial === undefined
      ? await connection.command(command)
      : await connection.command(`${command} ${initial}`, `${command} ${hidden}`);
  for (let challenges = 0; reply.code === 334; challenges++) {
    const answer = challenges < maxChallenges ? respond(reply.lines.join('').trim()) : undefined;
    if (answer === undefined) return await connection.command('*');
    reply = await connection.command(answer, hidden);
  }
  return reply;
}
