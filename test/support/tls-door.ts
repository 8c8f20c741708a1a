import { connect, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer, type SecureVersion, TLSSocket } from 'node:tls';
import type { TestCertificates } from './certificates.ts';

/** How a protocol offers TLS and switches to it. */
export interface TlsDialect {
  /** Takes every offer of TLS out of what the server says. */
  hide(text: string): string;
  /** Puts an offer into what the server says. */
  offer(text: string): string;
  /** The client asks for TLS by this line. */
  readonly command: RegExp;
  /** Yes, on one line without its end. */
  yes(command: string): string;
  no(command: string): string;
  /** Lines, and the beginning of one, that would spoil the session if a client took them for the server's. */
  readonly injections: { readonly lines: string; readonly fragment: string };
}

const tagOf = (line: string) => line.split(' ')[0] ?? '';

export const smtpDialect: TlsDialect = {
  hide: (text) => text.replace(/^250-STARTTLS\r\n/im, ''),
  // Only the reply to EHLO has several lines.
  offer: (text) => (text.startsWith('250-') ? text.replace('\r\n', '\r\n250-STARTTLS\r\n') : text),
  command: /^STARTTLS$/i,
  yes: () => '220 2.0.0 go on',
  no: () => '454 4.7.0 not now',
  injections: { lines: '250-evil.example\r\n250 AUTH CRAM-MD5\r\n', fragment: '535 5.7.8 injected ' },
};

export const imapDialect: TlsDialect = {
  hide: (text) => text.replace(/ STARTTLS\b/gi, ''),
  offer: (text) => text.replace(/CAPABILITY IMAP4rev1/g, '$& STARTTLS'),
  command: /^\S+ STARTTLS$/i,
  yes: (command) => `${tagOf(command)} OK begin`,
  no: (command) => `${tagOf(command)} NO not now`,
  injections: { lines: '* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n', fragment: '* BYE ' },
};

export interface TlsDoorOptions {
  /** The server behind: plain text, or with an offer of TLS that the door hides. */
  readonly backend: { readonly host: string; readonly port: number };
  readonly dialect: TlsDialect;
  readonly certificate: TestCertificates;
  /** TLS from the first byte, or as the client asks for it; `hidden`: never. */
  readonly tls: 'implicit' | 'offered' | 'refused' | 'hidden';
  readonly versions?: { readonly min: SecureVersion; readonly max: SecureVersion };
  /** Plain text that comes along with the yes, before the handshake. */
  readonly inject?: string;
}

/** A server's TLS, as a test wants it, in front of a server that has none. */
export interface TlsDoor {
  readonly port: number;
  readonly connections: () => number;
  /** Handshakes that came to their end. */
  readonly secured: () => number;
  /** What clients have said in plain text. */
  readonly overheard: () => string;
  /** Names that clients have asked for (RFC 6066 section 3). */
  readonly names: () => readonly string[];
  stop(): Promise<void>;
}

export async function startTlsDoor(options: TlsDoorOptions): Promise<TlsDoor> {
  const sockets = new Set<Socket>();
  const names: string[] = [];
  const counts = { connections: 0, secured: 0 };
  let overheard = '';
  const { certificate, versions } = options;
  const old = versions?.min === 'TLSv1' ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {};
  const context = {
    key: certificate.key,
    cert: certificate.cert,
    ...(versions ? { minVersion: versions.min, maxVersion: versions.max } : {}),
    ...old,
  };
  const secureContext = createSecureContext(context);
  const SNICallback = (name: string, done: (error: Error | null, context?: typeof secureContext) => void) => {
    names.push(name);
    done(null, secureContext);
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    return socket;
  };
  const behind = () => keep(connect(options.backend.port, options.backend.host));

  /** Everything through, but for offers of TLS; with `greeted` the client has had its greeting. */
  function through(client: Socket, greeted: boolean): void {
    const server = behind();
    const pass = (chunk: Buffer) => client.write(options.dialect.hide(chunk.toString('latin1')), 'latin1');
    const begin = () => {
      server.on('data', pass);
      client.on('data', (chunk) => server.write(chunk));
    };
    // A server may take offence at a client that speaks before it was greeted.
    if (greeted) server.once('data', begin);
    else begin();
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }

  function secure(client: Socket): void {
    const tls = new TLSSocket(client, { isServer: true, secureContext, SNICallback, ...context });
    keep(tls);
    tls.once('secure', () => {
      counts.secured += 1;
      through(tls, true);
    });
  }

  function plain(client: Socket): void {
    const { dialect, tls } = options;
    const server = behind();
    let pending = '';
    server.on('data', (chunk) => {
      const hidden = dialect.hide(chunk.toString('latin1'));
      client.write(tls === 'hidden' ? hidden : dialect.offer(hidden), 'latin1');
    });
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    client.on('data', (chunk) => {
      overheard += chunk.toString('latin1');
      pending += chunk.toString('latin1');
      for (let end = pending.indexOf('\r\n'); end >= 0; end = pending.indexOf('\r\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        if (tls === 'hidden' || !dialect.command.test(line)) server.write(`${line}\r\n`, 'latin1');
        else if (tls === 'refused') client.write(`${dialect.no(line)}\r\n`);
        else {
          client.removeAllListeners('data');
          server.removeAllListeners('close').destroy();
          client.write(`${dialect.yes(line)}\r\n${options.inject ?? ''}`);
          secure(client);
          return;
        }
      }
    });
  }

  const counted = (client: Socket) => {
    counts.connections += 1;
    keep(client);
  };
  let server: Server;
  if (options.tls === 'implicit') {
    server = createTlsServer({ ...context, SNICallback }, (client) => {
      counts.secured += 1;
      through(keep(client), false);
    });
    server.on('connection', counted).on('tlsClientError', () => {});
  } else {
    server = createServer((client) => {
      counted(client);
      plain(client);
    });
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    connections: () => counts.connections,
    secured: () => counts.secured,
    overheard: () => overheard,
    names: () => names,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
