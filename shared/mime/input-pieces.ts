import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bytes worked on at once. */
const PIECE = 64 * 1024;

/** Bytes of a buffer after which other tasks of the process get their turn. */
const TURN = 1024 * 1024;

/**
 * The bytes of a mail in pieces that are neither huge nor tiny: a source that brings single bytes costs no more than
 * one that brings blocks. Throws where the source brings anything but bytes.
 */
export async function* inPieces(source: Readable | Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (Buffer.isBuffer(source)) {
    for (let at = 0; at < source.length; at += PIECE) {
      if (at > 0 && at % TURN === 0) await nextTurn();
      yield source.subarray(at, at + PIECE);
    }
    return;
  }
  let small: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('The source of a mail must be a stream of bytes.');
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (bytes.length === 0) continue;
    small.push(bytes);
    size += bytes.length;
    if (size < PIECE / 4 && small.length < 4_096) continue;
    const whole = small.length === 1 ? bytes : Buffer.concat(small);
    small = [];
    size = 0;
    for (let at = 0; at < whole.length; at += PIECE) yield whole.subarray(at, at + PIECE);
  }
  if (size > 0) yield Buffer.concat(small);
}
