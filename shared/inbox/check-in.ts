import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import type { ListedMail } from '../adapters/store.ts';
import { type Asset, assetPaths } from '../assets/asset.ts';
import type { MimeSink, ParsedMail } from '../assets/mime/mail.ts';
import { readMime } from '../assets/mime/read-mime.ts';
import { safeFileName } from '../assets/mime/safe-file-name.ts';
import { toIso } from '../platform/clock.ts';
import { accountId } from '../platform/ids.ts';
import { uploadUnknown } from '../platform/upload.ts';
import { assetRest, sourceText } from './keys.ts';
import { MailTrouble, Oversize } from './trouble.ts';

/** A mail whose blobs are all written and which only the commit is missing. */
export interface CheckedIn {
  readonly mail: ListedMail;
  /** Asset id without the account. */
  readonly rest: string;
  readonly importedAt: number;
  readonly size: number;
  readonly sha256: string;
  readonly messageId: string | undefined;
  readonly oversize: boolean;
}

export interface CheckInOptions {
  readonly signal: AbortSignal;
  readonly importedAt: number;
  readonly oversize: boolean;
  /** Throws Oversize as soon as the mail is seen to be larger, in bytes. */
  readonly maxBytes: number;
}

/**
 * Writes a mail's blobs: `message.eml` byte for byte as it came, its attachments, and last `asset.json`. Every path
 * follows from account and source, so that doing it again after a crash overwrites the same blobs. Memory: a few chunks.
 */
export async function checkIn(
  container: ContainerClient,
  account: string,
  mail: ListedMail,
  content: Buffer | Readable,
  options: CheckInOptions,
): Promise<CheckedIn> {
  const { signal, importedAt, oversize, maxBytes } = options;
  const rest = assetRest(account, mail.source);
  const id = accountId(account, rest);
  const paths = assetPaths(account, id);
  const kept = new KeptParts(container, paths, signal);
  const raw = Buffer.isBuffer(content)
    ? await whole(container, paths.message, within(content, maxBytes), kept, signal)
    : await streamed(container, paths.message, content, kept, { signal, maxBytes });
  if (!oversize && mail.size !== undefined && raw.size === 0 && mail.size > 0) {
    throw new MailTrouble('The server sent an empty mail');
  }
  const { parsed } = raw;
  const asset: Asset = {
    id,
    account,
    folder: mail.folder,
    sourceId: sourceText(mail.source),
    messageId: parsed.messageId ?? null,
    subject: parsed.subject ?? null,
    from: [...parsed.from],
    to: [...parsed.to],
    cc: [...parsed.cc],
    replyTo: [...parsed.replyTo],
    date: parsed.date ?? null,
    receivedAt: mail.receivedAt === undefined ? null : toIso(mail.receivedAt),
    importedAt: toIso(importedAt),
    size: raw.size,
    sha256: raw.sha256,
    inReplyTo: parsed.inReplyTo ?? null,
    references: [...parsed.references],
    text: parsed.text ?? null,
    ...(parsed.textTruncated ? { textPath: paths.text } : {}),
    html: parsed.html ?? null,
    ...(parsed.htmlTruncated ? { htmlPath: paths.html } : {}),
    attachments: parsed.attachments.map((attachment) => ({
      n: attachment.n,
      filename: attachment.filename ?? null,
      contentType: attachment.contentType,
      size: attachment.size,
      sha256: attachment.sha256,
      contentId: attachment.contentId ?? null,
      inline: attachment.inline,
      path: kept.pathOf(attachment.n),
    })),
    flags: { ...parsed.flags, oversize },
    defects: [...parsed.defects],
    authenticationResults: [...parsed.authenticationResults],
  };
  const description = Buffer.from(JSON.stringify(asset));
  await container.getBlockBlobClient(paths.description).upload(description, description.length, {
    abortSignal: signal,
    blobHTTPHeaders: { blobContentType: 'application/json' },
  });
  return {
    mail,
    rest,
    importedAt,
    size: raw.size,
    sha256: raw.sha256,
    messageId: parsed.messageId,
    oversize,
  };
}

