import iconv from 'iconv-lite';
import libmime from 'libmime';

/** As much of MIME (RFC 5322, 2045 to 2047, 2231) as Exchange needs to show a message as properties. */

export interface HeaderField {
  readonly name: string;
  /** Unfolded, still with its encoded words. */
  readonly value: string;
  /** Where the field stands, its line end included. */
  readonly start: number;
  readonly end: number;
}

export interface Entity {
  readonly fields: readonly HeaderField[];
  readonly start: number;
  readonly bodyStart: number;
  readonly end: number;
  /** Lower case, such as `text/plain`. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly disposition: string | undefined;
  readonly fileName: string | undefined;
  readonly contentId: string | undefined;
  readonly encoding: string;
  readonly children: readonly Entity[];
}

/** Deeper or more parts than these stay what they are: content of the part that holds them. */
const maxDepth = 20;
const maxParts = 1000;
/** A header beyond this is cut; what follows counts as body. */
const maxHeaderBytes = 1024 * 1024;

/** Takes a message apart. Never throws: anything is a message, if a poor one. */
export function readEntity(bytes: Buffer): Entity {
  return readPart(bytes, [0, bytes.length], 0, { parts: 0 });
}

/** The fields of a header section and the offset behind its empty line. */
export function readFields(bytes: Buffer, start = 0, end = bytes.length): { fields: HeaderField[]; bodyStart: number } {
  const fields: HeaderField[] = [];
  const limit = Math.min(end, start + maxHeaderBytes);
  let at = start;
  let open: { start: number; end: number } | undefined;
  const close = () => {
    if (open) {
      const field = fieldOf(bytes, open.start, open.end);
      if (field) fields.push(field);
    }
    open = undefined;
  };
  while (at < limit) {
    const newline = bytes.indexOf(0x0a, at);
    const next = newline < 0 || newline >= end ? end : newline + 1;
    const first = bytes[at];
    if (first === 0x0a || (first === 0x0d && bytes[at + 1] === 0x0a)) {
      close();
      return { fields, bodyStart: next };
    }
    if (open && (first === 0x20 || first === 0x09)) open.end = next;
    else {
      close();
      open = { start: at, end: next };
    }
    at = next;
  }
  close();
  return { fields, bodyStart: at };
}

function fieldOf(bytes: Buffer, start: number, end: number): HeaderField | undefined {
  const raw = bytes.subarray(start, end);
  // Raw 8-bit headers are UTF-8 where they can be (RFC 6532), and Latin-1 otherwise.
  const utf8 = raw.toString('utf8');
  const text = utf8.includes('\uFFFD') ? raw.toString('latin1') : utf8;
  const colon = text.indexOf(':');
  if (colon < 1) return undefined;
  const value = text
    .slice(colon + 1)
    .replace(/\r?\n(?=[ \t])/g, '')
    .trim();
  return { name: text.slice(0, colon).trim(), value, start, end };
}

/** The first field of a name, whatever its letter case. */
export function fieldValue(fields: readonly HeaderField[], name: string): string | undefined {
  return fields.find((field) => field.name.toLowerCase() === name.toLowerCase())?.value;
}

/** Text of a header value, encoded words decoded (RFC 2047). */
export function decodedText(value: string): string {
  try {
    return libmime.decodeWords(value);
  } catch {
    return value;
  }
}

/** The part at `range` (from, to) of `bytes`, `depth` multiparts deep; `count` is of the whole mail. */
function readPart(
  bytes: Buffer,
  [start, end]: readonly [number, number],
  depth: number,
  count: { parts: number },
): Entity {
  count.parts++;
  const { fields, bodyStart } = readFields(bytes, start, end);
  const contentType = parameterised(fieldValue(fields, 'content-type') ?? 'text/plain');
  const disposition = parameterised(fieldValue(fields, 'content-disposition') ?? '');
  const type = /^[^\s/]+\/[^\s/]+$/.test(contentType.value) ? contentType.value.toLowerCase() : 'text/plain';
  const fileName = disposition.parameters.filename ?? contentType.parameters.name;
  const boundary = contentType.parameters.boundary;
  const children =
    type.startsWith('multipart/') && boundary && depth < maxDepth && count.parts < maxParts
      ? partRanges(bytes, bodyStart, end, boundary).map((range) => readPart(bytes, range, depth + 1, count))
      : [];
  return {
    fields,
    start,
    bodyStart,
    end,
    type,
    parameters: contentType.parameters,
    disposition: disposition.value === '' ? undefined : disposition.value.toLowerCase(),
    fileName: fileName === undefined ? undefined : decodedText(fileName),
    contentId: fieldValue(fields, 'content-id')?.replace(/^<|>$/g, ''),
    encoding: (fieldValue(fields, 'content-transfer-encoding') ?? '7bit').toLowerCase(),
    children,
  };
}

function parameterised(value: string): { value: string; parameters: Record<string, string> } {
  try {
    const parsed = libmime.parseHeaderValue(value);
    return { value: String(parsed.value ?? '').trim(), parameters: { ...parsed.params } };
  } catch {
    return { value: value.split(';')[0]?.trim() ?? '', parameters: {} };
  }
}

/** From and to of the parts between the delimiters of a multipart (RFC 2046 section 5.1). */
function partRanges(bytes: Buffer, start: number, end: number, boundary: string): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  let from: number | undefined;
  for (const delimiter of delimiters(bytes, start, end, boundary)) {
    if (from !== undefined) ranges.push([from, Math.max(from, delimiter.lineStart)]);
    from = delimiter.after;
    if (delimiter.last || ranges.length >= maxParts) return ranges;
  }
  // The last delimiter is missing: the mail was cut.
  if (from !== undefined && from < end) ranges.push([from, end]);
  return ranges;
}

