import type { Readable } from 'node:stream';

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

export interface ParsedAttachment extends AttachmentPart {
  /** Bytes after transfer decoding. */
  readonly size: number;
  /** Of the bytes after transfer decoding, in lower-case hex. */
  readonly sha256: string;
}

export type BodyKind = 'text' | 'html';

/** Where the reader leaves what is too large to hold. It waits for each answer before it reads on. */
export interface MimeSink {
  /** Called once per attachment, in order. Must read `content` to its end before it resolves. */
  attachment(part: AttachmentPart, content: Readable): Promise<void>;
  /** Called at most once per kind, for a body above the inline limit: all of it, as UTF-8 with LF line ends. */
  longBody(kind: BodyKind, content: Readable): Promise<void>;
}

export interface MailFlags {
  /** Sent by a machine on its own account (RFC 3834): answering it may start a loop. */
  readonly autoSubmitted: boolean;
  /** A delivery report (RFC 3464), or mail that came back. */
  readonly bounce: boolean;
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
  | 'unknown-charset'
  | 'undecodable-text'
  | 'unknown-transfer-encoding'
  | 'invalid-base64'
  | 'invalid-quoted-printable'
  | 'invalid-uuencode';

/** Collects defects; each counts once. */
export type Defects = Set<Defect>;

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
  /** At most the inline limit, cut between two characters. LF line ends; format=flowed is left as it came. */
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly textTruncated: boolean;
  readonly htmlTruncated: boolean;
  readonly attachments: readonly ParsedAttachment[];
  readonly flags: MailFlags;
  readonly defects: readonly Defect[];
  readonly authenticationResults: readonly string[];
}

/** There was nothing: no byte, or white space alone. Never an asset: the fetch went wrong. */
export class EmptyMailError extends Error {
  override readonly name = 'EmptyMailError';

  constructor() {
    super('The mail has no content.');
  }
}
