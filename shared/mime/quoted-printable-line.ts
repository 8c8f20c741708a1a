/** Characters of an encoded line at most, the `=` of a soft line break included (RFC 2045 section 6.7, rule 5). */
const maxEncoded = 76;

/** A line of text in quoted-printable. Its end, if it has one, stays; `=` breaks what becomes too long. */
export function quotedPrintableLine(line: Buffer): Buffer {
  const end = line.at(-1) === 0x0a ? (line.at(-2) === 0x0d ? 2 : 1) : 0;
  const last = line.length - end - 1;
  let out = '';
  let column = 0;
  for (let at = 0; at <= last; at += 1) {
    const octet = line[at] ?? 0;
    const blank = octet === 0x20 || octet === 0x09;
    const literal = blank ? at < last : octet > 0x20 && octet < 0x7f && octet !== 0x3d;
    const piece = literal ? String.fromCharCode(octet) : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    const room = at === last ? maxEncoded : maxEncoded - 1;
    if (column + piece.length > room) {
      out += '=\r\n';
      column = 0;
    }
    out += piece;
    column += piece.length;
  }
  return Buffer.from(out + line.subarray(last + 1).toString('latin1'), 'latin1');
}
