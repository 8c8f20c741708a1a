import type { Readable } from 'node:stream';
import type { AuthenticationResults } from './authentication-results.ts';
import type { DeliveryReport } from './bounces/report.ts';

/** A mailbox of an address field. `address` is empty where the field held none; groups are flattened. */
export interface Address {
  readonly name: string;
  readonly address: string;
}

/** What a part that is kept as an attachment is called and is. `n` counts from 1 in the order of the mail. */
export interface AttachmentPart {
  readonly n: number;
  /** The decoded original, never made safe: see `safeFileName`. */
  readonly filename: string | undefined;
  /** `type/subtype` in lower case, without parameters. */
  readonly contentType: string;
  /** Without angle brackets. */
  readonly contentId: string | undefined;
  /** Shown inside the body, not beside it. */
  readonly inline: boolean;
}

/** An attachment that the sink has taken. */
export interface ParsedAttachment extends AttachmentPart {
  /** Bytes after transfer decoding. */
  readonly size: number;
  /** Of the bytes after transfer decoding, in lower-case hex. */
  readonly sha256: string;
}

export type BodyKind = 'text' | 'html';

/** Takes what is too large to keep in memory. The reader waits for each promise before it reads on. */
export interface MimeSink {
  /** Called once per attachment, in order. Must read `content` to its end before it resolves. */
  attachment(part: AttachmentPart, content: Readable): Promise<void>;
  /** Called at most once per kind, for a body above the inline limit: all of it, as UTF-8 with LF line ends. */
  longBody(kind: BodyKind, content: Readable): Promise<void>;
}

/** What kind of mail it is. */
export interface MailFlags {
  /** Sent by a program and not by a person (RFC 3834): answering it may start a loop. */
  readonly autoSubmitted: boolean;
  /** Mail that came back: a delivery report (RFC 3464) of a failure, or a server's notice of one. */
  readonly bounce: boolean;
  /** Came by a mailing list (RFC 2919, RFC 2369). */
  readonly list: boolean;
  readonly calendar: boolean;
  readonly encrypted: boolean;
  readonly signed: boolean;
}

/** What is wrong with a mail that was read all the same. The codes are stable. */
export type Defect =
  | 'missing-from'
  | 'missing-date'
  | 'invalid-date'
  | 'missing-message-id'
  | 'missing-subject'
  | 'missing-body'
  | 'duplicate-header'
  | 'malformed-header'
  | 'header-too-large'
  | 'too-many-addresses'
  | 'too-many-references'
  | 'invalid-content-type'
  | 'missing-boundary'
  | 'truncated'
  | 'text-after-end'
  | 'too-deep'
  | 'too-many-parts'
  | 'nul-bytes'
  | 'undeclared-charset'
  | 'unknown-charset'
  | 'undecodable-text'
  | 'wrong-charset'
  | 'unknown-transfer-encoding'
  | 'invalid-base64'
  | 'invalid-quoted-printable'
  | 'invalid-uuencode'
  | 'invalid-yenc';

/** Collects defects; each counts once. */
export type Defects = Set<Defect>;

/** A mail that was read, without its attachments. */
export interface ParsedMail {
  /** With its angle brackets, where it has them. */
  readonly messageId: string | undefined;
  readonly subject: string | undefined;
  readonly from: readonly Address[];
  readonly to: readonly Address[];
  readonly cc: readonly Address[];
  readonly bcc: readonly Address[];
  readonly replyTo: readonly Address[];
  /** RFC 3339 in UTC. */
  readonly date: string | undefined;
  readonly inReplyTo: string | undefined;
  readonly references: readonly string[];
  /** At most the inline limit, cut between two characters. LF line ends; format=flowed is undone. */
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly textTruncated: boolean;
  readonly htmlTruncated: boolean;
  readonly attachments: readonly ParsedAttachment[];
  /** The content of a bounce, or of another report about a delivery. */
  readonly bounce: DeliveryReport | undefined;
  readonly flags: MailFlags;
  readonly defects: readonly Defect[];
  /** Of the server that took the mail in: a field each. */
  readonly authenticationResults: readonly AuthenticationResults[];
}

/** There was nothing: no byte, or white space alone. Never an asset: the fetch went wrong. */
export class EmptyMailError extends Error {
  override readonly name = 'EmptyMailError';

  constructor() {
    super('The mail has no content.');
  }
}
