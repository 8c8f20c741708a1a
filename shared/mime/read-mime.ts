import type { Readable } from 'node:stream';
import { inPieces } from './input-pieces.ts';
import { defaultMimeLimits, type MimeLimits } from './limits.ts';
import { type Defects, EmptyMailError, type MimeSink, type ParsedMail } from './mail.ts';
import { readMailHeader } from './mail-header.ts';
import { PartReader } from './part-reader.ts';
import { MimeSplitter } from './splitter.ts';

/** How a mail is read. */
export interface ReadMimeOptions {
  readonly signal?: AbortSignal;
  readonly limits?: Partial<MimeLimits>;
}

/**
 * Reads a mail (RFC 5322, MIME) as its bytes come, in bounded memory whatever its size or shape: `defaultMimeLimits`
 * says what is kept. Attachments and long bodies go to the sink, one after the other, in the order of the mail; all
 * else is in the answer. Nothing in a mail makes this throw: what is wrong with it is listed in `defects`.
 *
 * Throws EmptyMailError for no bytes or white space alone, the source's error, the sink's error (or one of its own
 * where the sink left a part unread), and the signal's reason. The source is destroyed in each case.
 */
export async function readMime(
  source: Readable | Buffer,
  sink: MimeSink,
  options: ReadMimeOptions = {},
): Promise<ParsedMail> {
  const { signal } = options;
  const limits = { ...defaultMimeLimits, ...options.limits };
  const defects: Defects = new Set();
  const splitter = new MimeSplitter(limits, defects);
  const parts = new PartReader(sink, limits, defects);
  const read = async (): Promise<ParsedMail> => {
    let blank = true;
    for await (const piece of inPieces(source)) {
      signal?.throwIfAborted();
      if (blank && /\S/.test(piece.toString('latin1'))) blank = false;
      for (const event of splitter.push(piece)) {
        const waiting = parts.handle(event);
        if (waiting) await waiting;
      }
    }
    if (blank) throw new EmptyMailError();
    for (const event of splitter.end()) await parts.handle(event);
    const header = readMailHeader(splitter.root, limits, defects);
    return { ...header, ...parts.finish(splitter.root, header), defects: [...defects].sort() };
  };
  try {
    return await untilAborted(read, signal, (reason) => {
      parts.abort(reason);
      // Without the reason: where nobody listens yet, an error event would end the process.
      if (!Buffer.isBuffer(source)) source.destroy();
    });
  } catch (error) {
    parts.abort(error);
    if (!Buffer.isBuffer(source)) source.destroy();
    throw error;
  }
}

/** Rejects as soon as the signal is aborted, even where the source or the sink is silent for ever. */
function untilAborted<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
  cut: (reason: unknown) => void,
): Promise<T> {
  if (signal === undefined) return work();
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      cut(signal.reason);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
