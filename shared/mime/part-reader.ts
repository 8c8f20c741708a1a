import { AttachmentWriter } from './attachment-writer.ts';
import { BounceReader } from './bounces/bounce-reader.ts';
import { ContentPeek } from './content-peek.ts';
import { EmbeddedFiles, type TextPiece } from './embedded-files.ts';
import { FlagCollector } from './flags.ts';
import type { HeaderBlock } from './header-block.ts';
import { textOfHtml } from './html-text.ts';
import type { MimeLimits } from './limits.ts';
import type { AttachmentPart, BodyKind, Defects, MimeSink, ParsedAttachment, ParsedMail } from './mail.ts';
import type { MailHeader } from './mail-header.ts';
import { type PartHeader, typeOfFile } from './part-header.ts';
import { conventionalName, roleOf } from './part-role.ts';
import { isSmime, SMIME_PEEK, smimeKind } from './smime.ts';
import type { PartPlace, SplitEvent } from './splitter.ts';
import { TextBody } from './text-body.ts';
import { type TransferDecoder, transferDecoder } from './transfer-encoding.ts';

/** Where the bytes of the part under way go, once its transfer encoding is undone. */
interface Target {
  write(bytes: Buffer): Promise<void> | undefined;
  end(): Promise<void>;
}

export type PartsOfMail = Pick<
  ParsedMail,
  'text' | 'html' | 'textTruncated' | 'htmlTruncated' | 'attachments' | 'flags' | 'bounce'
>;

/** Takes the parts of a mail as they come and makes bodies and attachments of them. */
export class PartReader {
  readonly #sink: MimeSink;
  readonly #limits: MimeLimits;
  readonly #defects: Defects;
  readonly #bodies: Readonly<Record<BodyKind, TextBody>>;
  readonly #flags = new FlagCollector();
  readonly #bounces = new BounceReader();
  readonly #attachments: ParsedAttachment[] = [];
  #target: Target | undefined;
  #decoder: TransferDecoder | undefined;
  #writer: AttachmentWriter | undefined;
  /** Looks at the part under way, and what it is for. */
  #peek: ContentPeek | undefined;
  #smime: { readonly header: PartHeader; readonly peek: ContentPeek } | undefined;
  #hasContent = false;

  constructor(sink: MimeSink, limits: MimeLimits, defects: Defects) {
    this.#sink = sink;
    this.#limits = limits;
    this.#defects = defects;
    const body = (kind: BodyKind) =>
      new TextBody({ kind, limit: limits.inlineText, defects, long: (content) => sink.longBody(kind, content) });
    this.#bodies = { text: body('text'), html: body('html') };
  }

  /** Answers a promise where the sink has to be waited for. */
  handle(event: SplitEvent): Promise<void> | undefined {
    switch (event.kind) {
      case 'multipart':
        this.#flags.part(event.header);
        this.#bounces.part(event.header);
        return undefined;
      case 'part':
        this.#begin(event.header, event.place);
        return undefined;
      case 'body':
        return this.#write(this.#decoder?.write(event.bytes));
      case 'end':
        return this.#end();
    }
  }

  /** Cuts what is being handed to the sink. */
  abort(reason: unknown): void {
    this.#writer?.abort(reason);
    this.#bodies.text.abort(reason);
    this.#bodies.html.abort(reason);
  }

