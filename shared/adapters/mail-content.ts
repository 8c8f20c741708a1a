import type { Readable } from 'node:stream';

/**
 * Why a mail that its server lists cannot be had as it is: `refused` (the server says no), `noContent` (it answers
 * without its octets), `empty`, `noHeader`, `cutShort` (fewer octets than the server counts), `wentAway` (in the middle),
 * `tooMuch` (more than was asked for), `notMail` (something else than MIME), `otherMail` (its Message-ID is another's).
 */
export type BrokenReason =
  | 'refused'
  | 'noContent'
  | 'empty'
  | 'noHeader'
  | 'cutShort'
  | 'wentAway'
  | 'tooMuch'
  | 'notMail'
  | 'otherMail';

/** What in a mail's octets is not as its server had announced, though the connection was in order: `cutShort`, `otherMail`. */
export type ContentDoubt = Extract<BrokenReason, 'cutShort' | 'otherMail'>;

/** Where octets can be had: what is doubtful about them, asked for when all of them have been read. */
interface Doubtful {
  readonly doubt?: () => ContentDoubt | undefined;
}

/** The bytes of a mail. `bytes` where it is small enough to hold (consumers may then go on to the next); else `stream`. */
export type MailContent =
  | ({ readonly kind: 'bytes'; readonly bytes: Buffer } & Doubtful)
  /** Ends with a BrokenMail where this one mail is at fault, with a StoreError where the connection is. */
  | ({ readonly kind: 'stream'; readonly stream: Readable } & Doubtful)
  /** The server no longer has it: nothing to import. */
  | { readonly kind: 'gone' }
  /**
   * The server could not produce this one mail. `code`: the server's own. `refusal`: it gave nothing, for a reason that may
   * be this mail's or the server's (`unclear`), or that may pass by its own words (`passing`). Absent: what it gave is no
   * mail, which counts as an attempt.
   */
  | {
      readonly kind: 'broken';
      readonly reason: BrokenReason;
      readonly code?: string;
      readonly refusal?: 'unclear' | 'passing';
    };

/** Ends the stream of a mail that is at fault itself. */
export class BrokenMail extends Error {
  override readonly name = 'BrokenMail';
  readonly reason: BrokenReason;
  readonly code: string | undefined;

  constructor(reason: BrokenReason, code?: string) {
    super(brokenWords[reason] + (code === undefined ? '' : ` (${code})`));
    this.reason = reason;
    this.code = code;
  }
}

/** For a person, in `reason` of pending and quarantined mail. */
const brokenWords: Readonly<Record<BrokenReason, string>> = {
  refused: 'The server refuses to give this mail',
  noContent: 'The server sent no content for this mail',
  empty: 'The server sent an empty mail',
  noHeader: 'The server gives no header for this mail',
  cutShort: 'The server sent less of this mail than it counts',
  wentAway: 'The mail went away while it was read',
  tooMuch: 'The server sent more of this mail than was asked for',
  notMail: 'The server sent something else than a mail',
  otherMail: 'The server sent a mail with another Message-ID than it lists',
};
