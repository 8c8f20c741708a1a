import type { FrozenMail } from './transport.ts';

/** Why the stored text of a mail cannot be used; see `textTroubles`. */
export type TextFailure = 'unreadable' | 'wrongSize' | 'changed';

/** The stored text of a mail cannot be used. Nothing of it was sent. */
export class TextUnusable extends Error {
  override readonly name = 'TextUnusable';
  readonly failure: TextFailure;

  constructor(failure: TextFailure) {
    super(`the text of the mail: ${failure}`);
    this.failure = failure;
  }
}

/**
 * The text of a mail as it comes, and not a byte more than the mail has. An abort ends it. Throws TextUnusable where it
 * cannot be read, or does not have the size of the mail.
 */
export async function* mailText(mail: FrozenMail, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  let size = 0;
  const source = await mail.open(signal).catch(() => {
    throw new TextUnusable('unreadable');
  });
  // A source that has gone silent would keep its reader waiting.
  const onAbort = () => source.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const chunks = source[Symbol.asyncIterator]();
    for (;;) {
      const next = await chunks.next().catch(() => {
        throw new TextUnusable('unreadable');
      });
      if (next.done === true) break;
      const chunk: unknown = next.value;
      if (!(chunk instanceof Uint8Array)) throw new TextUnusable('unreadable');
      size += chunk.length;
      if (size > mail.size) throw new TextUnusable('wrongSize');
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    if (size !== mail.size) throw new TextUnusable('wrongSize');
  } finally {
    signal.removeEventListener('abort', onAbort);
    source.destroy();
  }
}

/** The whole text of a mail, in memory. Throws TextUnusable. */
export async function wholeText(mail: FrozenMail, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of mailText(mail, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
