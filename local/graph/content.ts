import { createHash, randomUUID } from 'node:crypto';
import { type Address, addressField, readAddresses } from './address.ts';
import type { StoredAttachment } from './attachment.ts';
import { type MailBody, type MimeContent, readMimeContent } from './mime-content.ts';
import { editHeader, withAttachments } from './mime-edit.ts';
import { decodedText, fieldValue, readFields } from './mime-reader.ts';
import { encodedLine, writeMail } from './mime-writer.ts';

/** The properties of a message that its header carries. */
export interface MailFields {
  readonly subject: string;
  readonly from: Address | undefined;
  readonly sender: Address | undefined;
  readonly to: readonly Address[];
  readonly cc: readonly Address[];
  readonly bcc: readonly Address[];
  readonly replyTo: readonly Address[];
  readonly messageId: string;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  readonly importance: 'low' | 'normal' | 'high';
  readonly readReceipt: boolean;
  readonly deliveryReceipt: boolean;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** What a message says: kept as the MIME it came as, or as properties. A draft can be changed. */
export class Content {
  handedIn: Buffer | undefined;
  #mime: Buffer | undefined;
  #fields: MailFields;
  /** Set where the body is no longer that of the MIME. */
  #body: MailBody | undefined;
  #parsed: MimeContent | undefined;
  #hasCalendar: boolean | undefined;
  #changed = new Set<string>();
  #added: StoredAttachment[] = [];
  /** Header lines by name in lower case, of headers that no property stands for. */
  #headers = new Map<string, string>();

  private constructor(mime: Buffer | undefined, fields: MailFields, body: MailBody | undefined) {
    this.#mime = mime;
    this.#fields = fields;
    this.#body = body;
  }

  /** `bytes` is kept, not copied. `handedIn`: the MIME as a client wrote it, where the service has changed it. */
  static fromMime(bytes: Buffer, receivedAt: number, handedIn?: Buffer): Content {
    const made = new Content(bytes, fieldsOf(bytes, receivedAt), undefined);
    made.handedIn = handedIn;
    return made;
  }

  static fromProperties(fields: Partial<MailFields>, body: MailBody, attachments: readonly StoredAttachment[]) {
    const made = new Content(undefined, { ...emptyFields(), ...fields }, body);
    made.#added = [...attachments];
    return made;
  }

  get fields(): MailFields {
    return this.#fields;
  }

  /** `mime` until its body or attachments were replaced by properties. */
  get form(): 'mime' | 'properties' {
    return this.#mime === undefined ? 'properties' : 'mime';
  }

