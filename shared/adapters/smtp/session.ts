import type { NodemailerError } from 'nodemailer';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { CommitGate } from '../commit-gate.ts';
import type { Scrub } from '../sasl.ts';
import type { PooledSession } from '../session-pool.ts';
import type { Envelope } from '../transport.ts';
import { cutTrouble, type Trouble } from '../trouble.ts';
import { parseReply, type SmtpReply } from './reply.ts';
import { lossTrouble } from './set-up-error.ts';
import type { Step } from './trouble.ts';
import type { WireEnvelope } from './wire-envelope.ts';

/** How one mail's dialogue ended. */
export type DialogueEnd =
  | { readonly kind: 'accepted'; readonly reply: SmtpReply }
  /** A 4yz or 5yz to MAIL, to the last RCPT, to DATA or to the end of the text. */
  | { readonly kind: 'refused'; readonly step: Step; readonly reply: SmtpReply }
  /** Above the SIZE the server announced (RFC 1870): nothing was offered. */
  | { readonly kind: 'tooLarge'; readonly limit: number | undefined }
  /** No answer that counts: cut, lost, silent, or an answer out of place. */
  | { readonly kind: 'lost'; readonly trouble: Trouble };

/** What one mail's dialogue told, recipient by recipient (addresses as on the wire). */
export interface Dialogue {
  readonly accepted: ReadonlySet<string>;
  readonly refused: ReadonlyMap<string, SmtpReply>;
  readonly end: DialogueEnd;
}

export interface MailToSend {
  readonly envelope: WireEnvelope;
  readonly dsn: Envelope['dsn'];
  /** Bytes. */
  readonly size: number;
  readonly gate: CommitGate;
}

/** Time in ms for a server to say goodbye before its connection is cut. */
const QUIT_GRACE_MS = 1_000;
/** Time in ms for a server to answer RSET: it has nothing to do for it. */
const RESET_LIMIT_MS = 10_000;

/**
 * Where nodemailer keeps the replies to RCPT: on the envelope it was given while the mail is under way, and on its
 * result or its error.
 */
interface RecipientReplies {
  readonly accepted?: readonly string[] | undefined;
  readonly rejectedErrors?: readonly NodemailerError[] | undefined;
}

/** One signed-in connection. Carries one mail at a time. */
export class SmtpSession implements PooledSession {
  /** Mails it was given so far. */
  mails = 0;
  readonly utf8Offered: boolean;
  readonly #connection: SMTPConnection;
  readonly #sizeLimit: number | undefined;
  readonly #scrub: Scrub;

  /** `capabilities`: the reply to the last EHLO (RFC 5321 section 4.1.1.1). */
  constructor(connection: SMTPConnection, capabilities: string, scrub: Scrub) {
    this.#connection = connection;
    this.#scrub = scrub;
    this.utf8Offered = /^\d{3}[ -]SMTPUTF8\s*$/im.test(capabilities);
    const limit = Number(/^\d{3}[ -]SIZE +(\d+)/im.exec(capabilities)?.[1] ?? 0);
    this.#sizeLimit = limit > 0 ? limit : undefined;
  }

  get alive(): boolean {
    return !this.#connection.destroyed;
  }

  /** Calls `ended` once, when the connection is gone for whatever reason. Answers how to stop listening. */
  onEnd(ended: () => void): () => void {
    if (!this.alive) {
      ended();
      return () => {};
    }
    this.#connection.once('end', ended);
    return () => this.#connection.off('end', ended);
  }

