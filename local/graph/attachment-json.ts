import type { StoredAttachment } from './attachment.ts';
import { badQuery } from './graph-error.ts';
import type { Item } from './item.ts';

/** Properties of the base type: what a collection, which may hold any kind, can be narrowed to. */
const baseProperties = ['id', 'lastModifiedDateTime', 'name', 'contentType', 'size', 'isInline'];

/** The name that `$select` means. `contentBytes` is not of the base type and refused on collections. */
export function attachmentSelect(value: string | null): readonly string[] | undefined {
  if (value === null) return undefined;
  return value.split(',').map((part) => {
    const name = baseProperties.find((one) => one.toLowerCase() === part.trim().toLowerCase());
    if (name === undefined) {
      throw badQuery('Parsing OData Select failed: the type microsoft.graph.attachment has no such property.');
    }
    return name;
  });
}

export interface AttachmentView {
  readonly select: readonly string[] | undefined;
  readonly immutableIds: boolean;
}

/** An attachment as Graph's type `attachment`, whole or with the properties of `$select`. */
export function attachmentJson(item: Item, attachment: StoredAttachment, view: AttachmentView) {
  const { kind, name, contentType, contentId, isInline, size } = attachment;
  const own: Record<string, unknown> = {
    id: attachmentId(item, attachment, view.immutableIds),
    lastModifiedDateTime: `${new Date(item.modifiedAt).toISOString().slice(0, 19)}Z`,
    name,
    contentType,
    size,
    isInline,
  };
  const type = { '@odata.type': `#microsoft.graph.${kind}Attachment` };
  if (view.select) return { ...type, id: own.id, ...Object.fromEntries(view.select.map((one) => [one, own[one]])) };
  if (kind !== 'file') return { ...type, ...own };
  return {
    ...type,
    '@odata.mediaContentType': contentType,
    ...own,
    contentId,
    contentLocation: null,
    contentBytes: Buffer.concat(attachment.chunks()).toString('base64'),
  };
}

/** The message's id and the attachment's own tail. */
export function attachmentId(item: Item, attachment: StoredAttachment, immutableIds: boolean): string {
  return `${item.id(immutableIds).replace(/=+$/, '')}${attachment.tail}=`;
}

/** The attachment that an id names, whichever kind of message id it begins with. */
export function findAttachment(item: Item, id: string): StoredAttachment | undefined {
  return item.content.attachments.find(
    (one) => id === attachmentId(item, one, true) || id === attachmentId(item, one, false),
  );
}
