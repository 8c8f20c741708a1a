import type { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import type { assetPaths } from '../../assets/asset.ts';
import type { MimeSink, ParsedMail } from '../../mime/mail.ts';
import { readMime } from '../../mime/read-mime.ts';
import { safeFileName } from '../../mime/safe-file-name.ts';
import { type UploadOptions, uploadUnknown } from '../../platform/upload.ts';
import { PartWrites } from './part-writes.ts';

/** How the blobs of a mail may be written. */
export type PartOptions = Pick<UploadOptions, 'signal'> & { readonly mayReplace: () => Promise<void> };

/** Options of one upload of a mail’s blob: created where there is none, replaced only where this run still may. */
export function uploading(contentType: string, { signal, mayReplace }: PartOptions): UploadOptions {
  return { contentType, signal, mayReplace };
}

/** Puts parts where the asset keeps them. */
export class KeptParts implements MimeSink {
  readonly #container: ContainerClient;
  readonly #paths: ReturnType<typeof assetPaths>;
  readonly #options: PartOptions;
  readonly #attachments = new Map<number, string>();
  readonly #writes = new PartWrites();

  constructor(container: ContainerClient, paths: ReturnType<typeof assetPaths>, options: PartOptions) {
    this.#container = container;
    this.#paths = paths;
    this.#options = options;
  }

  pathOf(n: number): string {
    return this.#attachments.get(n) ?? '';
  }

  async attachment(part: Parameters<MimeSink['attachment']>[0], content: Readable): Promise<void> {
    const path = this.#paths.attachment(part.n, safeFileName(part.filename, part.contentType, part.n));
    this.#attachments.set(part.n, path);
    // A type the sender chose must not be served as one a browser would run: asset.json says which it was.
    await this.#writes.add(content, (bytes) => this.#keep(path, bytes, 'application/octet-stream'));
  }

  /** Reads a mail and keeps its parts. When it ends, however it does, nothing is being written any more. */
  async read(content: Buffer | Readable): Promise<ParsedMail> {
    try {
      return await readMime(content, this, { signal: this.#options.signal });
    } finally {
      await this.#writes.finish();
    }
  }

  async longBody(kind: 'text' | 'html', content: Readable): Promise<void> {
    await this.#keep(this.#paths[kind], content, 'text/plain; charset=utf-8');
  }

  async #keep(path: string, content: AsyncIterable<Buffer>, contentType: string): Promise<void> {
    await uploadUnknown(this.#container.getBlockBlobClient(path), content, uploading(contentType, this.#options));
  }
}