  /** Offers one mail. Never rejects; an abort cuts the connection, and so does a text that fails. */
  async send(mail: MailToSend, signal: AbortSignal): Promise<Dialogue> {
    this.mails += 1;
    const envelope: Parameters<SMTPConnection['send']>[0] & RecipientReplies = {
      from: mail.envelope.from,
      to: [...mail.envelope.to],
      size: mail.size,
      // Frozen mail may be 8-bit, and the declaration does no harm where it is not (RFC 6152 section 3).
      use8BitMime: true,
      ...(mail.dsn ? { dsn: dsnParameters(mail.dsn) } : {}),
    };
    const { end, told } = await this.#exchange(envelope, mail, signal);
    // Anything but a clean end leaves text on the way, which the server would read as commands.
    if (end.kind === 'lost' || (mail.gate.opened && !mail.gate.ended)) this.cut();
    await mail.gate.cut();
    return { ...this.#recipientReplies([envelope, told]), end };
  }

  #exchange(
    envelope: Parameters<SMTPConnection['send']>[0],
    mail: MailToSend,
    signal: AbortSignal,
  ): Promise<{ readonly end: DialogueEnd; readonly told: RecipientReplies }> {
    return new Promise((resolve) => {
      const settle = (end: DialogueEnd, told: RecipientReplies = {}) => {
        signal.removeEventListener('abort', onAbort);
        stopListening();
        resolve({ end, told });
      };
      const onAbort = () => {
        settle({ kind: 'lost', trouble: cutTrouble(signal) });
        this.cut();
      };
      // Nodemailer reports a lost connection to the mail under way, with few exceptions; these end here.
      const onEnd = () => setImmediate(() => settle({ kind: 'lost', trouble: lossTrouble({ code: 'ECONNECTION' }) }));
      const stopListening = this.onEnd(onEnd);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) {
        onAbort();
        return;
      }
      this.#connection.send(envelope, mail.gate.stream, (error, info) => {
        if (error) settle(this.#failedEnd(error, mail.gate), error);
        else settle(this.#acceptedEnd(info.response, mail.gate), info);
      });
    });
  }

  #acceptedEnd(response: string, gate: CommitGate): DialogueEnd {
    const reply = parseReply(response, this.#scrub);
    if (reply && gate.ended) return { kind: 'accepted', reply };
    // A 250 before the end of the text answers something else.
    const hint = 'The server answered before it had the whole mail. Look at the server’s log.';
    return { kind: 'lost', trouble: { scope: 'connection', code: 'EPROTOCOL', hint } };
  }

  /** The reply and the command it answers decide; the library's code comes second. */
  #failedEnd(error: NodemailerError, gate: CommitGate): DialogueEnd {
    const step = stepOf(error, gate.opened);
    const reply = parseReply(error.response, this.#scrub);
    if (step && reply && reply.code >= 400) return { kind: 'refused', step, reply };
    if (error.code === 'EMESSAGE' && error.command === 'MAIL FROM' && !error.response) {
      return { kind: 'tooLarge', limit: this.#sizeLimit };
    }
    if (reply && reply.code >= 400 && !gate.opened) {
      // 421 between the commands: the server closes down.
      return { kind: 'refused', step: 'rcpt', reply };
    }
    return { kind: 'lost', trouble: lossTrouble(error) };
  }

  #recipientReplies(places: readonly RecipientReplies[]): Pick<Dialogue, 'accepted' | 'refused'> {
    const refused = new Map<string, SmtpReply>();
    for (const error of places.flatMap((place) => place.rejectedErrors ?? [])) {
      const reply = parseReply(error.response, this.#scrub);
      if (error.recipient !== undefined && reply && reply.code >= 400) refused.set(error.recipient, reply);
    }
    return { accepted: new Set(places.flatMap((place) => place.accepted ?? [])), refused };
  }

  /** Makes the session ready for another mail after a refusal (RFC 5321 section 4.1.1.5). False: it is of no more use. */
  reset(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (ready: boolean) => {
        clearTimeout(timer);
        stopListening();
        signal.removeEventListener('abort', onAbort);
        resolve(ready && this.alive);
      };
      const onAbort = () => settle(false);
      const timer = setTimeout(() => settle(false), RESET_LIMIT_MS);
      let stopListening = () => {};
      stopListening = this.onEnd(() => settle(false));
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else if (this.alive) this.#connection.reset((error) => settle(error === null));
    });
  }

  /** Says goodbye and closes; cuts where the server does not answer within a second. */
  quit(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.cut(), QUIT_GRACE_MS);
      this.onEnd(() => {
        clearTimeout(timer);
        resolve();
      });
      if (this.alive) this.#connection.quit();
    });
  }

  /** Destroys the socket: a mail whose text is on its way stays without its end, and the server drops it. */
  cut(): void {
    this.#connection.close();
  }
}

/** The command that a reply answers; undefined where the error is not about one. */
function stepOf(error: NodemailerError, textBegun: boolean): Step | undefined {
  if (error.command === 'MAIL FROM') return 'mail';
  if (error.command === 'RCPT TO') return 'rcpt';
  if (error.command === 'DATA') return textBegun ? 'end' : 'data';
  return undefined;
}

/** RFC 3461 section 4; nodemailer leaves them out where the server does not offer DSN. */
function dsnParameters(dsn: NonNullable<Envelope['dsn']>) {
  const asked = dsn.notify ?? [];
  // NEVER stands alone (RFC 3461 section 4.1).
  const notify = asked.includes('never') ? ['never'] : asked;
  return {
    ...(notify.length > 0 ? { notify: notify.map((when) => when.toUpperCase()) } : {}),
    ...(dsn.ret ? { ret: dsn.ret === 'headers' ? 'HDRS' : 'FULL' } : {}),
    ...(dsn.envid ? { envid: dsn.envid } : {}),
  };
}
