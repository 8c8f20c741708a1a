import { type Address, isDeliverable } from './address.ts';
import type { Content } from './content.ts';
import { GraphRefusal } from './graph-error.ts';
import type { Mailbox } from './mailbox.ts';

/** A message that left a mailbox. */
export interface SentMail {
  /** Counts from 1 over all mailboxes. */
  readonly number: number;
  /** The user principal name of the mailbox. */
  readonly user: string;
  readonly via: 'send' | 'sendMail';
  /** How the client wrote it. */
  readonly form: 'mime' | 'properties';
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  readonly from: Address;
  readonly to: readonly Address[];
  readonly cc: readonly Address[];
  readonly bcc: readonly Address[];
  /** The addresses of all three, in their order. */
  readonly recipients: readonly string[];
  readonly subject: string;
  readonly messageId: string;
  /** Of the copy in Sent Items; undefined where none was kept. */
  readonly immutableId: string | undefined;
  readonly attachments: readonly {
    readonly name: string | null;
    readonly contentType: string | null;
    readonly contentId: string | null;
    readonly isInline: boolean;
    readonly size: number;
  }[];
  /** The base64-decoded MIME as the client handed it in; undefined for a message of properties. */
  readonly handedIn: Buffer | undefined;
  /** What leaves: without Bcc. Written again at every call. */
  bytes(): Buffer;
}

/** Held for looking at; the oldest goes first. */
const maxHeld = 10_000;
const maxHeldBytes = 1024 * 1024 * 1024;

/** Transport: checks what is to be sent, remembers it, and hands it to mailboxes that are here. */
export class Transport {
  readonly #sent: { readonly mail: SentMail; readonly size: number }[] = [];
  readonly #deliver: (address: string, bytes: () => Buffer) => void;
  readonly #now: () => number;
  readonly #onSent: ((mail: SentMail) => void) | undefined;
  #bytes = 0;
  #count = 0;

  constructor(options: {
    readonly now: () => number;
    /** Offers a message to whoever has the address; `bytes` is written once for all. */
    readonly deliver: (address: string, bytes: () => Buffer) => void;
    readonly onSent?: ((mail: SentMail) => void) | undefined;
  }) {
    this.#now = options.now;
    this.#deliver = options.deliver;
    this.#onSent = options.onSent;
  }

  mails(user?: string): readonly SentMail[] {
    const all = this.#sent.map(({ mail }) => mail);
    return user === undefined ? all : all.filter((mail) => mail.user.toLowerCase() === user.toLowerCase());
  }

  clear(): void {
    this.#sent.length = 0;
    this.#bytes = 0;
  }

  /** Throws unless the message can be sent from the mailbox; fills in what only sending knows. Size in bytes. */
  prepare(mailbox: Mailbox, content: Content): number {
    const { from = mailbox.owner, sender = mailbox.owner, to, cc, bcc } = content.fields;
    const recipients = [...to, ...cc, ...bcc];
    if (recipients.length === 0 || !recipients.every(isDeliverable)) {
      throw new GraphRefusal(400, 'ErrorInvalidRecipients', 'At least one recipient is not valid.');
    }
    for (const { address } of [from, sender]) {
      if (!mailbox.addresses.has(address.toLowerCase()) && !mailbox.sendAs.has(address.toLowerCase())) {
        throw new GraphRefusal(
          403,
          'ErrorSendAsDenied',
          'The account has no right to send as the sender of this message.',
        );
      }
    }
    let size = 0;
    for (const piece of content.pieces()) size += piece.length;
    if (size > mailbox.maxMessageSize) {
      throw new GraphRefusal(400, 'ErrorMessageSizeExceeded', 'The message exceeds the maximum supported size.');
    }
    const missing = content.fields.from === undefined;
    content.change({ sentAt: this.#now(), ...(missing ? { from, sender } : {}) });
    if (content.form === 'properties') {
      for (const { name } of content.fields.headers) mailbox.registeredHeaders.add(name.toLowerCase());
    }
    return size;
  }

  /** The message is out: what follows happens to it elsewhere. */
  submit(
    mailbox: Mailbox,
    content: Content,
    made: { readonly via: SentMail['via']; readonly immutableId?: string; readonly size: number },
  ): void {
    const { fields } = content;
    const mail: SentMail = {
      number: ++this.#count,
      user: mailbox.userPrincipalName,
      via: made.via,
      form: content.handedIn ? 'mime' : 'properties',
      sentAt: fields.sentAt,
      from: fields.from ?? mailbox.owner,
      to: fields.to,
      cc: fields.cc,
      bcc: fields.bcc,
      recipients: [...fields.to, ...fields.cc, ...fields.bcc].map(({ address }) => address),
      subject: fields.subject,
      messageId: fields.messageId,
      immutableId: made.immutableId,
      attachments: content.attachments.map(({ name, contentType, contentId, isInline, size }) => ({
        name,
        contentType,
        contentId,
        isInline,
        size,
      })),
      handedIn: content.handedIn,
      bytes: () => Buffer.concat([...content.pieces({ bcc: false })]),
    };
    this.#sent.push({ mail, size: made.size });
    this.#bytes += made.size;
    while (this.#sent.length > maxHeld || (this.#bytes > maxHeldBytes && this.#sent.length > 1)) {
      this.#bytes -= this.#sent.shift()?.size ?? 0;
    }
    let written: Buffer | undefined;
    const bytes = () => {
      written ??= mail.bytes();
      return written;
    };
    for (const address of new Set(mail.recipients.map((one) => one.toLowerCase()))) this.#deliver(address, bytes);
    this.#onSent?.(mail);
  }
}
