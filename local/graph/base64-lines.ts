/** Bytes encoded at a time; a multiple of 57, which makes a line of 76 characters (RFC 2045 section 6.8). */
const sliceBytes = 57 * 1024;

/** Base64 in lines, without ever holding more than a slice of it. */
export function* base64Lines(chunks: Iterable<Buffer>): Generator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for (const chunk of chunks) {
    let at = 0;
    if (rest.length > 0) {
      at = Math.min(chunk.length, sliceBytes - rest.length);
      rest = Buffer.concat([rest, chunk.subarray(0, at)]);
      if (rest.length < sliceBytes) continue;
      yield lines(rest);
      rest = Buffer.alloc(0);
    }
    for (; chunk.length - at >= sliceBytes; at += sliceBytes) yield lines(chunk.subarray(at, at + sliceBytes));
    rest = chunk.subarray(at);
  }
  if (rest.length > 0) yield lines(rest);
}

function lines(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('base64').replace(/.{1,76}/g, '$&\r\n'), 'latin1');
}
