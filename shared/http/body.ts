import { HttpProblem } from './problem.ts';

/** The part of a web `Request` (and of an Azure Functions `HttpRequest`) that body readers need. */
export interface BodySource {
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): BodyReader } | null;
}

interface BodyReader {
  read(): Promise<{ done: boolean; value?: unknown }>;
  cancel(reason?: unknown): Promise<void>;
}

export interface ReadBodyOptions {
  /** Bytes; one more is a 413. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem(413, `The request body is larger than ${maxBytes} bytes.`);
}

/**
 * Reads the whole body, at most `maxBytes`. A Content-Length over the limit is refused before a byte is read; the bytes
 * are counted all the same, since a chunked body declares nothing. Throws HttpProblem 413, or the signal's reason.
 */
export async function readBody(source: BodySource, options: ReadBodyOptions): Promise<Buffer> {
  const { maxBytes, signal } = options;
  signal?.throwIfAborted();
  const declared = source.headers.get('content-length');
  if (declared !== null && /^\d+$/.test(declared) && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  if (source.body === null) return Buffer.alloc(0);

  const reader = source.body.getReader();
  const cancel = (reason: unknown) => void reader.cancel(reason).catch(() => {});
  const onAbort = () => cancel(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return Buffer.concat(chunks, size);
      if (!(value instanceof Uint8Array)) throw new TypeError('A request body delivers bytes.');
      size += value.length;
      if (size > maxBytes) {
        const problem = tooLarge(maxBytes);
        cancel(problem);
        throw problem;
      }
      chunks.push(value);
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Media type of a Content-Type header, lower case, without parameters; and its charset, if it names one. */
export function mediaType(source: Pick<BodySource, 'headers'>): { readonly type: string; readonly charset?: string } {
  const header = source.headers.get('content-type') ?? '';
  const type = (header.split(';', 1)[0] ?? '').trim().toLowerCase();
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)"?/i.exec(header)?.[1];
  return charset === undefined ? { type } : { type, charset: charset.toLowerCase() };
}
