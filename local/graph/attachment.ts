import { makeAttachmentTail } from './ids.ts';

export type AttachmentKind = 'file' | 'item' | 'reference';

/** An attachment as it is kept, whether it came inside MIME or was added to a draft. */
export interface StoredAttachment {
  /** The end of its id; the message's id stands before it. */
  readonly tail: string;
  readonly kind: AttachmentKind;
  readonly name: string | null;
  readonly contentType: string | null;
  readonly contentId: string | null;
  readonly isInline: boolean;
  /** Bytes of the content. */
  readonly size: number;
  /** A file's bytes, or the MIME of an attached message. In pieces, as an upload brought them. */
  readonly chunks: () => readonly Buffer[];
}

export interface NewAttachment {
  readonly kind?: AttachmentKind;
  readonly name?: string | null | undefined;
  readonly contentType?: string | null | undefined;
  readonly contentId?: string | null | undefined;
  readonly isInline?: boolean | undefined;
  readonly chunks: readonly Buffer[];
}

/** An attachment as it is kept, with an id of its own. */
export function storeAttachment(made: NewAttachment): StoredAttachment {
  const { kind = 'file', chunks } = made;
  return {
    tail: makeAttachmentTail(),
    kind,
    name: made.name ?? null,
    // Exchange gives files without a type this one.
    contentType: kind === 'file' ? (made.contentType ?? 'application/octet-stream') : null,
    contentId: made.contentId?.replace(/^<|>$/g, '') ?? null,
    isInline: made.isInline ?? false,
    size: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    chunks: () => chunks,
  };
}
