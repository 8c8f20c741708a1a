import { HttpProblem } from './problem.ts';

/** The part of a request that body readers need; a web `Request` has it too. */
export interface BodySource {
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<unknown> | null;
}

/** How much of a body is read. */
export interface ReadBodyOptions {
  /** Bytes; one more is a 413. */
  readonly maxBytes: number;
}

function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem(413, `The request body is larger than ${maxBytes} bytes.`);
}

/** A body that announces no length is given this much room at first. */
const firstBytes = 16 * 1024;

/**
 * Reads the whole body, at most `maxBytes`, into one buffer. A Content-Length over the limit is refused before a byte is
 * read; the bytes are counted all the same, since a chunked body declares nothing. Throws HttpProblem 413.
 */
export async function readBody(source: BodySource, { maxBytes }: ReadBodyOptions): Promise<Buffer> {
  const header = source.headers.get('content-length');
  const declared = header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
  if (declared !== undefined && declared > maxBytes) throw tooLarge(maxBytes);
  let bytes = Buffer.allocUnsafe(declared ?? firstBytes);
  let size = 0;
  for await (const chunk of source.body ?? []) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('A request body delivers bytes.');
    if (size + chunk.length > maxBytes) throw tooLarge(maxBytes);
    if (size + chunk.length > bytes.length) {
      // Twice as much each time: the copying stays in proportion to the body.
      const more = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(bytes.length * 2, size + chunk.length)));
      bytes.copy(more, 0, 0, size);
      bytes = more;
    }
    bytes.set(chunk, size);
    size += chunk.length;
  }
  return bytes.subarray(0, size);
}

/** Refuses a body that is packed (RFC 9110 section 8.4): its size says nothing of what it unpacks to. Throws HttpProblem 415. */
export function refuseEncoded(source: Pick<BodySource, 'headers'>): void {
  const coding = source.headers.get('content-encoding')?.trim().toLowerCase() ?? '';
  if (coding !== '' && coding !== 'identity')
    throw new HttpProblem(415, 'The body must be sent without a Content-Encoding.', {
      headers: { 'Accept-Encoding': 'identity' },
    });
}

/** Media type of a Content-Type header, lower case, without parameters; and its charset, if it names one. */
export function mediaType(source: Pick<BodySource, 'headers'>): { readonly type: string; readonly charset?: string } {
  const header = source.headers.get('content-type') ?? '';
  const type = (header.split(';', 1)[0] ?? '').trim().toLowerCase();
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)"?/i.exec(header)?.[1];
  return charset === undefined ? { type } : { type, charset: charset.toLowerCase() };
}
