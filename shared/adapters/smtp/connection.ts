import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { DialogueLog } from '../dialogue.ts';
import { startTls } from '../net/start-tls.ts';
import type { Trouble } from '../transport.ts';
import { cutTrouble } from '../trouble.ts';
import { lossTrouble } from './connection-trouble.ts';
import { type RawReply, ReplyReader } from './reply-reader.ts';

/** The connection is gone, with the trouble that it means for whatever waited on it. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly trouble: Trouble;

  constructor(trouble: Trouble) {
    super(`the connection is lost: ${trouble.code ?? trouble.scope}`);
    this.trouble = trouble;
  }
}

/** How long a connection waits for its server. */
export interface ConnectionLimits {
  /** ms without an octet in either direction; 0: only the caller's signal bounds it. */
  readonly silence: number;
  /** The same while the greeting and a TLS handshake are waited for. */
  readonly greeting: number;
}

interface Waiter {
  readonly resolve: (reply: RawReply) => void;
  readonly reject: (lost: ConnectionLost) => void;
}

/** A line to send, and how the dialogue shows it, where that is another one. */
export interface Command {
  readonly line: string;
  readonly shown?: string;
}

const endHint = 'The server closed the connection. It may pass; the server’s log says why.';
const earlyHint = 'The server answers commands that were not sent yet. Look at the server’s log.';
const injectedHint =
  'The server sent plain text after it agreed to STARTTLS. Somebody in between may have put it into the connection. Use smtps, and look at the network.';

/**
 * A connection as commands and the replies to them, in order. A reply counts only once its command was sent: whatever
 * comes before ends the connection, since nobody could say any more which reply belongs to what. Everything that waits
 * ends with the first failure, which destroys the socket.
 */
export class SmtpConnection {
  #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #dialogue: DialogueLog | undefined;
  #reader = new ReplyReader();
  /** Replies that are owed, the first of them the greeting. */
  readonly #waiting: Waiter[] = [];
  #drained: { readonly resolve: () => void; readonly reject: (lost: ConnectionLost) => void } | undefined;
  readonly #endListeners = new Set<() => void>();
  #failure: ConnectionLost | undefined;
  #greeted = false;
  /** A reply has begun that no command was sent for. */
  #early = false;
  #upgrading = false;

  constructor(socket: Socket, limits: ConnectionLimits, dialogue?: DialogueLog) {
    this.#socket = socket;
    this.#limits = limits;
    this.#dialogue = dialogue;
    this.#listen(socket);
    socket.setTimeout(limits.greeting);
  }

  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** The address of this side, for a client without a name (RFC 5321 section 4.1.3). */
  get localAddress(): string {
    return this.#socket.localAddress ?? '127.0.0.1';
  }

  /** The first words of the server, which no command asks for. Throws ConnectionLost. */
  async greeting(): Promise<RawReply> {
    const reply = await this.nextReply();
    this.#greeted = true;
    this.#socket.setTimeout(this.#limits.silence);
    return reply;
  }

  /** Sends a command and answers its reply. Throws ConnectionLost. */
  async command(line: string, shown?: string): Promise<RawReply> {
    const [reply] = this.commands([shown === undefined ? { line } : { line, shown }]);
    if (!reply) throw new Error('a command without a reply');
    return await reply;
  }

  /** Sends commands in one piece (RFC 2920). The replies come in their order; each may reject with ConnectionLost. */
  commands(commands: readonly Command[]): readonly Promise<RawReply>[] {
    const replies = commands.map(() => this.nextReply());
    if (!this.alive) return replies;
    if (this.#dialogue) for (const { line, shown } of commands) this.#dialogue.client(shown ?? line);
    this.#socket.write(commands.map(({ line }) => `${line}\r\n`).join(''));
    return replies;
  }

  /** The reply that comes next, for what is sent otherwise. Rejects with ConnectionLost; nobody need wait for it. */
  nextReply(): Promise<RawReply> {
    const reply = new Promise<RawReply>((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      else this.#waiting.push({ resolve, reject });
    });
    reply.catch(() => undefined);
    return reply;
  }

  /** Sends octets; resolves when the socket takes more. Rejects with ConnectionLost. */
  write(octets: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      else if (octets.length === 0 || this.#socket.write(octets)) resolve();
      else this.#drained = { resolve, reject };
    });
  }

