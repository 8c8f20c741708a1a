import type { Dovecot } from './dovecot.ts';
import type { Mailroom } from './mailroom.ts';
import { type AccountServer, type ServerAccountOptions, serverAccount } from './server-account.ts';

/** Makes (or changes) an account that imports from a Dovecot by IMAP. */
export async function imapAccount(
  mailroom: Mailroom,
  name: string,
  server: AccountServer,
  options: Omit<ServerAccountOptions, 'protocol'> = {},
): Promise<void> {
  await serverAccount(mailroom, name, server, options);
}

/** Puts mails into a folder, over one connection. */
export async function deliverAll(
  server: Dovecot,
  mails: readonly { readonly bytes: Buffer }[],
  options: { readonly user?: string; readonly folder?: string; readonly date?: (n: number) => Date } = {},
): Promise<void> {
  const client = await server.client(options.user);
  try {
    for (const [n, mail] of mails.entries()) {
      await client.append(options.folder ?? 'INBOX', mail.bytes, options.date ? { date: options.date(n) } : {});
    }
  } finally {
    client.close();
  }
}
