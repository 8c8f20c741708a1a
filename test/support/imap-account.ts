import type { Dovecot } from './dovecot.ts';
import type { Mailroom } from './mailroom.ts';

export interface ImapAccountOptions {
  readonly user?: string;
  readonly password?: string;
  readonly port?: number;
  /** The account's `import` on top of `schedule: null`. */
  readonly rule?: Readonly<Record<string, unknown>>;
  readonly folders?: readonly string[];
  readonly timeout?: number;
}

/** Makes (or changes) an account that imports from a Dovecot. */
export async function imapAccount(
  mailroom: Mailroom,
  name: string,
  server: Pick<Dovecot, 'ports' | 'users'>,
  options: ImapAccountOptions = {},
): Promise<void> {
  const user = options.user ?? 'tester';
  const secret = `${name}-imap`;
  await mailroom.secret(name, secret, options.password ?? server.users[user] ?? '');
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: `${name}@example.com`,
      store: {
        protocol: 'imap',
        host: '127.0.0.1',
        port: options.port ?? server.ports.imap,
        auth: { type: 'password', user, secret },
        tls: { starttls: 'never' },
        folders: options.folders ?? ['INBOX'],
        timeout: options.timeout ?? 20_000,
      },
      import: { schedule: null, ...options.rule },
    },
  });
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
