import { z } from 'zod';
import { MemoryShare, type Share } from '../../../platform/memory-share.ts';
import { spentBuffers } from '../../../platform/spent-buffers.ts';
import { TextUnusable } from '../../mail-text.ts';
import { secretScrub } from '../../redaction.ts';
import type { FrozenMail } from '../../transport.ts';
import { answerError, discard, readJson } from '../answers.ts';
import { GraphError } from '../graph-error.ts';
import { exchange, type SilenceLimits } from '../http-exchange.ts';
import { messageUrl } from '../mailbox.ts';
import { type DetachedPart, detachedContents } from './detach.ts';
import type { SenderContext } from './drafts.ts';

/** From here on an attachment goes by an upload session (Microsoft Learn, "Attach large files to Outlook messages"). */
const sessionFrom = 3_000_000;

/** Bytes of one range: below 4 MB, and a multiple of 320 KiB, which some of Microsoft's services want. */
const ranges = new MemoryShare({ bytes: 8 << 20, most: 8 * 320 * 1024, least: 320 * 1024 });
/** One that is filled and sent, and what TLS makes of it. */
const buffersOfRange = 2;

const sessionSchema = z.object({ uploadUrl: z.string().min(1).max(16_384) });
const rangesSchema = z.object({
  nextExpectedRanges: z.array(z.string()).nullish(),
  NextExpectedRanges: z.array(z.string()).nullish(),
});

/** Adds the detached parts of a mail to its draft. Memory: one range. Throws GraphError, TextUnusable. */
export async function attachParts(
  context: SenderContext,
  draft: string,
  { mail, detached }: { readonly mail: FrozenMail; readonly detached: readonly DetachedPart[] },
  options: { readonly signal: AbortSignal; readonly limits: SilenceLimits },
): Promise<void> {
  const { signal, limits } = options;
  let share: Share | undefined;
  let range: Buffer | undefined;
  const emptyRange = () => {
    share ??= ranges.acquire(buffersOfRange);
    if (range?.length !== share.size) range = Buffer.allocUnsafeSlow(share.size);
    return range;
  };
  try {
    let upload: Attachment | undefined;
    for await (const { part, bytes, last } of detachedContents(mail, detached, signal)) {
      upload ??=
        part.size < sessionFrom
          ? new SmallAttachment(context, draft, part, signal)
          : await UploadSession.open(context, draft, { part, emptyRange }, { signal, limits });
      await upload.write(bytes);
      if (!last) continue;
      await upload.end();
      upload = undefined;
    }
  } finally {
    share?.release();
  }
}

interface Attachment {
  write(bytes: Buffer): Promise<void>;
  end(): Promise<void>;
}

/** The text that was read for the sizes is not the text that is read now. */
const changed = () => new TextUnusable('changed');

class SmallAttachment implements Attachment {
  readonly #context: SenderContext;
  readonly #draft: string;
  readonly #part: DetachedPart;
  readonly #signal: AbortSignal;
  readonly #chunks: Buffer[] = [];

  constructor(context: SenderContext, draft: string, part: DetachedPart, signal: AbortSignal) {
    this.#context = context;
    this.#draft = draft;
    this.#part = part;
    this.#signal = signal;
  }

  async write(bytes: Buffer): Promise<void> {
    this.#chunks.push(bytes);
  }

  async end(): Promise<void> {
    const { name, contentType, contentId, inline, size } = this.#part;
    const content = Buffer.concat(this.#chunks);
    if (content.length !== size) throw changed();
    await this.#context.client.done({
      method: 'POST',
      url: messageUrl(this.#context, this.#draft, ['attachments']),
      body: {
        '@odata.type': '#microsoft.graph.fileAttachment',
        name,
        contentType,
        isInline: inline,
        ...(contentId === undefined ? {} : { contentId }),
        contentBytes: content.toString('base64'),
      },
      signal: this.#signal,
    });
  }
}

/** An attachment, and the buffer for its next range, which may be the one of the last. */
interface RangedPart {
  readonly part: DetachedPart;
  readonly emptyRange: () => Buffer;
}

/** Ranges of one attachment, in order, to an address that needs no token and gets none. */
class UploadSession implements Attachment {
  readonly #context: SenderContext;
  readonly #url: URL;
  readonly #part: DetachedPart;
  readonly #options: { readonly signal: AbortSignal; readonly limits: SilenceLimits };
  readonly #emptyRange: () => Buffer;
  /** Filled again once Graph has answered. */
  #range: Buffer;
  #held = 0;
  #sent = 0;

  private constructor(
    context: SenderContext,
    url: URL,
    { part, emptyRange }: RangedPart,
    options: { readonly signal: AbortSignal; readonly limits: SilenceLimits },
  ) {
    this.#context = context;
    this.#url = url;
    this.#part = part;
    this.#emptyRange = emptyRange;
    this.#range = emptyRange();
    this.#options = options;
  }

  static async open(
    context: SenderContext,
    draft: string,
    ranged: RangedPart,
    options: { readonly signal: AbortSignal; readonly limits: SilenceLimits },
  ): Promise<UploadSession> {
    const { name, size, contentType, contentId, inline } = ranged.part;
    const item = {
      attachmentType: 'file',
      name,
      size,
      contentType,
      isInline: inline,
      ...(contentId === undefined ? {} : { contentId }),
    };
    const { uploadUrl } = await context.client.json(
      {
        method: 'POST',
        url: messageUrl(context, draft, ['attachments', 'createUploadSession']),
        body: { AttachmentItem: item },
        signal: options.signal,
      },
      sessionSchema,
    );
    const url = URL.parse(uploadUrl);
    if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
      throw new GraphError('nonsense', 'an upload address that is not https', { code: 'UPLOAD_ADDRESS' });
    }
    return new UploadSession(context, url, ranged, options);
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#range, this.#held, at);
      at += copied;
      this.#held += copied;
      if (this.#held === this.#range.length) await this.#put();
    }
    spentBuffers(bytes.length);
  }

  async end(): Promise<void> {
    if (this.#sent + this.#held !== this.#part.size) throw changed();
    if (this.#held > 0) await this.#put();
  }

  async #put(): Promise<void> {
    const size = this.#held;
    const range = this.#range.subarray(0, size);
    const from = this.#sent;
    const total = this.#part.size;
    const { signal, limits } = this.#options;
    const answer = await exchange(
      {
        method: 'PUT',
        url: this.#url,
        body: range,
        headers: {
          'content-type': 'application/octet-stream',
          'content-range': `bytes ${from}-${from + size - 1}/${total}`,
        },
        signal,
        limits,
      },
      this.#context.client.agent,
    );
    if (answer.status < 200 || answer.status >= 300)
      throw await answerError(answer, Date.now(), secretScrub(this.#url.href));
    this.#sent += size;
    this.#held = 0;
    this.#range = this.#emptyRange();
    // The last range is answered 201, without a body.
    if (answer.status !== 200 || this.#sent === total) return await discard(answer);
    const { nextExpectedRanges, NextExpectedRanges } = await readJson(answer, rangesSchema);
    const expected = Number.parseInt((nextExpectedRanges ?? NextExpectedRanges ?? [])[0] ?? String(this.#sent), 10);
    if (expected !== this.#sent) {
      throw new GraphError('nonsense', 'an upload session that expects other bytes', { code: 'UPLOAD_RANGE' });
    }
  }
}
