import { createHash } from 'node:crypto';

/** Where the bytes of an upload belong in a mail. */
export interface UploadPlace {
  /** Octets of the text in front of it, uploads left out. */
  readonly at: number;
  /** Which of the mail's uploads. */
  readonly upload: number;
}

/** Bytes of a placeholder that all of a mail have in common, and of the number behind them. Multiples of 3: base64 joins them. */
const markBytes = 30;
const numberBytes = 3;
const markLength = (markBytes / 3) * 4;
const numberLength = (numberBytes / 3) * 4;

/** Nobody who writes a body may know it beforehand, or the body could be taken for an upload. */
function markOf(seed: string): Buffer {
  return createHash('sha256').update(`upload:${seed}`).digest().subarray(0, markBytes);
}

/** What an attachment holds while its mail is composed, in the place of its upload: less than a line of base64. */
export function placeholder(seed: string, upload: number): Buffer {
  const number = Buffer.alloc(numberBytes);
  number.writeUIntBE(upload, 0, numberBytes);
  return Buffer.concat([markOf(seed), number]);
}

/** Passes a composed text on without the placeholders in it, in pieces of any length, and says where they were. */
export async function* withoutPlaceholders(
  text: AsyncIterable<Buffer>,
  seed: string,
  found: (place: UploadPlace) => void,
): AsyncGenerator<Buffer> {
  const mark = markOf(seed).toString('base64');
  const length = markLength + numberLength;
  let kept: Buffer = Buffer.alloc(0);
  let at = 0;
  for await (const chunk of text) {
    let bytes: Buffer = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (let begin = bytes.indexOf(mark); begin >= 0 && begin + length <= bytes.length; begin = bytes.indexOf(mark)) {
      const number = bytes.toString('latin1', begin + markLength, begin + length);
      at += begin;
      found({ at, upload: Buffer.from(number, 'base64').readUIntBE(0, numberBytes) });
      if (begin > 0) yield bytes.subarray(0, begin);
      bytes = bytes.subarray(begin + length);
    }
    // What may be the begin of a placeholder waits for what follows.
    const ready = Math.max(0, bytes.length - length + 1);
    at += ready;
    if (ready > 0) yield bytes.subarray(0, ready);
    kept = bytes.subarray(ready);
  }
  if (kept.length > 0) yield kept;
}
