import type { Dsn } from '../../accounts/dsn.ts';
import { raceWith } from '../../platform/race-with.ts';
import type { PooledSession } from '../connections/session-pool.ts';
import type { DialogueLog } from '../dialogue.ts';
import type { OutgoingText } from '../outgoing-text.ts';
import type { Scrub } from '../redaction.ts';
import type { Trouble } from '../transport.ts';
import { cutTrouble } from '../trouble.ts';
import type { Capabilities } from './capabilities.ts';
import { type Command, ConnectionLost, type SmtpConnection } from './connection.ts';
import { DotStuffing } from './dot-stuffing.ts';
import { mailCommand, recipientCommand } from './envelope-commands.ts';
import { isNegative, isPositive, keptReply, type SmtpReply } from './reply.ts';
import type { RawReply } from './reply-reader.ts';
import type { Step } from './reply-trouble.ts';
import { isAscii } from './smtp-envelope.ts';

/** How one transaction ended. */
export type TransactionEnd =
  | { readonly kind: 'accepted'; readonly reply: SmtpReply }
  /** A 4yz or 5yz to MAIL, to every RCPT, to DATA or to the end of the text. */
  | { readonly kind: 'refused'; readonly step: Step; readonly reply: SmtpReply }
  /** No answer that counts: cut, lost, silent, or an answer that cannot be meant. */
  | { readonly kind: 'lost'; readonly trouble: Trouble };

/** The result of one transaction, recipient by recipient (addresses as SMTP carries them). */
export interface Transaction {
  readonly accepted: ReadonlySet<string>;
  readonly refused: ReadonlyMap<string, SmtpReply>;
  readonly end: TransactionEnd;
}

/** A mail as a session offers it. */
export interface MailToSend {
  /** Empty for a null reverse-path. */
  readonly from: string;
  /** Every recipient once. */
  readonly to: readonly string[];
  readonly dsn: Dsn | undefined;
  /** Its headers or its envelope hold characters outside ASCII (RFC 6531). */
  readonly smtpUtf8: boolean;
  /** Octets. */
  readonly size: number;
  readonly outgoing: OutgoingText;
}

/** Time in ms for a server to say goodbye before its connection is cut. */
const QUIT_GRACE_MS = 1_000;
/** Time in ms for a server to answer RSET: it has nothing to do for it. */
const RESET_LIMIT_MS = 10_000;

const unexpectedHint = 'The server answered what no SMTP client can follow. Look at the server’s log.';
const unexpectedReply: TransactionEnd = {
  kind: 'lost',
  trouble: { scope: 'connection', code: 'EPROTOCOL', hint: unexpectedHint },
};

/** Why is known to the text itself. */
const textStopped: TransactionEnd = { kind: 'lost', trouble: { scope: 'message', code: 'TEXT_STOPPED' } };

/** One signed-in connection. Carries one mail at a time. */
export class SmtpSession implements PooledSession {
  /** Mails it was given so far. */
  mails = 0;
  readonly capabilities: Capabilities;
  readonly #connection: SmtpConnection;
  readonly #scrub: Scrub;
  readonly #dialogue: DialogueLog | undefined;

  constructor(connection: SmtpConnection, capabilities: Capabilities, scrub: Scrub, dialogue?: DialogueLog) {
    this.#connection = connection;
    this.capabilities = capabilities;
    this.#scrub = scrub;
    this.#dialogue = dialogue;
  }

  get alive(): boolean {
    return this.#connection.alive;
  }

  /** Calls `ended` once, when the connection is gone for whatever reason. Answers how to stop listening. */
  onEnd(ended: () => void): () => void {
    return this.#connection.onEnd(ended);
  }

