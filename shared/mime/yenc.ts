const ESCAPE = 0x3d;

/** The beginning of a file in yEnc. */
export interface YencBegin {
  readonly filename: string;
  /** Bytes of the file, or of this part of it, as declared. */
  readonly size: number | undefined;
}

/** The line that begins a file in yEnc: `=ybegin line=128 size=123456 name=mybinary.dat` (yEnc draft 1.3). */
export function yencBegin(line: Buffer): YencBegin | undefined {
  if (line.length > 1_000 || !startsWith(line, '=ybegin ')) return undefined;
  const text = line.toString('utf8');
  const name = / name=(.*)$/.exec(text)?.[1]?.trim();
  const parameters = text.slice(0, text.indexOf(' name='));
  if (name === undefined || name === '' || !/ line=\d{1,6}(?: |$)/.test(parameters)) return undefined;
  const size = / size=(\d{1,15})(?: |$)/.exec(parameters)?.[1];
  return { filename: name, size: / part=/.test(parameters) || size === undefined ? undefined : Number(size) };
}

/** Whether a line ends a file in yEnc, or a part of one. */
export function isYencEnd(line: Buffer): boolean {
  return startsWith(line, '=yend');
}

/** Decodes the lines of a file in yEnc. */
export class YencDecoder {
  readonly #size: number | undefined;
  #decoded = 0;

  constructor(size: number | undefined) {
    this.#size = size;
  }

  line(line: Buffer): Buffer {
    if (startsWith(line, '=ypart ')) return Buffer.alloc(0);
    const out = Buffer.allocUnsafe(line.length);
    let length = 0;
    for (let at = 0; at < line.length; at++) {
      let byte = line[at] ?? 0;
      if (byte === ESCAPE) byte = (line[++at] ?? 0) - 64;
      out[length++] = byte - 42;
    }
    this.#decoded += length;
    return out.subarray(0, length);
  }

  /** Whether the file has the size that it was to have. */
  ended(line: Buffer): boolean {
    const declared = / size=(\d{1,15})(?: |$)/.exec(line.toString('latin1', 0, 200))?.[1];
    const size = declared === undefined ? this.#size : Number(declared);
    return size === undefined || size === this.#decoded;
  }
}

function startsWith(line: Buffer, text: string): boolean {
  return line.length >= text.length && line.toString('latin1', 0, text.length) === text;
}
