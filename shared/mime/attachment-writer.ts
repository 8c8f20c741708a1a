import { createHash, type Hash } from 'node:crypto';
import { readAttachedSubject } from './attached-header.ts';
import type { AttachmentPart, MimeSink, ParsedAttachment } from './mail.ts';
import { SinkStream } from './sink-stream.ts';

/** Bytes of an attached message that are searched for its subject. */
const PEEK = 64 * 1024;

/** Hands one attachment to the sink, counting and hashing what goes through. */
export class AttachmentWriter {
  readonly #sink: MimeSink;
  #part: AttachmentPart;
  readonly #hash: Hash = createHash('sha256');
  #size = 0;
  #delivery: SinkStream | undefined;
  /** The beginning of an attached message without a name: its subject becomes one. */
  #peeked: Buffer[] | undefined;

  constructor(sink: MimeSink, part: AttachmentPart) {
    this.#sink = sink;
    this.#part = part;
    const nameless = part.filename === undefined && /^message\/(?:rfc822|global)$/.test(part.contentType);
    if (nameless) this.#peeked = [];
  }

  write(bytes: Buffer): Promise<void> | undefined {
    if (bytes.length === 0) return undefined;
    this.#hash.update(bytes);
    this.#size += bytes.length;
    if (this.#peeked === undefined) return this.#open().write(bytes);
    this.#peeked.push(bytes);
    return this.#size > PEEK ? this.#release() : undefined;
  }

  async end(): Promise<ParsedAttachment> {
    if (this.#peeked !== undefined) await this.#release();
    await this.#open().end();
    return { ...this.#part, size: this.#size, sha256: this.#hash.digest('hex') };
  }

  abort(reason: unknown): void {
    this.#delivery?.abort(reason);
  }

  #open(): SinkStream {
    this.#delivery ??= new SinkStream((content) => this.#sink.attachment(this.#part, content));
    return this.#delivery;
  }

  async #release(): Promise<void> {
    const bytes = Buffer.concat(this.#peeked ?? []);
    this.#peeked = undefined;
    const subject = readAttachedSubject(bytes.subarray(0, PEEK));
    this.#part = { ...this.#part, filename: `${subject ?? 'message'}.eml` };
    await this.#open().write(bytes);
  }
}
