import { AttachmentWriter } from './attachment-writer.ts';
import { FlagCollector } from './flags.ts';
import type { HeaderBlock } from './header-block.ts';
import type { MimeLimits } from './limits.ts';
import type { BodyKind, Defects, MimeSink, ParsedAttachment, ParsedMail } from './mail.ts';
import type { PartHeader } from './part-header.ts';
import { conventionalName, roleOf } from './part-role.ts';
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
  'text' | 'html' | 'textTruncated' | 'htmlTruncated' | 'attachments' | 'flags'
>;

/** Takes the parts of a mail as they come and makes bodies and attachments of them. */
export class PartReader {
  readonly #sink: MimeSink;
  readonly #defects: Defects;
  readonly #bodies: Readonly<Record<BodyKind, TextBody>>;
  readonly #flags = new FlagCollector();
  readonly #attachments: ParsedAttachment[] = [];
  /** Kinds of body that the alternatives under way have given. */
  readonly #alternatives = new Set<BodyKind>();
  #target: Target | undefined;
  #decoder: TransferDecoder | undefined;
  #writer: AttachmentWriter | undefined;
  #hasContent = false;

  constructor(sink: MimeSink, limits: MimeLimits, defects: Defects) {
    this.#sink = sink;
    this.#defects = defects;
    const body = (kind: BodyKind) => new TextBody(limits.inlineText, defects, (c) => sink.longBody(kind, c));
    this.#bodies = { text: body('text'), html: body('html') };
  }

  /** Answers a promise where the sink has to be waited for. */
  take(event: SplitEvent): Promise<void> | undefined {
    switch (event.kind) {
      case 'multipart':
        if (event.header.contentType === 'multipart/alternative') this.#alternatives.clear();
        this.#flags.part(event.header);
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

  /** What the parts come to, with the flags that the header of the mail adds. */
  finish(root: HeaderBlock): PartsOfMail {
    const { text, html } = this.#bodies;
    const textValue = text.value;
    if (!this.#hasContent) this.#defects.add('missing-body');
    this.#flags.header(root);
    if (textValue !== undefined) this.#flags.text(textValue);
    return {
      text: textValue,
      html: html.value,
      textTruncated: text.truncated,
      htmlTruncated: html.truncated,
      attachments: this.#attachments,
      flags: this.#flags.flags,
    };
  }

  #begin(header: PartHeader, place: PartPlace): void {
    this.#flags.part(header);
    this.#decoder = transferDecoder(header.encoding, this.#defects);
    const role = roleOf(header, place, (kind) => this.#alternatives.has(kind));
    const body = role.body && this.#bodies[role.body];
    if (role.body !== undefined && body?.takesMore) {
      if (place.parent === 'alternative') this.#alternatives.add(role.body);
      body.begin(header.charset);
      this.#target = { write: (bytes) => body.write(bytes), end: () => body.endPart() };
      return;
    }
    const writer = new AttachmentWriter(this.#sink, {
      n: this.#attachments.length + 1,
      filename: header.filename ?? conventionalName(header.contentType),
      contentType: header.contentType,
      contentId: header.contentId,
      inline: role.body === undefined && role.inline,
    });
    this.#writer = writer;
    this.#hasContent = true;
    const end = async () => {
      this.#attachments.push(await writer.end());
      this.#writer = undefined;
    };
    this.#target = { write: (bytes) => writer.write(bytes), end };
  }

  #write(bytes: Buffer | undefined): Promise<void> | undefined {
    if (bytes === undefined || bytes.length === 0) return undefined;
    this.#hasContent = true;
    return this.#target?.write(bytes);
  }

  async #end(): Promise<void> {
    await this.#write(this.#decoder?.end());
    await this.#target?.end();
    this.#target = undefined;
    this.#decoder = undefined;
  }
}
