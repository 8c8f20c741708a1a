import type { Readable } from 'node:stream';
import type { Dsn } from '../accounts/dsn.ts';
import type { Step } from './verify/steps.ts';

/** What became of one recipient. `uncertain`: the server may or may not have taken the mail for it. */
export type RecipientOutcome = 'accepted' | 'rejected' | 'deferred' | 'uncertain';

/** The outcome for one recipient, with what the server said. */
export interface RecipientResult {
  readonly address: string;
  readonly outcome: RecipientOutcome;
  /** The server's reply code (SMTP: RFC 5321 section 4.2; Graph: `error.code`), where there was one. */
  readonly code?: string;
  /** The server's words, one line, at most 300 characters, free of credentials. */
  readonly reply?: string;
  /** Of an accepted recipient: the mail came back at once. Enhanced status code (RFC 3463) and the reason. */
  readonly bounce?: { readonly status: string; readonly diagnostic: string };
}

/**
 * Whose trouble a failure is. `message`: this mail or its recipients. `account`: greeting, EHLO, STARTTLS, sign-in or
 * permission refused; the account's mail waits. `connection`: the server was not reached or went away. `throttled`:
 * the server asks to slow down. `limit`: nothing was tried, because the account's own limits are used up; the mail comes
 * again after `retryAfterMs`, and this is no attempt.
 */
export type TroubleScope = 'message' | 'account' | 'connection' | 'throttled' | 'limit';

/** What stands in the way of a mail. */
export interface Trouble {
  readonly scope: TroubleScope;
  /** The reply code or the error's code, such as `535` or `ECONNREFUSED`. */
  readonly code?: string;
  /** The server's words, as in `RecipientResult`. */
  readonly reply?: string;
  /** What a person can do about it. */
  readonly hint?: string;
  /** The server asked to wait this long before the next attempt. */
  readonly retryAfterMs?: number;
}

/** Failure is a value: a transport answers what became of every recipient and throws only for a bug. */
export interface Receipt {
  /** One entry per envelope recipient, in the envelope's order. */
  readonly recipients: readonly RecipientResult[];
  /** Present when not every recipient was accepted. */
  readonly trouble?: Trouble;
}

/** RFC 5321 envelope with the DSN parameters of RFC 3461. */
export interface Envelope {
  /** Empty for a null reverse-path. */
  readonly from: string;
  readonly to: readonly string[];
  readonly dsn?: Dsn;
}

/** What is known of a mail beside its text, from when it is composed until it is sent. */
export interface OutgoingMail {
  /** The Message-ID header with its angle brackets. */
  readonly messageId: string;
  readonly envelope: Envelope;
  /** Recipients named in the envelope but in no header (Graph knows no envelope and must put them back). */
  readonly bcc: readonly string[];
  /** Address of the From header: Graph's MIME send ignores that header. */
  readonly headerFrom: string;
  /** Instant of its Date header, in ms since the epoch (IMAP: its INTERNALDATE). */
  readonly date: number;
}

/** A mail whose bytes are fixed: every attempt sends the same ones. */
export interface FrozenMail extends OutgoingMail {
  /** The outbox id; stable over attempts (Graph keeps it in an extended property to find its own draft). */
  readonly id: string;
  /** Its headers may hold UTF-8: it was accepted for an address that ASCII cannot say (RFC 6531). Default: no. */
  readonly smtpUtf8?: boolean;
  /** Bytes of the MIME text. */
  readonly size: number;
  /** Opens the MIME text from its first byte; CRLF line ends. An attempt may open it more than once. */
  open(signal: AbortSignal): Promise<Readable>;
}

/** What a transport asks of the delivery that calls it. */
export interface SendOptions {
  readonly signal: AbortSignal;
  /**
   * Must be awaited just before the last bytes leave (SMTP: before the end of DATA; IMAP: before the end of the APPEND
   * literal; Graph: before `/send`). From then on a lost answer is `uncertain`. If it throws, the last bytes must not be
   * sent and nothing counts as accepted.
   */
  beforeCommit(): Promise<void>;
  /** What an earlier attempt left with `remember` (Graph: the draft's id). */
  readonly remembered?: string;
  /** Durably keeps a note for later attempts and for `resolveUncertain`; at most 1,000 characters. */
  remember(note: string): Promise<void>;
}

/** What `resolveUncertain` is given: the commit point was passed. */
export interface ResolveOptions extends Omit<SendOptions, 'beforeCommit'> {
  /** Ms since the commit point was passed: what a server has not done by then, it may yet do. */
  readonly sinceCommitMs: number;
}

/** How a verification is made. */
export interface VerifyTransportOptions {
  readonly signal: AbortSignal;
  /** Address of the account's envelope sender, for transports that can try it without a mail. */
  readonly sender?: string;
}

/** How mail leaves. One instance serves one account in one process and keeps its connections between sends. */
export interface MailTransport {
  readonly protocol: string;
  send(mail: FrozenMail, options: SendOptions): Promise<Receipt>;
  /**
   * Finds out what became of an attempt that passed its commit point without an answer (IMAP: a search for the
   * Message-ID; Graph: `isDraft`). Answers undefined while that cannot be known. Absent where there is no way to find out (SMTP).
   */
  resolveUncertain?(mail: FrozenMail, options: ResolveOptions): Promise<Receipt | undefined>;
  /** Tries step by step whether the account can send; sends and changes nothing. Never throws but for a bug. */
  verify(options: VerifyTransportOptions): Promise<readonly Step[]>;
  /** Ends idle connections. Sends under way are cut. */
  close(): Promise<void>;
}
