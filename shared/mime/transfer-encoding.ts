import type { Defect, Defects } from './mail.ts';
import { Base64Decoder } from './transfer-base64.ts';
import { QuotedPrintableDecoder } from './transfer-quoted-printable.ts';
import { UuencodeDecoder } from './transfer-uuencode.ts';

/** Undoes a content transfer encoding, chunk by chunk, without waiting for anything. */
export interface TransferDecoder {
  write(bytes: Buffer): Buffer;
  end(): Buffer;
}

const nothing = Buffer.alloc(0);
const identity: TransferDecoder = { write: (bytes) => bytes, end: () => nothing };

/** Ways in which senders write that nothing is encoded. */
const plain = /^(?:|7-?bits?|8-?bits?|binary|none)$/;

/**
 * Decoder for a `Content-Transfer-Encoding` (lower case, trimmed). An unknown encoding is left as it is, with a defect
 * (RFC 2045 section 6.4 would call it opaque).
 *
 * The library decoders (libbase64, libqp) are transform streams: several turns of the event loop for each small part,
 * and no word about broken input.
 */
export function transferDecoder(encoding: string, defects: Defects): TransferDecoder {
  const report = (defect: Defect) => () => void defects.add(defect);
  if (encoding === 'base64') return new Base64Decoder(report('invalid-base64'));
  if (encoding === 'quoted-printable') return new QuotedPrintableDecoder(report('invalid-quoted-printable'));
  if (/^(?:x-)?uu(?:e|encode)$/.test(encoding)) return new UuencodeDecoder(report('invalid-uuencode'));
  if (!plain.test(encoding)) defects.add('unknown-transfer-encoding');
  return identity;
}
