import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { LocalCertificate } from '../certificate.ts';
import { serveConnection } from './connection.ts';
import { Mailbox } from './mailbox.ts';

export interface ImapAccount {
  readonly user: string;
  readonly password: string;
}

export interface ImapMailboxOptions {
  readonly accounts: readonly ImapAccount[];
  /** Absent: the system picks. */
  readonly port?: number;
  /** STARTTLS is offered with it. */
  readonly certificate?: LocalCertificate;
}

export interface DeliverOptions {
  /** Default: INBOX; made when absent. */
  readonly folder?: string;
  readonly flags?: readonly string[];
  /** Milliseconds since the epoch; default: now. */
  readonly receivedAt?: number;
}

export interface ImapMailbox {
  readonly port: number;
  readonly users: readonly string[];
  /**
   * Puts a mail into a user's folder and answers its UID; undefined when there is no such user. Throws when the
   * mailbox is full.
   */
  deliver(user: string, bytes: Buffer, options?: DeliverOptions): number | undefined;
  /** What a folder holds now, in the order of arrival. */
  mails(user: string, folder?: string): readonly { uid: number; bytes: Buffer; flags: readonly string[] }[];
  stop(): Promise<void>;
}

/** Clients of one laptop. */
const maxConnections = 100;
/** RFC 3501 section 5.4: at least 30 minutes. */
const idleMs = 30 * 60_000;

/**
 * A small IMAP4rev1 server on 127.0.0.1 with its mail in memory, for machines without one. It answers BAD to what it
 * does not know (BODYSTRUCTURE among it): a stand-in for trying things out, not a measure for the product.
 */
export async function startImapMailbox(options: ImapMailboxOptions): Promise<ImapMailbox> {
  const boxes = new Map(options.accounts.map(({ user, password }) => [user, { password, mailbox: new Mailbox() }]));
  const secureContext = options.certificate && createSecureContext(options.certificate);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.setTimeout(idleMs, () => socket.destroy());
    serveConnection(socket, {
      secureContext,
      signIn(user, password) {
        const box = boxes.get(user);
        return box?.password === password ? box.mailbox : undefined;
      },
    }).catch(() => socket.destroy());
  });
  server.maxConnections = maxConnections;
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    users: [...boxes.keys()],
    deliver(user, bytes, { folder = 'INBOX', flags = [], receivedAt = Date.now() } = {}) {
      const mailbox = boxes.get(user)?.mailbox;
      if (!mailbox) return undefined;
      mailbox.checkRoom(bytes.length);
      return (mailbox.find(folder) ?? mailbox.create(folder)).append(bytes, flags, receivedAt).uid;
    },
    mails(user, folder = 'INBOX') {
      const mails = boxes.get(user)?.mailbox.find(folder)?.mails ?? [];
      return mails.map((mail) => ({ uid: mail.uid, bytes: mail.bytes, flags: [...mail.flags] }));
    },
    async stop() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
