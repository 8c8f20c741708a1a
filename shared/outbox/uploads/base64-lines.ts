/** RFC 2045 section 6.8: 76 characters a line, which are 57 bytes. */
const lineBytes = 57;
const lineLength = 76;
const lineEnd = 2;

/** Bytes, at most so many, that are encoded as whole lines. */
export const wholeLines = (bytes: number) => Math.floor(bytes / lineBytes) * lineBytes;

/** Octets of so many bytes as base64 in lines; the last line has no end of its own. */
export function encodedSize(bytes: number): number {
  const characters = Math.ceil(bytes / 3) * 4;
  return characters + Math.max(0, Math.ceil(characters / lineLength) - 1) * lineEnd;
}

/** Where reading begins for the octet at `offset` of the encoded text: at the first byte of its line. */
export function lineAt(offset: number): { readonly byte: number; readonly encoded: number } {
  const line = Math.floor(offset / (lineLength + lineEnd));
  return { byte: line * lineBytes, encoded: line * (lineLength + lineEnd) };
}

/** Base64 in lines, of bytes that begin at the begin of a line; `isLast`: no line follows theirs. */
export function base64Lines(bytes: Buffer, isLast: boolean): Buffer {
  const out = Buffer.allocUnsafe(encodedSize(bytes.length) + (isLast ? 0 : lineEnd));
  let to = 0;
  // Line by line: one long text for all of them would stay until all of the heap is searched for garbage.
  for (let from = 0; from < bytes.length; from += lineBytes) {
    if (from > 0) to += out.write('\r\n', to, 'latin1');
    to += out.write(bytes.toString('base64', from, from + lineBytes), to, 'latin1');
  }
  if (!isLast) out.write('\r\n', to, 'latin1');
  return out;
}
