/** A line carries at most 45 bytes in 61 characters, and some encoders add a check character. */
const MAX_LINE = 63;

/** The beginning of a uuencoded file. */
export interface UuBegin {
  readonly filename: string;
}

/** The line that begins a uuencoded file: `begin 644 name`. */
export function uuBegin(line: Buffer): UuBegin | undefined {
  if (line.length > 1_000 || line[0] !== 0x62) return undefined;
  const name = /^begin [0-7]{3,4} (\S.*)$/.exec(line.toString('utf8').trimEnd())?.[1];
  return name === undefined ? undefined : { filename: name };
}

/** Whether a line ends a uuencoded file. */
export function isUuEnd(line: Buffer): boolean {
  return line.length <= 8 && line.toString('latin1').trimEnd() === 'end';
}

/** Bytes that a line carries; undefined where it is no line of uuencode. Blanks at its end may have been lost. */
export function uuLine(line: Buffer): Buffer | undefined {
  if (line.length === 0 || line.length > MAX_LINE) return undefined;
  for (const byte of line) if (byte < 0x20 || byte > 0x60) return undefined;
  const size = ((line[0] ?? 0x20) - 0x20) & 0x3f;
  const letters = Math.ceil(size / 3) * 4;
  // The last group may be written in fewer letters; a check character may follow.
  const least = Math.ceil((size * 4) / 3);
  const lost = line.length - 1 < least ? least - (line.length - 1) : 0;
  if (size > 45 || line.length - 1 > letters + 1 || lost > 4) return undefined;
  return decodeUuLine(line, size);
}

function decodeUuLine(line: Buffer, size: number): Buffer {
  const out = Buffer.alloc(size);
  const six = (at: number) => ((line[at] ?? 0x20) - 0x20) & 0x3f;
  for (let from = 1, to = 0; to < size; from += 4, to += 3) {
    const group = (six(from) << 18) | (six(from + 1) << 12) | (six(from + 2) << 6) | six(from + 3);
    out[to] = group >> 16;
    if (to + 1 < size) out[to + 1] = group >> 8;
    if (to + 2 < size) out[to + 2] = group;
  }
  return out;
}