  /**
   * What was read from all parts, with what the header of the mail adds: `block` as it came, `header` as it was read.
   */
  finish(block: HeaderBlock, header: MailHeader): PartsOfMail {
    const { text, html } = this.#bodies;
    const textValue = text.value;
    const htmlValue = html.value;
    if (!this.#hasContent) this.#defects.add('missing-body');
    this.#flags.header(block);
    if (textValue !== undefined) this.#flags.text(textValue);
    const words = textValue?.trim() ? textValue : htmlValue && textOfHtml(htmlValue);
    const { autoSubmitted, bounce, report } = this.#bounces.finish(block, header, words);
    return {
      text: textValue,
      html: htmlValue,
      textTruncated: text.truncated,
      htmlTruncated: html.truncated,
      attachments: this.#attachments.map((attachment) => this.#shown(attachment)),
      bounce: report,
      flags: { autoSubmitted, bounce, ...this.#flags.flags },
    };
  }

  /** What the HTML refers to is shown inside it, whatever its disposition says. */
  #shown(attachment: ParsedAttachment): ParsedAttachment {
    const { contentId, inline } = attachment;
    if (inline || contentId === undefined || !this.#bodies.html.references.has(contentId)) return attachment;
    return { ...attachment, inline: true };
  }

  #begin(header: PartHeader, place: PartPlace): void {
    this.#flags.part(header);
    this.#peek = this.#bounces.part(header);
    if (isSmime(header)) {
      this.#peek = new ContentPeek(SMIME_PEEK);
      this.#smime = { header, peek: this.#peek };
    }
    this.#decoder = transferDecoder(header.encoding, this.#defects);
    const { text, html } = this.#bodies;
    const role = roleOf(header, place, text.begun || html.begun);
    const body = role.body && this.#bodies[role.body];
    if (role.body !== undefined && body?.takes(place)) {
      body.begin(header, place);
      this.#target = role.body === 'text' ? this.#textTarget(body) : this.#bodyTarget(body);
      return;
    }
    this.#hasContent = true;
    this.#openAttachment({
      filename: header.filename ?? header.location ?? conventionalName(header.contentType),
      contentType: header.contentType,
      contentId: header.contentId,
      inline: role.body === undefined && role.inline,
    });
    this.#target = { write: (bytes) => this.#writer?.write(bytes), end: () => this.#closeAttachment() };
  }

  #bodyTarget(body: TextBody): Target {
    return {
      write: (bytes) => body.write(bytes),
      end: async () => {
        for (const { header, bytes } of await body.endPart()) {
          this.#openAttachment({
            filename: header.filename ?? header.location,
            contentType: header.contentType,
            contentId: header.contentId,
            inline: false,
          });
          await this.#writer?.write(bytes);
          await this.#closeAttachment();
        }
      },
    };
  }

  /** A plain text, in which files may stand. */
  #textTarget(body: TextBody): Target {
    const files = new EmbeddedFiles(() => this.#limits.parts - this.#attachments.length);
    const target = this.#bodyTarget(body);
    return {
      write: (bytes) => {
        const pieces = files.write(bytes);
        const [only] = pieces;
        if (pieces.length === 1 && only?.kind === 'text') return target.write(only.bytes);
        return pieces.length === 0 ? undefined : this.#writePieces(pieces, target);
      },
      end: async () => {
        await this.#writePieces(files.end(), target);
        await target.end();
      },
    };
  }

  async #writePieces(pieces: readonly TextPiece[], target: Target): Promise<void> {
    for (const piece of pieces) {
      if (piece.kind === 'text') await target.write(piece.bytes);
      else if (piece.kind === 'data') await this.#writer?.write(piece.bytes);
      else if (piece.kind === 'file') {
        const { filename } = piece;
        this.#openAttachment({ filename, contentType: typeOfFile(filename), contentId: undefined, inline: false });
      } else {
        if (!piece.intact) this.#defects.add(piece.encoding === 'yenc' ? 'invalid-yenc' : 'invalid-uuencode');
        await this.#closeAttachment();
      }
    }
  }

  #openAttachment(part: Omit<AttachmentPart, 'n'>): void {
    this.#writer = new AttachmentWriter(this.#sink, { n: this.#attachments.length + 1, ...part });
  }

  async #closeAttachment(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#attachments.push(await writer.end());
    this.#writer = undefined;
  }

  #write(bytes: Buffer | undefined): Promise<void> | undefined {
    if (bytes === undefined || bytes.length === 0) return undefined;
    this.#hasContent = true;
    this.#peek?.write(bytes);
    return this.#target?.write(bytes);
  }

  async #end(): Promise<void> {
    await this.#write(this.#decoder?.end());
    await this.#target?.end();
    if (this.#smime) this.#flags.smime(smimeKind(this.#smime.header, this.#smime.peek.bytes));
    this.#smime = undefined;
    this.#peek = undefined;
    this.#target = undefined;
    this.#decoder = undefined;
  }
}
