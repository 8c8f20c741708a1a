import type { FrozenMail } from '../transport.ts';
import type { Trouble } from './receipts.ts';

/** The stored text of a mail could not be used. Nothing was sent. */
export class TextTrouble extends Error {
  override readonly name = 'TextTrouble';
  readonly outcome: 'deferred' | 'rejected';
  readonly trouble: Trouble;

  constructor(outcome: 'deferred' | 'rejected', code: string, hint: string) {
    super(hint);
    this.outcome = outcome;
    this.trouble = { scope: 'message', code, hint };
  }
}

const unreadable = () =>
  new TextTrouble(
    'deferred',
    'TEXT_UNREADABLE',
    'The stored text of the mail could not be read to its end. Nothing was sent; it is tried again.',
  );

const wrongSize = () =>
  new TextTrouble(
    'deferred',
    'TEXT_SIZE',
    'The stored text of the mail does not have the size it was accepted with. Nothing was sent.',
  );

/** The mail's text as it comes. Throws TextTrouble where it is not what was accepted. */
export async function* mailText(mail: FrozenMail, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  let size = 0;
  const source = await mail.open(signal).catch(() => {
    throw unreadable();
  });
  const onAbort = () => source.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const chunks = source[Symbol.asyncIterator]();
    for (;;) {
      const next = await chunks.next().catch(() => {
        throw unreadable();
      });
      if (next.done === true) break;
      const chunk: unknown = next.value;
      if (!(chunk instanceof Uint8Array)) throw unreadable();
      size += chunk.length;
      if (size > mail.size) throw wrongSize();
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    if (size !== mail.size) throw wrongSize();
  } finally {
    signal.removeEventListener('abort', onAbort);
    source.destroy();
  }
}

export async function wholeText(mail: FrozenMail, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of mailText(mail, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