  /** Offers one mail. Never rejects; an abort cuts the connection, and so does a text that fails. */
  async send(mail: MailToSend, signal: AbortSignal): Promise<Transaction> {
    this.mails += 1;
    this.#dialogue?.attach();
    const onAbort = () => this.#connection.fail(cutTrouble(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const accepted = new Set<string>();
    const refused = new Map<string, SmtpReply>();
    let end: TransactionEnd;
    try {
      end = await this.#transact(mail, accepted, refused);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      end = { kind: 'lost', trouble: error.trouble };
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    // Anything but a clean end leaves text on the way, which the server would read as commands.
    if (end.kind === 'lost' || isClosing(end.reply) || (mail.outgoing.opened && !mail.outgoing.ended)) this.cut();
    await mail.outgoing.cut();
    return { accepted, refused, end };
  }

  async #transact(mail: MailToSend, accepted: Set<string>, refused: Map<string, SmtpReply>): Promise<TransactionEnd> {
    const commands = this.#envelopeCommands(mail);
    const toSender = await commands.next();
    if (!isPositive(toSender)) {
      if (commands.pipelined && !isClosing(toSender)) await this.#readOutOfTurn(commands, mail.to.length);
      return isNegative(toSender) ? this.#refusal('mail', toSender) : unexpectedReply;
    }
    for (const recipient of mail.to) {
      const reply = await commands.next();
      if (isClosing(reply)) return this.#refusal('rcpt', reply);
      if (isPositive(reply)) accepted.add(recipient);
      else if (isNegative(reply)) refused.set(recipient, keptReply(reply, this.#scrub));
    }
    const nobody = accepted.size === 0;
    const data = nobody && !commands.pipelined ? undefined : await commands.next();
    // To a DATA that was sent along with its recipients, a server may ask for the text although it takes none of them. It
    // gets an empty one (RFC 2920 section 3.1).
    if (nobody && data?.code === 354) await this.#connection.command('.');
    if (nobody) return everyoneRefused(mail.to, refused);
    if (data?.code === 354) return await this.#sendText(mail.outgoing);
    return data && isNegative(data) ? this.#refusal('data', data) : unexpectedReply;
  }

  /**
   * Reads the answers to what was sent along with a sender that is not taken. They say nothing about the recipients, and
   * a connection that is lost meanwhile changes nothing about the refusal.
   */
  async #readOutOfTurn(commands: { next(): Promise<RawReply> }, recipients: number): Promise<void> {
    try {
      for (let n = 0; n < recipients; n += 1) {
        if (isClosing(await commands.next())) return this.cut();
      }
      // The server may not read an empty text as that of a mail.
      if ((await commands.next()).code === 354) this.cut();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
  }

  /** The commands of an envelope: in one piece where the server offers PIPELINING (RFC 2920), else one by one. */
  #envelopeCommands({ from, to, dsn, size, smtpUtf8 }: MailToSend) {
    const { pipelining } = this.capabilities;
    const commands: Command[] = [
      { line: mailCommand(from, { dsn, size, smtpUtf8 }, this.capabilities) },
      ...to.map((address) => ({ line: recipientCommand(address, dsn, this.capabilities) })),
      { line: 'DATA' },
    ];
    const replies = pipelining ? [...this.#connection.commands(commands)] : [];
    return {
      pipelined: pipelining,
      next: async (): Promise<RawReply> => {
        const sent = replies.shift();
        if (sent) return await sent;
        const command = commands.shift();
        if (!command || pipelining) throw new Error('an envelope has no more commands');
        return await this.#connection.command(command.line);
      },
    };
  }

  #refusal(step: Step, reply: RawReply): TransactionEnd {
    return { kind: 'refused', step, reply: keptReply(reply, this.#scrub) };
  }

  async #sendText(outgoing: OutgoingText): Promise<TransactionEnd> {
    const answer = this.#connection.nextReply();
    // Whatever comes before the end of the text stops it, and so does a connection that is gone.
    const orEarly = raceWith(answer.then(() => 'early' as const));
    const text = outgoing.stream[Symbol.asyncIterator]();
    const stuffing = new DotStuffing();
    let whole = false;
    try {
      for (;;) {
        const next = await orEarly(text.next());
        if (next === 'early') break;
        whole = next.done === true;
        const octets = whole ? stuffing.end() : stuffing.push(next.value);
        await orEarly(this.#connection.write(octets));
        if (whole) break;
      }
    } catch {
      // The text failed or was stopped, and knows why itself; or the connection is gone, and rejects below.
      if (this.alive) return textStopped;
    }
    const reply = await answer;
    if (isNegative(reply)) return this.#refusal('end', reply);
    // A yes before the end of the text answers something else.
    return whole && isPositive(reply) ? { kind: 'accepted', reply: keptReply(reply, this.#scrub) } : unexpectedReply;
  }

  /**
   * Offers an envelope without a mail, from an address to itself, and takes it back (RFC 5321 section 4.1.1.5): the
   * refusal, or undefined where both are taken. Rejects with ConnectionLost.
   */
  async tryEnvelope(
    address: string,
  ): Promise<{ readonly step: 'mail' | 'rcpt'; readonly reply: SmtpReply } | undefined> {
    const smtpUtf8 = !isAscii(address);
    const sender = await this.#connection.command(
      mailCommand(address, { dsn: undefined, size: 0, smtpUtf8 }, this.capabilities),
    );
    const recipient = isPositive(sender)
      ? await this.#connection.command(recipientCommand(address, undefined, this.capabilities))
      : undefined;
    await this.#connection.command('RSET');
    if (!recipient) return { step: 'mail', reply: keptReply(sender, this.#scrub) };
    return isPositive(recipient) ? undefined : { step: 'rcpt', reply: keptReply(recipient, this.#scrub) };
  }

  /** Makes the session ready for another mail after a refusal (RFC 5321 section 4.1.1.5). False: it is of no more use. */
  async reset(signal: AbortSignal): Promise<boolean> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(RESET_LIMIT_MS)]);
    const onAbort = () => this.cut();
    limit.addEventListener('abort', onAbort, { once: true });
    if (limit.aborted) onAbort();
    try {
      return isPositive(await this.#connection.command('RSET')) && this.alive;
    } catch {
      return false;
    } finally {
      limit.removeEventListener('abort', onAbort);
    }
  }

  /** Says goodbye and closes; cuts where the server does not answer within a second. */
  async quit(): Promise<void> {
    const timer = setTimeout(() => this.cut(), QUIT_GRACE_MS);
    await this.#connection.command('QUIT').catch(() => undefined);
    clearTimeout(timer);
    this.cut();
  }

  /** Destroys the socket: a mail whose text is on its way stays without its end, and the server drops it. */
  cut(): void {
    this.#connection.fail({ scope: 'connection', code: 'CLOSED' });
  }
}

/** 421: the server closes the connection, whatever it answers (RFC 5321 section 3.8). */
const isClosing = ({ code }: { readonly code: number }): boolean => code === 421;

/** Where some are to come again, the mail is not refused for good. */
function everyoneRefused(to: readonly string[], refused: ReadonlyMap<string, SmtpReply>): TransactionEnd {
  const replies = to.map((recipient) => refused.get(recipient)).filter((reply) => reply !== undefined);
  const reply = replies.find(({ code }) => code < 500) ?? replies.at(-1);
  return reply ? { kind: 'refused', step: 'rcpt', reply } : unexpectedReply;
}
