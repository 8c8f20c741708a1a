import { createHash } from 'node:crypto';
import { toRecipient } from './address.ts';
import { attachmentJson } from './attachment-json.ts';
import { plain } from './content.ts';
import type { Item } from './item.ts';
import type { Expansion } from './odata-query.ts';

/** How a request wants its messages. */
export interface View {
  readonly select: readonly string[] | undefined;
  readonly expand: readonly Expansion[];
  readonly immutableIds: boolean;
  readonly bodyType?: 'text' | 'html';
}

type Property = (item: Item, view: View) => unknown;

/** bodyPreview: the first 255 characters of the body. */
const previewLength = 255;

const properties: Readonly<Record<string, Property>> = {
  id: (item, { immutableIds }) => item.id(immutableIds),
  createdDateTime: (item) => instant(item.createdAt),
  lastModifiedDateTime: (item) => instant(item.modifiedAt),
  changeKey: (item) => item.changeKey,
  categories: (item) => item.categories,
  receivedDateTime: (item) => instant(item.receivedAt),
  sentDateTime: (item) => instant(item.content.fields.sentAt || item.createdAt),
  hasAttachments: (item) => item.content.hasAttachments,
  internetMessageId: (item) => item.content.fields.messageId,
  subject: (item) => item.content.fields.subject,
  bodyPreview: (item) => plain(item.content.body('text')).trim().slice(0, previewLength),
  importance: (item) => item.content.fields.importance,
  parentFolderId: (item) => item.folder.id,
  conversationId: (item) => `AAQkAD${conversation(item).toString('base64url')}AA=`,
  conversationIndex: (item) => conversation(item).subarray(0, 22).toString('base64'),
  isDeliveryReceiptRequested: (item) => item.content.fields.deliveryReceipt,
  isReadReceiptRequested: (item) => item.content.fields.readReceipt,
  isRead: (item) => item.isRead,
  isDraft: (item) => item.isDraft,
  webLink: (item) => `https://outlook.office365.com/owa/?ItemID=${encodeURIComponent(item.mutableId)}&exvsurl=1`,
  inferenceClassification: (item) => item.inferenceClassification,
  body: (item, { bodyType }) => item.content.body(bodyType),
  sender: (item) => recipient(item.content.fields.sender),
  from: (item) => recipient(item.content.fields.from),
  toRecipients: (item) => item.content.fields.to.map(toRecipient),
  ccRecipients: (item) => item.content.fields.cc.map(toRecipient),
  bccRecipients: (item) => item.content.fields.bcc.map(toRecipient),
  replyTo: (item) => item.content.fields.replyTo.map(toRecipient),
  flag: (item) => item.flag,
  // Only on $select ("message resource type").
  internetMessageHeaders: (item) => item.content.fields.headers,
  uniqueBody: (item, { bodyType }) => item.content.body(bodyType),
};

const onRequestOnly = new Set(['internetMessageHeaders', 'uniqueBody']);
const defaultProperties = Object.keys(properties).filter((name) => !onRequestOnly.has(name));

export const messageProperties: ReadonlySet<string> = new Set(Object.keys(properties));
export const messageExpansions = ['attachments', 'singleValueExtendedProperties', 'multiValueExtendedProperties'];

/** A message as JSON. The id is there whatever `$select` says. */
export function messageJson(item: Item, view: View): Record<string, unknown> {
  const names = view.select ? ['id', ...view.select] : defaultProperties;
  const result: Record<string, unknown> = {
    ...(item.odataType === undefined ? {} : { '@odata.type': item.odataType }),
    '@odata.etag': etag(item),
  };
  for (const name of names) result[name] = properties[name]?.(item, view);
  for (const expansion of view.expand) {
    if (expansion.name === 'attachments') {
      result.attachments = item.content.attachments.map((one) =>
        attachmentJson(item, one, { select: expansion.select, immutableIds: view.immutableIds }),
      );
    } else if (expansion.name === 'singleValueExtendedProperties') {
      const found = expansion.propertyIds.flatMap((id) => {
        const value = item.extendedValue(id);
        return value === undefined ? [] : [{ id, value }];
      });
      // A message that has none of them lacks the property.
      if (found.length > 0) result.singleValueExtendedProperties = found;
    } else {
      const found = expansion.propertyIds.flatMap((id) => {
        const value = item.extendedLists.get(id);
        return value === undefined ? [] : [{ id, value }];
      });
      if (found.length > 0) result.multiValueExtendedProperties = found;
    }
  }
  return result;
}

/** The few properties of an update in a delta (microsoft-graph-docs issue 7776). */
export function partialMessageJson(item: Item, names: readonly string[], view: View): Record<string, unknown> {
  const wanted = new Set(['id', 'parentFolderId', ...names]);
  const result: Record<string, unknown> = { '@odata.etag': etag(item) };
  for (const name of wanted) if (properties[name]) result[name] = properties[name](item, view);
  return result;
}

/** `@odata.etag` of a message: its change key. */
export function etag(item: Item): string {
  return `W/"${item.changeKey}"`;
}

/** Graph writes whole seconds. */
export function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function recipient(address: { readonly name: string; readonly address: string } | undefined) {
  return address ? toRecipient(address) : null;
}

/** Messages with one subject, answers included, are one conversation. */
function conversation(item: Item): Buffer {
  const topic = item.content.fields.subject.replace(/^((re|fw|fwd|aw|wg):\s*)+/i, '');
  return createHash('sha256').update(topic.toLowerCase()).digest();
}