  /**
   * STARTTLS, and TLS from here on (RFC 3207). Answers the reply where that is no 220. Throws ConnectionLost, also where
   * octets came behind the reply: they came unencrypted, and somebody in between may have put them there to be taken for
   * replies under TLS (CVE-2011-0411).
   */
  async startTls(options: ConnectionOptions, host: string, signal: AbortSignal): Promise<RawReply | undefined> {
    const plain = this.#socket;
    this.#upgrading = true;
    const reply = await this.command('STARTTLS');
    if (reply.code !== 220) {
      this.#upgrading = false;
      return reply;
    }
    if (this.#failure) throw this.#failure;
    if (this.#early || plain.readableLength > 0) throw this.fail(this.#earlyTrouble());
    plain.removeAllListeners('data').pause();
    plain.setTimeout(0);
    try {
      this.#socket = await startTls(plain, options, { host, timeout: this.#limits.greeting }, signal);
    } catch (error) {
      throw this.fail(signal.aborted ? cutTrouble(signal) : lossTrouble(error));
    }
    for (const event of ['end', 'close', 'error', 'timeout', 'drain']) plain.removeAllListeners(event);
    plain.on('error', () => undefined);
    this.#upgrading = false;
    this.#listen(this.#socket);
    this.#socket.setTimeout(this.#limits.silence);
    return undefined;
  }

  /** Ends the connection at once: text on its way stays without its end, and the server drops it. Answers the first reason. */
  fail(trouble: Trouble): ConnectionLost {
    if (this.#failure) return this.#failure;
    const lost = new ConnectionLost(trouble);
    this.#failure = lost;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(lost);
    this.#drained?.reject(lost);
    for (const ended of [...this.#endListeners]) ended();
    this.#endListeners.clear();
    return lost;
  }

  /** Calls `ended` once, when the connection is gone for whatever reason. Answers how to stop listening. */
  onEnd(ended: () => void): () => void {
    if (!this.alive) {
      ended();
      return () => undefined;
    }
    this.#endListeners.add(ended);
    return () => this.#endListeners.delete(ended);
  }

  #listen(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => {
      this.#drained?.resolve();
      this.#drained = undefined;
    });
    const ended = () => this.fail({ scope: 'connection', code: 'ECONNECTION', hint: endHint });
    socket.on('end', ended).on('close', ended);
    socket.on('error', (error) => this.fail(lossTrouble(error)));
    socket.on('timeout', () => {
      // Where this process was held up, octets may be waiting that nobody has had the time to read: look once more.
      const read = socket.bytesRead;
      setImmediate(() => {
        if (socket.bytesRead === read) this.fail(this.#silent());
      });
    });
  }

  #read(chunk: Buffer): void {
    if (!this.alive) return;
    let replies: readonly RawReply[];
    try {
      replies = this.#reader.push(chunk);
    } catch {
      this.fail(this.#nonsense());
      return;
    }
    for (const reply of replies) {
      const waiter = this.#early ? undefined : this.#waiting.shift();
      this.#early = false;
      for (const [index, line] of reply.lines.entries()) {
        this.#dialogue?.server(`${reply.code}${index < reply.lines.length - 1 ? '-' : ' '}${line}`);
      }
      if (waiter) waiter.resolve(reply);
      // A server that closes an idle connection says so (RFC 5321 section 3.8).
      else if (reply.code === 421) this.fail({ scope: 'connection', code: 'ECONNECTION', hint: endHint });
      else this.fail(this.#earlyTrouble());
    }
    // Its command may yet be sent before it ends.
    if (this.#reader.inReply && this.#waiting.length === 0) this.#early = true;
  }

  #earlyTrouble(): Trouble {
    return this.#upgrading
      ? { scope: 'connection', code: 'STARTTLS_INJECTION', hint: injectedHint }
      : { scope: 'connection', code: 'EPROTOCOL', hint: earlyHint };
  }

  #nonsense(): Trouble {
    const hint = this.#greeted
      ? 'The server answered what no SMTP client can follow. Look at the server’s log.'
      : 'What answers there does not speak SMTP. Check host and port.';
    return { scope: 'connection', code: 'EPROTOCOL', hint };
  }

  #silent(): Trouble {
    const hint = this.#greeted
      ? 'The server went silent. It may pass; timeout is how long it may be.'
      : 'The server took the connection and never greeted. If the port speaks TLS from the start, use smtps.';
    return { scope: 'connection', code: 'ETIMEDOUT', hint };
  }
}
