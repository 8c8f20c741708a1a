/** One header of a mail as it came: its name and its lines, folded, without the last CRLF. */
export interface RawHeader {
  readonly name: string;
  readonly lines: string;
}

/** Mail that came ready-made and cannot be read as mail. The message never repeats contents. */
export class MalformedMail extends Error {
  override readonly name = 'MalformedMail';
}

/** 500 recipients with names take a fifth of this. */
export const maxHeaderSection = 256 * 1024;
const maxHeaders = 1000;

/** A mail, divided after its header. */
export interface SplitMail {
  readonly headers: readonly RawHeader[];
  /** From the first byte after the empty line. */
  readonly body: Buffer;
}

/**
 * Takes a mail with CRLF lines apart: headers (RFC 5322 section 2.2), empty line, body. A mail without a body may lack
 * the empty line. Headers may hold UTF-8 (RFC 6532). Throws MalformedMail.
 */
export function splitMail(bytes: Buffer): SplitMail {
  const found = bytes.subarray(0, maxHeaderSection + 4).indexOf('\r\n\r\n');
  const end = found < 0 ? bytes.length : found + 2;
  if (end > maxHeaderSection) throw new MalformedMail(`The headers are longer than ${maxHeaderSection} bytes.`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end));
  } catch {
    throw new MalformedMail('The headers hold bytes that are neither ASCII nor UTF-8.');
  }
  const headers = text
    .replace(/\r\n$/, '')
    .split(/\r\n(?![ \t])/)
    .map((lines, index): RawHeader => {
      const name = /^([\u0021-\u0039\u003b-\u007e]+)[ \t]*:/.exec(lines)?.[1];
      if (name === undefined) throw new MalformedMail(`Header ${index + 1} is not of the form "Name: value".`);
      return { name, lines };
    });
  if (headers.length > maxHeaders) throw new MalformedMail(`There are more than ${maxHeaders} headers.`);
  return { headers, body: found < 0 ? Buffer.alloc(0) : bytes.subarray(found + 4) };
}

/** The value of a header, unfolded (RFC 5322 section 2.2.3). */
export function headerValue(header: RawHeader): string {
  return header.lines
    .slice(header.lines.indexOf(':') + 1)
    .replaceAll('\r\n', '')
    .trim();
}
