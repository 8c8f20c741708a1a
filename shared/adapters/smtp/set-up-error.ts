import type { NodemailerError } from 'nodemailer';
import type { CredentialsError } from '../credentials-error.ts';
import { explainNetError } from '../net-errors.ts';
import type { Scrub } from '../sasl.ts';
import type { Trouble } from '../trouble.ts';
import type { SignInAttempt } from './auth-hints.ts';
import { parseReply } from './reply.ts';
import { replyTrouble, type Step } from './trouble.ts';

/** Where nodemailer says an error came from, before any mail. It files the greeting under the connection. */
function stepOf(command: string | undefined): Step {
  if (command === 'EHLO' || command === 'HELO') return 'ehlo';
  if (command === 'STARTTLS') return 'starttls';
  return command?.startsWith('AUTH') ? 'auth' : 'greeting';
}

const silenceHints: Readonly<Record<string, string>> = {
  GREETING_TIMEOUT:
    'The server took the connection and never greeted. If the port speaks TLS from the start, use smtps.',
  UPGRADE_TIMEOUT: 'The server went silent in the TLS handshake. It may pass; else look at the server’s log.',
  SOCKET_TIMEOUT: 'The server went silent. It may pass; timeout is how long it may be.',
};

/**
 * The trouble behind an error that came before any mail was offered. A reply decides first (4yz and 5yz are the
 * account's trouble there), then the kind of network error.
 */
export function setUpTrouble(error: NodemailerError, scrub: Scrub, signIn?: SignInAttempt): Trouble {
  const reply = parseReply(error.response, scrub);
  if (reply) return replyTrouble(stepOf(error.command), reply, signIn);
  if (error.response !== undefined && error.code === 'EPROTOCOL') {
    const hint = 'What answers there does not speak SMTP. Check host and port.';
    return { scope: 'connection', code: error.code, hint };
  }
  return lossTrouble(error);
}

/** The trouble of an account that there is nothing to sign in with for: it says nothing about the mail server. */
export function credentialsTrouble({ kind, code, hint, status, retryAfterMs }: CredentialsError): Trouble {
  return {
    scope: kind !== 'temporary' ? 'account' : status === 429 ? 'throttled' : 'connection',
    code,
    hint,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The trouble behind a connection that could not be made, went away or went silent. */
export function lossTrouble(error: unknown): Trouble {
  const { code, hint, certificate } = explainNetError(error);
  const silence = (error as { readonly timeoutType?: unknown } | null | undefined)?.timeoutType;
  return {
    scope: certificate ? 'account' : 'connection',
    code,
    hint: (typeof silence === 'string' ? silenceHints[silence] : undefined) ?? lostHint(code) ?? hint,
  };
}

/** Nodemailer's names for a loss that has no code of the system behind it. */
function lostHint(code: string): string | undefined {
  if (code === 'ECONNECTION') return 'The server closed the connection. It may pass; the server’s log says why.';
  if (code === 'EPROTOCOL') return 'The server answered what no SMTP client can follow. Look at the server’s log.';
  return undefined;
}
