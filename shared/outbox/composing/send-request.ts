import type { Dsn } from '../../accounts/dsn.ts';
import type { Attachment } from './attachments.ts';
import type { Header } from './custom-headers.ts';
import type { Parties } from './envelope.ts';

/** A send request, checked, in one form: the fields of a mail that is still to be composed. */
export interface SendRequest extends Parties {
  /** As SMTP's MAIL FROM: the request's sender, else the account's. */
  readonly envelopeFrom: string;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly attachments: readonly Attachment[];
  readonly calendar?: { readonly method: string; readonly content: string };
  readonly headers: readonly Header[];
  /** The caller's own, which is no part of the mail. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Message-IDs with their brackets. */
  readonly inReplyTo?: string;
  readonly references: readonly string[];
  readonly priority: 'high' | 'normal' | 'low';
  readonly dsn?: Dsn;
  /** Not before this instant, in ms since the epoch; absent: now. */
  readonly sendAt?: number;
}
