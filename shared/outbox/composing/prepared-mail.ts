import type { OutgoingMail } from '../../adapters/transport.ts';
import type { UploadPlace } from '../uploads/upload-places.ts';
import type { Upload } from '../uploads/uploads.ts';

/** A mail with its text, ready to be written to storage; from then on it is a MessageRecord. */
export interface PreparedMail extends OutgoingMail {
  /** The MIME text with CRLF line ends, as it comes; uploads are left out. */
  readonly content: AsyncIterable<Buffer>;
  readonly uploads?: {
    /** Those that are in the mail. */
    readonly files: readonly Upload[];
    /** Where; complete once the text has passed. */
    readonly places: readonly UploadPlace[];
  };
  /** Not before this instant, in ms since the epoch. */
  readonly sendAt?: number;
  /** The caller's own strings: part of the record, and of nothing that is sent. */
  readonly metadata?: Readonly<Record<string, string>>;
}