export interface Delimiter {
  /** Where the line break before it begins: that break belongs to the delimiter. */
  readonly lineStart: number;
  /** Behind its line. */
  readonly after: number;
  readonly last: boolean;
}

/** The delimiter lines of a multipart body, in order. */
export function* delimiters(bytes: Buffer, start: number, end: number, boundary: string): Generator<Delimiter> {
  const mark = Buffer.from(`--${boundary}`, 'latin1');
  for (let at = bytes.indexOf(mark, start); at >= 0 && at < end; at = bytes.indexOf(mark, at + mark.length)) {
    if (at > start && bytes[at - 1] !== 0x0a) continue;
    const newline = bytes.indexOf(0x0a, at);
    const after = newline < 0 || newline >= end ? end : newline + 1;
    const rest = bytes.toString('latin1', at + mark.length, after).trim();
    if (rest !== '' && rest !== '--') continue;
    const lineStart = at - (bytes[at - 1] === 0x0a ? (bytes[at - 2] === 0x0d ? 2 : 1) : 0);
    yield { lineStart: Math.max(lineStart, start), after, last: rest === '--' };
  }
}

/** The content of a part, its transfer encoding undone. */
export function decodedBody(bytes: Buffer, part: Entity): Buffer {
  const body = bytes.subarray(part.bodyStart, part.end);
  if (part.encoding === 'base64') return Buffer.from(body.toString('latin1'), 'base64');
  if (part.encoding === 'quoted-printable') return quotedPrintable(body);
  return body;
}

/** The text of a part in its charset; what no charset explains is taken for UTF-8. */
export function decodedString(bytes: Buffer, part: Entity): string {
  const body = decodedBody(bytes, part);
  const charset = part.parameters.charset ?? 'utf-8';
  return iconv.encodingExists(charset) ? iconv.decode(body, charset) : body.toString('utf8');
}

/** RFC 2045 section 6.7. */
function quotedPrintable(body: Buffer): Buffer {
  const text = body.toString('latin1').replace(/[ \t]+(?=\r?\n|$)/g, '');
  const plain = text
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}