function within(content: Buffer, maxBytes: number): Buffer {
  if (content.length > maxBytes) {
    throw new Oversize();
  }
  return content;
}

interface Raw {
  readonly size: number;
  readonly sha256: string;
  readonly parsed: ParsedMail;
}

/** Puts parts where the asset keeps them. */
class KeptParts implements MimeSink {
  readonly #container: ContainerClient;
  readonly #paths: ReturnType<typeof assetPaths>;
  readonly #signal: AbortSignal;
  readonly #attachments = new Map<number, string>();

  constructor(container: ContainerClient, paths: ReturnType<typeof assetPaths>, signal: AbortSignal) {
    this.#container = container;
    this.#paths = paths;
    this.#signal = signal;
  }

  pathOf(n: number): string {
    return this.#attachments.get(n) ?? '';
  }

  async attachment(part: Parameters<MimeSink['attachment']>[0], content: Readable): Promise<void> {
    const path = this.#paths.attachment(part.n, safeFileName(part.filename, part.contentType, part.n));
    this.#attachments.set(part.n, path);
    // A type the sender chose must not be served as one a browser would run: it is told in asset.json.
    await uploadUnknown(this.#container, path, content, 'application/octet-stream', this.#signal);
  }

  async longBody(kind: 'text' | 'html', content: Readable): Promise<void> {
    await uploadUnknown(this.#container, this.#paths[kind], content, 'text/plain; charset=utf-8', this.#signal);
  }
}

async function whole(
  container: ContainerClient,
  path: string,
  content: Buffer,
  sink: MimeSink,
  signal: AbortSignal,
): Promise<Raw> {
  const [parsed] = await all([
    readMime(content, sink, { signal }),
    container.getBlockBlobClient(path).upload(content, content.length, {
      abortSignal: signal,
      blobHTTPHeaders: { blobContentType: 'message/rfc822' },
    }),
  ]);
  return { size: content.length, sha256: createHash('sha256').update(content).digest('hex'), parsed };
}

async function streamed(
  container: ContainerClient,
  path: string,
  content: Readable,
  sink: MimeSink,
  { signal, maxBytes }: Pick<CheckInOptions, 'signal' | 'maxBytes'>,
): Promise<Raw> {
  const hash = createHash('sha256');
  const toBlob = new PassThrough({ highWaterMark: 256 << 10 });
  const toReader = new PassThrough({ highWaterMark: 256 << 10 });
  let size = 0;
  const cut = (error: unknown): never => {
    // Whoever fails ends the others: none may wait for a reader or writer that is gone.
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const stream of [content, toBlob, toReader]) {
      stream.on('error', () => undefined);
      stream.destroy(reason);
    }
    throw reason;
  };
  const share = async () => {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) {
        throw new Oversize();
      }
      hash.update(chunk);
      await Promise.all([write(toBlob, chunk), write(toReader, chunk)]);
    }
    toBlob.end();
    toReader.end();
  };
  const read = async () => {
    const parsed = await readMime(toReader, sink, { signal });
    toReader.resume();
    return parsed;
  };
  const [, parsed] = await all([
    share().catch(cut),
    read().catch(cut),
    uploadUnknown(container, path, toBlob, 'message/rfc822', signal).catch(cut),
  ]);
  return { size, sha256: hash.digest('hex'), parsed };
}

/** Writes with back-pressure; what a reader that is done no longer takes is dropped. */
function write(stream: PassThrough, chunk: Buffer): Promise<void> | undefined {
  if (stream.destroyed || stream.write(chunk)) {
    return undefined;
  }
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.once('drain', done);
    stream.once('close', done);
  });
}

/** Like Promise.all, but waits for all of them, so that nothing still runs when a failure is reported. */
async function all<const T extends readonly Promise<unknown>[]>(tasks: T) {
  await Promise.allSettled(tasks);
  return await Promise.all(tasks);
}
