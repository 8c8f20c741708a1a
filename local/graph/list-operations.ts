import { context, faultOf, type Handler, type OpenCall, wholeView } from './call.ts';
import { inReplyToId, messageIdId, referencesId } from './extended-property.ts';
import { badRequest, GraphRefusal } from './graph-error.ts';
import type { Item } from './item.ts';
import { messageExpansions, messageJson, messageProperties } from './message-json.ts';
import { type Filter, type Filterable, parseFilter, tooComplex, type Value } from './odata-filter.ts';
import { type Order, parseExpand, parseOrderBy, parseSelect } from './odata-query.ts';
import { ok } from './reply.ts';

/** Messages of a folder, page by page ("List messages"). */

/** What a page holds unless `$top` or the preference says otherwise. */
const defaultPage = 10;

/** Properties that can be filtered and ordered by. */
const values: Readonly<Record<string, (item: Item) => Value>> = {
  receivedDateTime: (item) => item.receivedAt,
  sentDateTime: (item) => item.content.fields.sentAt,
  createdDateTime: (item) => item.createdAt,
  lastModifiedDateTime: (item) => item.modifiedAt,
  internetMessageId: (item) => item.content.fields.messageId,
  subject: (item) => item.content.fields.subject,
  importance: (item) => item.content.fields.importance,
  isRead: (item) => item.isRead,
  isDraft: (item) => item.isDraft,
  hasAttachments: (item) => item.content.hasAttachments,
  'from/emailAddress/address': (item) => item.content.fields.from?.address ?? null,
};
const paths = new Set(Object.keys(values));

const listMessages: Handler = (call) => {
  const { mailbox, query, prefer } = call;
  const folder = mailbox.folder(call.parameters['mailFolder-id'] ?? '');
  if (folder.wellKnownName === 'sentitems') mailbox.delayedMail.checkAll();
  if (query.has('$search')) throw new GraphRefusal(501, 'NotImplemented', 'Searching is not offered here.');
  const filter = query.has('$filter') ? parseFilter(query.get('$filter') ?? '', { paths }) : undefined;
  const order = parseOrderBy(query.get('$orderby'), paths);
  checkOrder(filter, order);
  const view = {
    ...wholeView(call),
    select: parseSelect(query.get('$select'), messageProperties),
    expand: parseExpand(query.get('$expand'), messageExpansions),
  };
  const found = [...folder.items.values()].filter((item) => filter?.fits(filterable(item)) ?? true);
  const sorted = sort(found, order.length > 0 ? order : [{ property: 'receivedDateTime', descending: true }]);
  const skip = Number(query.get('$skip') ?? 0);
  const size = Number(query.get('$top') ?? prefer.maxPageSize ?? defaultPage);
  const page = sorted.slice(skip, skip + size);
  checkConversion(page, size, 'list');
  const link = new URLSearchParams(query);
  link.set('$skip', String(skip + size));
  const path = `users('${mailbox.userId}')/mailFolders('${folder.id}')/messages`;
  return ok({
    '@odata.context': context(call, `mailFolders('${folder.id}')/messages`),
    ...(query.get('$count') === 'true' ? { '@odata.count': found.length } : {}),
    value: page.map((item) => messageJson(item, view)),
    ...(skip + size < sorted.length ? { '@odata.nextLink': `${linkOrigin(call)}/v1.0/${path}?${link}` } : {}),
  });
};

export const listOperations: Readonly<Record<string, Handler>> = { 'user.mailFolder.ListMessages': listMessages };

/** The host that links lead to: our own, unless a fault has it otherwise. */
export function linkOrigin(call: OpenCall): string {
  const foreign = faultOf(call, 'foreignLink');
  return foreign ? (foreign.origin ?? call.service.uploads.origin) : call.origin;
}

/** One broken item fails the whole page (microsoft-graph-docs issue 2913). */
export function checkConversion(page: readonly Item[], size: number, where: 'list' | 'delta'): void {
  const broken = page.map((item) => item.corruption[where]).filter((one) => one !== undefined);
  if (broken.includes('always') || (broken.length > 0 && size > 1)) {
    throw new GraphRefusal(500, 'ErrorContentConversionFailed', 'The content of an item could not be converted.');
  }
}

/** What is ordered by must be filtered by as well, before anything else ("List messages", $filter and $orderby). */
function checkOrder(filter: Filter | undefined, order: readonly Order[]): void {
  if (!filter || order.length === 0) return;
  if (order.some((one, at) => filter.properties[at] !== one.property)) throw tooComplex();
}

function sort(items: readonly Item[], order: readonly Order[]): readonly Item[] {
  return items.toSorted((one, other) => {
    for (const { property, descending } of order) {
      const read = values[property];
      if (!read) throw badRequest('The order is not understood.');
      const compared = compare(read(one), read(other));
      if (compared !== 0) return descending ? -compared : compared;
    }
    // Sorting is stable: what is equal stays in the order of arrival.
    return 0;
  });
}

function compare(one: Value, other: Value): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  const [left, right] = [String(one), String(other)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function filterable(item: Item): Filterable {
  return {
    value: (path) => values[path]?.(item),
    extendedProperties: () => {
      const own = [messageIdId, inReplyToId, referencesId].flatMap((id) => {
        const value = item.extendedValue(id);
        return value === undefined || item.extended.has(id) ? [] : [{ id, value }];
      });
      return [...own, ...[...item.extended].map(([id, value]) => ({ id, value }))];
    },
  };
}
