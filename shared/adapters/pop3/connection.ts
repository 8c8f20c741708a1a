import type { StoreError } from '../store.ts';
import { Body } from './body.ts';
import { nonsense, replyError } from './pop3-errors.ts';
import { type Capabilities, MAX_MESSAGES, parseReply, type Reply } from './replies.ts';
import type { Wire } from './wire.ts';

/** Commands sent ahead of their answers at most: enough to hide the way, few enough to fit any buffer. */
const MAX_AHEAD = 64;
/** Octets of a listing at most: a line of UIDL for every message a maildrop may have. Stops one that never ends. */
const MAX_LISTING = 64 * 1024 * 1024;

/** One POP3 connection: a command, its answer, and several of them in flight where the server allows it (RFC 2449). */
export class Pop3Connection {
  readonly wire: Wire;
  readonly capabilities: Capabilities | undefined;

  constructor(wire: Wire, capabilities?: Capabilities) {
    this.wire = wire;
    this.capabilities = capabilities;
  }

  has(capability: string): boolean {
    return this.capabilities?.has(capability) ?? false;
  }

  get alive(): boolean {
    return this.wire.alive;
  }

  fail(failure: StoreError): StoreError {
    return this.wire.fail(failure);
  }

  /** The first line of the next answer. An answer that is none ends the connection. */
  async reply(doing: string, signal: AbortSignal): Promise<Reply> {
    const line = await this.wire.line(doing, signal);
    this.wire.heard(line);
    const reply = parseReply(line);
    if (!reply) throw this.fail(nonsense(doing, 'an answer that makes no sense'));
    return reply;
  }

  /** Sends one command and reads the first line of its answer. `doing` replaces the command in errors. */
  async command(line: string, signal: AbortSignal, doing = line): Promise<Reply> {
    this.wire.write([line]);
    return this.reply(doing, signal);
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
    try {
      for (const [index, command] of commands.entries()) {
        if (index + ahead / 2 >= sent) {
          const next = commands.slice(sent, index + ahead);
          sent += next.length;
          if (next.length > 0) this.wire.write(next);
        }
        results.push(await read(await this.reply(command, signal), index));
      }
      return results;
    } catch (error) {
      this.fail(nonsense('to go on', 'answers are left unread'));
      throw error;
    }
  }

  /** The lines of a multi-line answer. Throws where there are more than a maildrop can have messages. */
  async lines(doing: string, signal: AbortSignal): Promise<string[]> {
    const lines: string[] = [];
    for (let octets = 0; ; ) {
      const line = await this.wire.line(doing, signal);
      if (line === '.') return lines;
      octets += line.length + 2;
      if (lines.length >= MAX_MESSAGES || octets > MAX_LISTING) {
        throw this.fail(nonsense(doing, 'a listing that does not end', 'LISTING_TOO_LONG'));
      }
      lines.push(line.startsWith('.') ? line.slice(1) : line);
    }
  }

  /** The octets that follow a +OK. `expected`: as LIST counts them. */
  body(doing: string, expected?: number): Body {
    return new Body(this.wire, doing, expected);
  }
}
