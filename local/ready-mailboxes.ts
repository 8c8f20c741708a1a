import { graphUser, mailboxUser } from './laptop-mailboxes.ts';
import type { AppIdentity } from './laptop-settings.ts';

/** A mailbox that can be connected as it is: what the console offers with one click. */
export interface ReadyMailbox {
  /** Of the account. */
  readonly name: string;
  /** What the button says. */
  readonly title: string;
  /** A body for `PUT /accounts/{account}`. */
  readonly account: object;
  /** Values by name. */
  readonly secrets: Readonly<Record<string, string>>;
}

export interface ImapParts {
  readonly smtpPort: number;
  readonly imapPort: number;
  readonly password: string;
}

/** The embedded IMAP mailbox, with the SMTP sink to send by; imported only on request. */
export function imapReadyMailbox({ smtpPort, imapPort, password }: ImapParts): ReadyMailbox {
  // Both are on this machine: the password crosses no network.
  const tls = { starttls: 'never' };
  const host = '127.0.0.1';
  return {
    name: 'corpus',
    title: 'Demo mailbox by IMAP and SMTP',
    account: {
      from: `Corpus <${mailboxUser}@example.com>`,
      transport: { protocol: 'smtp', host, port: smtpPort, tls },
      store: {
        protocol: 'imap',
        host,
        port: imapPort,
        auth: { type: 'password', user: mailboxUser, secret: 'corpus-imap' },
        tls,
      },
      import: { schedule: null },
    },
    secrets: { 'corpus-imap': password },
  };
}

/** The mailbox of the stand-in for Microsoft Graph; imported only on request. */
export function graphReadyMailbox({ tenantId, clientId, secret }: AppIdentity): ReadyMailbox {
  const name = 'graph-demo';
  const credential = { type: 'clientSecret', tenantId, clientId, secret: `${name}-client-secret` };
  const end = { protocol: 'graph', userId: graphUser, credential };
  return {
    name,
    title: 'Demo mailbox by Microsoft Graph',
    account: { from: graphUser, transport: end, store: end, import: { schedule: null } },
    secrets: { [credential.secret]: secret },
  };
}
