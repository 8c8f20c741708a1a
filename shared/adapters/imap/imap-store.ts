import { type MailStore, StoreError } from '../store.ts';
import { ImapConnection } from './connection.ts';
import { ImapSession } from './imap-session.ts';
import type { ImapConnectionConfig } from './library-options.ts';

/** What the store asks of the service. */
export interface StoreContext {
  /** Reads a secret by its name; throws where it is missing. */
  secret(name: string, signal: AbortSignal): Promise<string>;
}

/** IANA's ports for imap and imaps. */
const standardPorts = [143, 993];

/**
 * Fetches mail by IMAP4rev1 (RFC 3501), with STARTTLS or over TLS. The identity is `imap://{user}@{host}`, so that a
 * mailbox stays the same one when an account changes from imap to imaps. A port of its own is part of it: two servers
 * on one host may have made their folders in the same second, and so with the same UIDVALIDITY.
 */
export function createImapStore(config: ImapConnectionConfig, context: StoreContext): MailStore {
  const { auth } = config;
  const port = config.port === undefined || standardPorts.includes(config.port) ? '' : `:${config.port}`;
  const host = `${config.host.toLowerCase()}${port}`;
  const identity = auth.type === 'password' ? `imap://${auth.user}@${host}` : `imap://${host}`;
  return {
    protocol: config.protocol,
    abilities: { markRead: true, move: true, stableBytes: true },
    identity,
    open: async ({ signal, cut }) => {
      const password = auth.type === 'password' ? await readSecret(context, auth.secret, signal) : undefined;
      const connection = await ImapConnection.open(config, password, signal);
      if (cut) connection.cutBy(cut);
      return new ImapSession(connection, identity);
    },
  };
}

/** A secret that cannot be read says nothing about whether the server would take it, so it is no `signIn` failure. */
async function readSecret(context: StoreContext, name: string, signal: AbortSignal): Promise<string> {
  const failure = (what: string, cause?: unknown) =>
    new StoreError('connection', `the secret ${name} ${what}`, {
      code: 'SECRET',
      hint: `Store the password as the secret ${name}.`,
      cause,
    });
  let value: string;
  try {
    value = await context.secret(name, signal);
  } catch (error) {
    throw error instanceof StoreError ? error : failure('could not be read', error);
  }
  if (value === '') throw failure('is empty');
  return value;
}
