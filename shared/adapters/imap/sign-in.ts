import type { ImapFlow, ImapResponse } from 'imapflow';
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
import { atom, type CommandNode, secret } from './command-arguments.ts';
import { sendFewCommands } from './few-commands.ts';

/** The parts of the library that a sign-in of our own rests on: in its code and, some of them, not in its types. */
export interface SignInChannel {
  readonly state: number;
  readonly states: Readonly<Record<'NOT_AUTHENTICATED', number>>;
  expectCapabilityUpdate: boolean;
  exec(
    command: string,
    attributes: readonly CommandNode[],
    options: { readonly onPlusTag?: (response: ImapResponse) => Promise<void> },
  ): Promise<{ next(): void }>;
  write(line: string): void;
  setAuthenticationState(): Promise<void>;
}

/**
 * Puts a sign-in of our own in place of the library's, which knows no CRAM-MD5, keeps to no list of mechanisms and
 * prefers OAUTHBEARER where both are offered. It is called by `connect`, when TLS is up and capabilities are known.
 * Rejects with StoreError where nothing can be tried, and with the library's error where the server refuses. What the library
 * sends around it is kept short (see `sendFewCommands`).
 */
export function useOwnSignIn(client: ImapFlow, auth: ServerAuth, credentials: Credentials): void {
  if (!isChannel(client)) throw new Error('this version of imapflow lacks what a sign-in of our own rests on');
  sendFewCommands(client, credentials.kind);
  Object.defineProperty(client, 'authenticate', {
    value: async () => {
      // A PREAUTH greeting: the server knows who this is.
      if (client.state !== client.states.NOT_AUTHENTICATED) return true;
      client.expectCapabilityUpdate = true;
      await signIn(client, client.capabilities, auth, credentials);
      await client.setAuthenticationState();
      return true;
    },
  });
}

function isChannel(client: ImapFlow): client is ImapFlow & SignInChannel {
  return ['authenticate', 'exec', 'write', 'setAuthenticationState'].every(
    (name) => typeof (client as unknown as Readonly<Record<string, unknown>>)[name] === 'function',
  );
}

/** How to sign in: by AUTHENTICATE with a mechanism, or by the LOGIN command. */
type Way = SaslMechanism | 'LOGIN command';

async function signIn(
  channel: SignInChannel,
  capabilities: ReadonlyMap<string, unknown>,
  auth: ServerAuth,
  credentials: Credentials,
): Promise<void> {
  if (credentials.kind === 'none') throw unavailable('NO_AUTH', 'The server wants a sign-in. Set auth of the account.');
  const offered = [...capabilities.keys()].flatMap((name) => /^AUTH=(.+)$/i.exec(name)?.[1]?.toUpperCase() ?? []);
  const login = !capabilities.has('LOGINDISABLED');
  const way = chooseWay(auth, offered, login);
  if (way === 'LOGIN command' && credentials.kind === 'password') {
    await refusable(channel.exec('LOGIN', [secret(credentials.user), secret(credentials.password)], {}));
  } else if (way && way !== 'LOGIN command') {
    await authenticate(channel, saslExchange(way, credentials), capabilities.has('SASL-IR'));
  } else {
    const all = login && !offered.includes('LOGIN') ? [...offered, 'LOGIN'] : offered;
    throw unavailable(login ? 'NO_AUTH' : 'LOGINDISABLED', noMechanismHint(allowedMechanisms(auth), all));
  }
}

function chooseWay(auth: ServerAuth, offered: readonly string[], login: boolean): Way | undefined {
  // Exchange takes the name of another mailbox, domain\user\mailbox, by the LOGIN command only.
  const named = auth.type === 'password' && auth.mechanisms === undefined && /[\\/]/.test(auth.user);
  if (named && login) return 'LOGIN command';
  for (const name of allowedMechanisms(auth)) {
    if (offered.includes(name)) return name;
    if (name === 'LOGIN' && login) return 'LOGIN command';
  }
  return undefined;
}

function unavailable(code: string, hint: string): StoreError {
  return new StoreError('permission', 'the server offers no sign-in that this account can use', { code, hint });
}

/** AUTHENTICATE (RFC 3501 section 6.2.2), with the client's first message on its line where SASL-IR is offered. */
async function authenticate(channel: SignInChannel, exchange: SaslExchange, initialResponse: boolean): Promise<void> {
  const { mechanism, initial, respond } = exchange;
  let first = initialResponse ? undefined : initial;
  const line = initialResponse && initial !== undefined ? [secret(initial, 'ATOM')] : [];
  await refusable(
    channel.exec('AUTHENTICATE', [atom(mechanism), ...line], {
      onPlusTag: async (challenge) => {
        // An asterisk cancels: the server then ends the command with BAD.
        channel.write(first ?? respond(textOf(challenge)) ?? '*');
        first = undefined;
      },
    }),
  );
}

function textOf({ attributes }: ImapResponse): string {
  const text: unknown = attributes?.[0];
  const value = typeof text === 'object' && text !== null && 'value' in text ? text.value : undefined;
  return typeof value === 'string' ? value.trim() : '';
}

/** Marks NO and BAD as the server's answer to the credentials; a lost connection or a throttle says nothing of them. */
async function refusable(command: Promise<{ next(): void }>): Promise<void> {
  try {
    (await command).next();
  } catch (error) {
    const { responseStatus, code } = error as { readonly responseStatus?: unknown; readonly code?: unknown };
    const refused = (responseStatus === 'NO' || responseStatus === 'BAD') && code !== 'ETHROTTLE';
    throw refused ? Object.assign(error as object, { authenticationFailed: true }) : error;
  }
}