  get attachments(): readonly StoredAttachment[] {
    const own = this.#mime === undefined ? [] : this.#content().attachments;
    return [...own, ...this.#added];
  }

  get hasAttachments(): boolean {
    return this.attachments.some((one) => !one.isInline);
  }

  get meetingMethod(): string | undefined {
    // Looking through a large mail once is enough: every listing asks.
    this.#hasCalendar ??= this.#mime?.includes('text/calendar') ?? false;
    return this.#hasCalendar ? this.#content().meetingMethod : undefined;
  }

  /** HTML where there is one, unless text is wanted. */
  body(wanted?: 'text' | 'html'): MailBody {
    if (this.#body) return wanted === 'text' ? { contentType: 'text', content: plain(this.#body) } : this.#body;
    const { text, html } = this.#content();
    if (html !== undefined && (wanted !== 'text' || text === undefined)) {
      return wanted === 'text'
        ? { contentType: 'text', content: plain({ contentType: 'html', content: html }) }
        : { contentType: 'html', content: html };
    }
    return { contentType: 'text', content: text ?? '' };
  }

  change(fields: Partial<MailFields>): void {
    this.#fields = { ...this.#fields, ...fields };
    for (const name of Object.keys(headerOf)) if (name in fields) this.#changed.add(name);
  }

  /** Takes over all that another says. */
  become(other: Content): void {
    this.handedIn = other.handedIn;
    this.#mime = other.#mime;
    this.#fields = other.#fields;
    this.#body = other.#body;
    this.#parsed = undefined;
    this.#hasCalendar = undefined;
    this.#added = [...other.#added];
    this.#changed = new Set(other.#changed);
    this.#headers = new Map(other.#headers);
  }

  /** A header that is set by an extended property. */
  setHeader(name: string, value: string): void {
    this.#headers.set(name.toLowerCase(), `${name}: ${encodedLine(value)}`);
    const others = this.#fields.headers.filter((one) => one.name.toLowerCase() !== name.toLowerCase());
    this.#fields = { ...this.#fields, headers: [...others, { name, value }] };
  }

  /** From now on the message is one of properties: a body that was written replaces every body of the MIME. */
  replaceBody(body: MailBody): void {
    this.#added = [...this.attachments];
    this.#mime = undefined;
    this.#parsed = undefined;
    this.#hasCalendar = undefined;
    this.#body = body;
  }

  add(attachment: StoredAttachment): void {
    this.#added.push(attachment);
  }

  remove(tail: string): void {
    const inMime = this.#mime !== undefined && this.#content().attachments.some((one) => one.tail === tail);
    // MIME without one of its parts is written again.
    if (inMime) this.replaceBody(this.body());
    this.#added = this.#added.filter((one) => one.tail !== tail);
  }

  /** The whole message in pieces. The very bytes it came as, unless it was changed. */
  *pieces(options: { readonly bcc: boolean } = { bcc: true }): Generator<Buffer> {
    const fields = this.#fields;
    if (this.#mime === undefined) {
      yield* writeMail({
        ...fields,
        from: fields.from ?? { name: '', address: '' },
        sender: sameAddress(fields.sender, fields.from) ? undefined : fields.sender,
        bcc: options.bcc ? fields.bcc : [],
        date: fields.sentAt,
        body: this.body(),
        attachments: this.attachments,
      });
      return;
    }
    const lines = new Map<string, string | undefined>(this.#headers);
    for (const name of this.#changed) {
      const [header, line] = headerOf[name]?.(fields) ?? [];
      if (header !== undefined) lines.set(header, line);
    }
    if (!options.bcc) lines.set('bcc', undefined);
    const add = [...lines.values()].filter((line) => line !== undefined);
    const mime = editHeader(this.#mime, { drop: (name) => lines.has(name), add });
    if (this.#added.length === 0) yield mime;
    else yield* withAttachments(mime, this.#added);
  }

  #content(): MimeContent {
    this.#parsed ??= readMimeContent(this.#mime ?? Buffer.alloc(0));
    return this.#parsed;
  }
}

/** The header line of a property: its name in lower case, and the line, if it has one now. */
const headerOf: Readonly<Record<string, (fields: MailFields) => [string, string | undefined]>> = {
  subject: ({ subject }) => ['subject', `Subject: ${encodedLine(subject)}`],
  from: ({ from }) => ['from', from && `From: ${addressField([from])}`],
  sender: ({ sender, from }) => [
    'sender',
    sender && !sameAddress(sender, from) ? `Sender: ${addressField([sender])}` : undefined,
  ],
  to: ({ to }) => ['to', list('To', to)],
  cc: ({ cc }) => ['cc', list('CC', cc)],
  bcc: ({ bcc }) => ['bcc', list('Bcc', bcc)],
  replyTo: ({ replyTo }) => ['reply-to', list('Reply-To', replyTo)],
  importance: ({ importance }) => ['importance', `Importance: ${importance}`],
  messageId: ({ messageId }) => ['message-id', `Message-ID: ${messageId}`],
};
function list(name: string, addresses: readonly Address[]): string | undefined {
  return addresses.length === 0 ? undefined : `${name}: ${addressField(addresses)}`;
}

/** Whether two addresses are one, in any letter case; names do not count. */
export function sameAddress(one: Address | undefined, other: Address | undefined): boolean {
  return one?.address.toLowerCase() === other?.address.toLowerCase();
}

/** A Message-ID that no other message has. */
export function newMessageId(): string {
  return `<${createHash('sha256').update(randomUUID()).digest('hex').slice(0, 32).toUpperCase()}@localhost>`;
}

function emptyFields(): MailFields {
  return {
    subject: '',
    from: undefined,
    sender: undefined,
    to: [],
    cc: [],
    bcc: [],
    replyTo: [],
    messageId: newMessageId(),
    sentAt: 0,
    importance: 'normal',
    readReceipt: false,
    deliveryReceipt: false,
    headers: [],
  };
}

function fieldsOf(bytes: Buffer, receivedAt: number): MailFields {
  const { fields } = readFields(bytes);
  const value = (name: string) => fieldValue(fields, name);
  const from = readAddresses(value('from'))[0];
  const sentAt = Date.parse(value('date') ?? '');
  const importance = value('importance')?.toLowerCase();
  return {
    ...emptyFields(),
    subject: decodedText(value('subject') ?? ''),
    from,
    sender: readAddresses(value('sender'))[0] ?? from,
    to: readAddresses(value('to')),
    cc: readAddresses(value('cc')),
    bcc: readAddresses(value('bcc')),
    replyTo: readAddresses(value('reply-to')),
    ...(value('message-id') === undefined ? {} : { messageId: value('message-id') ?? '' }),
    sentAt: Number.isNaN(sentAt) ? receivedAt : sentAt,
    importance: importance === 'low' || importance === 'high' ? importance : 'normal',
    readReceipt: value('disposition-notification-to') !== undefined,
    deliveryReceipt: value('return-receipt-to') !== undefined,
    headers: fields.map(({ name, value: text }) => ({ name, value: decodedText(text) })),
  };
}

/** Text of a body, tags and their entities taken away. */
export function plain({ contentType, content }: MailBody): string {
  if (contentType === 'text') return content;
  return content
    .replace(/<(style|script)\b[^>]*>.*?<\/\1>/gis, '')
    .replace(/<(br|\/p|\/div)\b[^>]*>/gi, '\r\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&nbsp;/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&amp;/g, '&');
}
