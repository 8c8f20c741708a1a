import { inReplyToId, propertyId, readOnlyIds, referencesId } from './extended-property.ts';
import { badRequest, invalidProperty } from './graph-error.ts';
import type { Item } from './item.ts';
import type { MessageInput } from './message-input.ts';

/** PS_INTERNET_HEADERS: a named property of this set is a header of that name. */
const headerProperty = /^String \{00020386-0000-0000-c000-000000000046\} Name (.+)$/;

/** Which properties in JSON stand for a field, for the delta. */
const jsonNames: Readonly<Record<string, string>> = {
  to: 'toRecipients',
  cc: 'ccRecipients',
  bcc: 'bccRecipients',
  messageId: 'internetMessageId',
  readReceipt: 'isReadReceiptRequested',
  deliveryReceipt: 'isDeliveryReceiptRequested',
  headers: 'internetMessageHeaders',
};

/** Writes what a client asked for into a message. Answers the names of the properties that changed. */
export function applyInput(item: Item, input: MessageInput): readonly string[] {
  const single = input.single.map(({ id, value }) => [writableId(id), value] as const);
  const multi = input.multi.map(({ id, value }) => [writableId(id), value] as const);
  const { content } = item;
  const changed = Object.keys(input.fields).map((name) => jsonNames[name] ?? name);
  content.change(input.fields);
  if (input.body) {
    content.replaceBody(input.body);
    changed.push('body', 'bodyPreview');
  }
  for (const [id, value] of single) {
    item.extended.set(id, value);
    const header =
      id === inReplyToId ? 'In-Reply-To' : id === referencesId ? 'References' : headerProperty.exec(id)?.[1];
    if (header !== undefined && item.isDraft) content.setHeader(header, value);
  }
  for (const [id, value] of multi) item.extendedLists.set(id, value);
  if (single.length + multi.length > 0) changed.push('changeKey');
  if (input.isRead !== undefined && input.isRead !== item.isRead) {
    item.isRead = input.isRead;
    changed.push('isRead');
  }
  for (const name of ['categories', 'flag', 'inferenceClassification'] as const) {
    if (input[name] !== undefined) changed.push(name);
  }
  item.categories = input.categories ?? item.categories;
  item.flag = input.flag ?? item.flag;
  item.inferenceClassification = input.inferenceClassification ?? item.inferenceClassification;
  return changed;
}

function writableId(text: string): string {
  const id = propertyId(text);
  if (id === undefined) throw badRequest('The id of an extended property is not valid.');
  if (readOnlyIds.includes(id)) throw invalidProperty('singleValueExtendedProperties');
  return id;
}
