import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import type { ContentDoubt } from '../../adapters/mail-content.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { type Asset, assetPaths } from '../../assets/asset.ts';
import { storedResults } from '../../assets/earlier-form.ts';
import { descriptionOf } from '../../assets/summary.ts';
import type { DeliveryReport } from '../../mime/bounces/report.ts';
import type { ParsedMail } from '../../mime/mail.ts';
import { toIso } from '../../platform/clock.ts';
import { accountId } from '../../platform/ids.ts';
import { uploadUnknown, uploadWhole } from '../../platform/upload.ts';
import { reportOf } from '../bounces/bounces.ts';
import type { BounceReceiver } from '../context.ts';
import { assetLocalId, sourceText } from '../keys.ts';
import { KeptParts, uploading } from './kept-parts.ts';
import { isSubstitute } from './substitute.ts';
import { Doubtful, Oversize, ToBeReread } from './trouble.ts';

/** A mail whose blobs are all written and which only the commit is missing. */
export interface CheckedIn {
  readonly mail: ListedMail;
  /** Asset id without the account. */
  readonly localId: string;
  readonly importedAt: number;
  readonly size: number;
  readonly sha256: string;
  readonly messageId: string | undefined;
  /** The original is never deleted or moved: only the header was imported, or the bytes are in doubt. */
  readonly keepOriginal: boolean;
  /** The server gave something of its own in place of the mail: it is asked for again. */
  readonly substitute: boolean;
  /** It is a bounce of a mail that this service sent. */
  readonly bounces: boolean;
}

/** Where the blobs go. */
export interface AssetPlace {
  readonly container: ContainerClient;
  readonly account: string;
}

/** How a mail is checked in. */
export interface CheckInOptions {
  readonly signal: AbortSignal;
  readonly importedAt: number;
  readonly oversize: boolean;
  /** Throws Oversize as soon as the mail is seen to be larger, in bytes. */
  readonly maxBytes: number;
  /** The mail was fetched by itself, and not with others. */
  readonly alone?: boolean;
  /** What is doubtful about the bytes, asked for when all are read. */
  readonly doubt?: () => ContentDoubt | undefined;
  /** Doubtful bytes are taken, with a defect, where they are as many as this: as many as came the time before. */
  readonly acceptBytes?: number;
  /** The asset is there already: its blobs stay as they are until the description, written last, names the new ones. */
  readonly replacing?: boolean;
  /** Throws where another run has taken the mail over: asked before a blob that is there is replaced. */
  readonly mayReplace: () => Promise<void>;
  /** Who knows of which message of this service a bounce is. */
  readonly bounces: Pick<BounceReceiver, 'find'>;
}

/**
 * Writes a mail's blobs: `message.eml` byte for byte as it came, its attachments, and last `asset.json`. Every path
 * follows from account and source, so that doing it again after a crash overwrites the same blobs. Memory: a few chunks.
 * Throws Oversize, ToBeReread for what is the mail's own.
 */
export async function checkIn(
  { container, account }: AssetPlace,
  mail: ListedMail,
  content: Buffer | Readable,
  options: CheckInOptions,
): Promise<CheckedIn> {
  const { importedAt, oversize, replacing = false } = options;
  const localId = assetLocalId(account, mail.source);
  const id = accountId(account, localId);
  const paths = assetPaths(account, id, { replacing });
  const kept = new KeptParts(container, paths, options);
  const blob = container.getBlockBlobClient(paths.message);
  const raw = Buffer.isBuffer(content)
    ? await whole(blob, within(content, options.maxBytes), kept, options)
    : await streamed(blob, content, kept, options);
  const { parsed } = raw;
  const doubts = doubtsOf(raw, options);
  const bounce = parsed.bounce ? await bounceOf(parsed.bounce, parsed.flags.bounce, options) : null;
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
    ...(replacing ? { messagePath: paths.message } : {}),
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
    bounce,
    flags: { ...parsed.flags, oversize },
    defects: [...parsed.defects, ...doubts],
    authenticationResults: parsed.authenticationResults.map(storedResults),
  };
  await uploadWhole(
    container.getBlockBlobClient(paths.description),
    descriptionOf(asset),
    uploading('application/json', options),
  );
  return {
    mail,
    localId,
    importedAt,
    size: raw.size,
    sha256: raw.sha256,
    messageId: parsed.messageId,
    keepOriginal: oversize || doubts.length > 0,
    substitute: doubts.includes('substitute'),
    bounces: bounce?.messageRecord !== undefined,
  };
}

/** Codes for what is doubtful about the bytes as such; they join the mail's own defects. */
function doubtsOf(raw: Raw, { oversize, doubt, acceptBytes, alone = false }: CheckInOptions): string[] {
  if (oversize) {
    return [];
  }
  const doubts: string[] = [];
  const contentDoubt = doubt?.();
  if (contentDoubt !== undefined) {
    if (raw.size !== acceptBytes) {
      throw new Doubtful(contentDoubt, raw.size);
    }
    doubts.push(contentDoubt === 'cutShort' ? 'size-differs' : 'message-id-differs');
  }
  if (isSubstitute(raw.parsed)) {
    if (!alone) {
      throw new ToBeReread('To be fetched again');
    }
    doubts.push('substitute');
  }
  return doubts;
}

async function bounceOf(
  { recipients, messageId }: DeliveryReport,
  isBounce: boolean,
  { bounces, signal }: CheckInOptions,
): Promise<NonNullable<Asset['bounce']>> {
  const bounce = {
    recipients: recipients.map(({ address, action, status, diagnostic }) => ({
      address,
      action: action ?? null,
      status: status ?? null,
      diagnostic: diagnostic ?? null,
    })),
    messageId: messageId ?? null,
  };
  const messageRecord = await bounces.find(reportOf(bounce, isBounce), { signal });
  return messageRecord === undefined ? bounce : { ...bounce, messageRecord };
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

async function whole(blob: BlockBlobClient, content: Buffer, sink: KeptParts, options: CheckInOptions): Promise<Raw> {
  const [parsed] = await all([sink.read(content), uploadWhole(blob, content, uploading('message/rfc822', options))]);
  return { size: content.length, sha256: createHash('sha256').update(content).digest('hex'), parsed };
}

async function streamed(
  blob: BlockBlobClient,
  content: Readable,
  sink: KeptParts,
  options: CheckInOptions,
): Promise<Raw> {
  const { maxBytes } = options;
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
    const parsed = await sink.read(toReader);
    toReader.resume();
    return parsed;
  };
  const [, parsed] = await all([
    share().catch(cut),
    read().catch(cut),
    uploadUnknown(blob, toBlob, uploading('message/rfc822', options)).catch(cut),
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
