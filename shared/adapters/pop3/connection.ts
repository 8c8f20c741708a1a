import type { StoreError } from '../store.ts';
import { Body } from './body.ts';
import type { LineSocket } from './line-socket.ts';
import { connectionLost, nonsense, replyError } from './pop3-errors.ts';
import { type Capabilities, MAX_MESSAGES, parseReply, type Reply } from './replies.ts';

/** Commands sent ahead of their answers at most: enough to hide the way, few enough to fit any buffer. */
const MAX_AHEAD = 64;
/** Octets of a listing at most: a line of UIDL for every message a maildrop may have. Stops one that never ends. */
const MAX_LISTING = 64 * 1024 * 1024;

/** One POP3 connection: a command, its answer, and several of them in flight where the server allows it (RFC 2449). */
export class Pop3Connection {
  readonly socket: LineSocket;
  readonly capabilities: Capabilities | undefined;
  /** What the server says of itself in its greeting. */
  readonly serverName: string;
  #touched = false;

  constructor(socket: LineSocket, capabilities?: Capabilities, serverName = '') {
    this.socket = socket;
    this.capabilities = capabilities;
    this.serverName = serverName;
  }

  has(capability: string): boolean {
    return this.capabilities?.has(capability) ?? false;
  }

  get alive(): boolean {
    return this.socket.alive;
  }

  fail(failure: StoreError): StoreError {
    return this.socket.fail(failure);
  }

  /** A mail was asked for, or marked to be deleted: some servers make of that at QUIT what RSET takes back. */
  get touched(): boolean {
    return this.#touched;
  }

  #send(commands: readonly string[]): void {
    this.#touched ||= commands.some((line) => /^(RETR|TOP|DELE) /.test(line));
    this.socket.write(commands);
  }

  /** The first line of the next answer. A line that no POP3 server may send ends the connection. */
  async reply(doing: string, signal: AbortSignal): Promise<Reply> {
    const line = await this.socket.line(doing, signal);
    this.socket.logReply(line);
    const reply = parseReply(line);
    if (!reply) throw this.fail(nonsense(doing, 'an answer that makes no sense'));
    return reply;
  }

  /** Sends one command and reads the first line of its answer. `doing` replaces the command in errors. */
  async command(line: string, signal: AbortSignal, doing = line): Promise<Reply> {
    this.#inStep(doing);
    this.#send([line]);
    return this.reply(doing, signal);
  }

  /** Throws where the server has said something already: it would be taken for the answer to what is asked now. */
  #inStep(doing: string): void {
    if (!this.socket.early) return;
    // What a server says as it closes the connection is no such answer.
    const lost = connectionLost({ code: 'ECONNRESET' }, doing);
    throw this.fail(this.socket.alive ? nonsense(doing, 'an answer before its command', 'OUT_OF_STEP') : lost);
  }

  /** As `command`, and throws unless the server says +OK. */
  async ok(line: string, signal: AbortSignal, doing = line): Promise<Reply> {
    const reply = await this.command(line, signal, doing);
    if (reply.status === 'ok') return reply;
    throw reply.status === 'error' ? replyError(reply, doing) : this.fail(nonsense(doing, 'a challenge'));
  }

  /**
   * Sends commands and lets `read` read their answers, in order; ahead of them where the server takes that (PIPELINING).
   * What `read` throws leaves answers unread, so it ends the connection.
   */
  async each<T>(
    commands: readonly string[],
    read: (reply: Reply, index: number) => Promise<T> | T,
    signal: AbortSignal,
  ): Promise<T[]> {
    const ahead = this.has('PIPELINING') ? MAX_AHEAD : 1;
    const results: T[] = [];
    let sent = 0;
    if (commands.length > 0) this.#inStep(commands[0] ?? '');
    try {
      for (const [index, command] of commands.entries()) {
        if (index + ahead / 2 >= sent) {
          const next = commands.slice(sent, index + ahead);
          sent += next.length;
          if (next.length > 0) this.#send(next);
        }
        results.push(await read(await this.reply(command, signal), index));
      }
      return results;
    } catch (error) {
      this.fail(nonsense('to go on', 'answers are left unread'));
      throw error;
    }
  }

  /** The lines of a multi-line answer of at most `most` octets. Throws where it has more, or more than messages can be. */
  async lines(doing: string, signal: AbortSignal, most = MAX_LISTING): Promise<string[]> {
    const lines: string[] = [];
    for (let octets = 0; ; ) {
      const line = await this.socket.line(doing, signal);
      if (line === '.') return lines;
      octets += line.length + 2;
      if (lines.length >= MAX_MESSAGES || octets > most) {
        throw this.fail(nonsense(doing, 'a listing that does not end', 'LISTING_TOO_LONG'));
      }
      lines.push(line.startsWith('.') ? line.slice(1) : line);
    }
  }

  /** The octets that follow a +OK. `expected`: as LIST counts them. */
  body(doing: string, expected?: number): Body {
    return new Body(this.socket, doing, expected);
  }
}
