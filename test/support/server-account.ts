import type { DovecotPorts } from './dovecot-config.ts';
import type { Mailroom } from './mailroom.ts';

export interface ServerAccountOptions {
  /** Default: imap. */
  readonly protocol?: 'imap' | 'imaps' | 'pop3' | 'pop3s';
  readonly user?: string;
  readonly password?: string;
  readonly port?: number;
  /** The account's `import` on top of `schedule: null`. */
  readonly rule?: Readonly<Record<string, unknown>>;
  readonly folders?: readonly string[];
  /** Default: no STARTTLS, or over TLS the server's own authority. */
  readonly tls?: Readonly<Record<string, unknown>>;
  readonly timeout?: number;
}

/** What an account needs to know of its server: a Dovecot, or a scripted one. */
export interface AccountServer {
  readonly ports: Partial<DovecotPorts>;
  readonly users: Readonly<Record<string, string>>;
  readonly certificates?: { readonly ca: string };
}

/** Makes (or changes) an account that imports from a mail server. */
export async function serverAccount(
  mailroom: Mailroom,
  name: string,
  server: AccountServer,
  options: ServerAccountOptions = {},
): Promise<void> {
  const { protocol = 'imap', user = 'tester' } = options;
  const secret = `${name}-${protocol}`;
  const tls = protocol.endsWith('s') ? { ca: server.certificates?.ca ?? null } : { starttls: 'never' };
  await mailroom.secret(name, secret, options.password ?? server.users[user] ?? '');
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: `${name}@example.com`,
      store: {
        protocol,
        host: '127.0.0.1',
        port: options.port ?? server.ports[protocol],
        auth: { type: 'password', user, secret },
        tls: options.tls ?? tls,
        folders: options.folders ?? ['INBOX'],
        timeout: options.timeout ?? 20_000,
      },
      import: { schedule: null, ...options.rule },
    },
  });
}
