import { type Call, faultOf, type Handler, wholeView } from './call.ts';
import type { Change } from './change-log.ts';
import type { DeltaOptions, Generation } from './delta-states.ts';
import { badRequest, GraphRefusal } from './graph-error.ts';
import type { Folder, Item } from './item.ts';
import { checkConversion, linkOrigin } from './list-operations.ts';
import { messageExpansions, messageJson, messageProperties, partialMessageJson, type View } from './message-json.ts';
import { dateTime } from './odata-filter.ts';
import { parseExpand, parseSelect } from './odata-query.ts';
import { ok } from './reply.ts';

/** Changes of a folder ("message: delta", "Get incremental changes to messages in a folder"). */

const defaultPage = 10;
/** A round with `$filter` brings no more than these, and does not say so. */
const maxFiltered = 5000;
/** A replay reports so many old changes once more. */
const replayed = 3;

const delta: Handler = (call) => {
  const { mailbox, query } = call;
  const folder = mailbox.folder(call.parameters['mailFolder-id'] ?? '');
  const token = query.get('$skiptoken') ?? query.get('$deltatoken');
  if (token !== null && query.size > 1) {
    throw badRequest('A link of a delta is used as it is: it carries the options of the first request.');
  }
  const here = token === null ? begin(call, folder) : resume(call, folder, token);
  const { options } = here.state;
  const size = call.prefer.maxPageSize ?? options.pageSize ?? defaultPage;
  if (faultOf(call, 'emptyPage')) return answer(call, here, here.at, []);

  const entries = here.pending.slice(here.at, here.at + size).map((change) => entryOf(call, folder, options, change));
  const items = entries.flatMap((entry) => entry?.item ?? []);
  checkConversion(items, size, 'delta');
  const value = entries.flatMap((entry) => (entry ? [entry.json] : []));
  const again = faultOf(call, 'replay') ? replay(call, folder, here, new Set(items)) : [];
  const twice = faultOf(call, 'duplicates') ? value : [];
  if (faultOf(call, 'samePage')) return answer(call, here, here.at, value);
  return answer(call, here, here.at + size, [...again, ...value, ...twice]);
};

export const deltaOperations: Readonly<Record<string, Handler>> = { 'user.mailFolder.message.delta': delta };

/** A round from the beginning lists everything, whatever kind of change is wanted. */
function begin(call: Call, folder: Folder): Generation {
  const options = readOptions(call);
  const items = [...folder.items.values()].filter((item) => isWanted(options, item));
  if (options.newestFirst) items.sort((one, other) => other.receivedAt - one.receivedAt);
  const listed = options.receivedFrom ? items.slice(0, maxFiltered) : items;
  const pending = listed.map(({ immutableId, mutableId }) => ({
    kind: 'created' as const,
    immutableId,
    mutableId,
    properties: [],
  }));
  return call.mailbox.deltas.begin(folder, options, call.mailbox.sequence, pending);
}

function resume(call: Call, folder: Folder, token: string): Generation {
  const { mailbox } = call;
  const found = mailbox.deltas.find(token, folder, call.prefer.immutableIds);
  if (found.kind === 'next') return found;
  const { options } = found.state;
  const changes = folder.log.since(found.cursor, {
    immutableIds: options.immutableIds,
    loseReturns: faultOf(call, 'loseReturns') !== undefined,
  });
  const pending = changes.filter(({ kind }) => isOfType(kind, options.changeType));
  return { ...found, cursor: mailbox.sequence, pending, at: 0 };
}

/** `removed` is what `changeType` calls deleted. */
function isOfType(kind: Change['kind'], changeType: string | undefined): boolean {
  return changeType === undefined || changeType === (kind === 'removed' ? 'deleted' : kind);
}

interface Entry {
  readonly item?: Item;
  readonly json: Record<string, unknown>;
}

/** Undefined: there is nothing to report, as the message has left since; the next round reports that. */
function entryOf(call: Call, folder: Folder, options: DeltaOptions, change: Change): Entry | undefined {
  if (change.kind === 'removed') return { json: removal(call, options, change) };
  const item = call.mailbox.peek(change.immutableId);
  if (!item || item.folder !== folder || (!options.immutableIds && item.mutableId !== change.mutableId))
    return undefined;
  if (!isWanted(options, item)) return undefined;
  const view = viewOf(call, options);
  if (change.kind === 'updated') return { item, json: partialMessageJson(item, change.properties, view) };
  if (faultOf(call, 'partialItems')) return { item, json: partialMessageJson(item, ['isRead'], view) };
  return { item, json: messageJson(item, view) };
}

function removal(call: Call, options: DeltaOptions, change: Change): Record<string, unknown> {
  const reason = faultOf(call, 'removedAsChanged') ? 'changed' : 'deleted';
  return { id: options.immutableIds ? change.immutableId : change.mutableId, '@removed': { reason } };
}

function viewOf(call: Call, options: DeltaOptions): View {
  return { ...wholeView(call), select: options.select, expand: options.expand, immutableIds: options.immutableIds };
}

function isWanted({ receivedFrom }: DeltaOptions, item: Item): boolean {
  if (!receivedFrom) return true;
  return receivedFrom.exclusive ? item.receivedAt > receivedFrom.at : item.receivedAt >= receivedFrom.at;
}

/** "Replays" of the delta query overview: what was reported in an earlier round comes once more. */
function replay(call: Call, folder: Folder, here: Generation, onPage: ReadonlySet<Item>) {
  const { options } = here.state;
  const known = [...folder.items.values()].filter((item) => !onPage.has(item) && isWanted(options, item));
  return [
    ...known.slice(0, replayed).map((item) => messageJson(item, viewOf(call, options))),
    ...folder.log.goneBefore(here.cursor, replayed).map((change) => removal(call, options, change)),
  ];
}

function answer(call: Call, here: Generation, at: number, value: readonly Record<string, unknown>[]) {
  const { folder } = here.state;
  const { deltas, userId } = call.mailbox;
  const goesOn = (['emptyPage', 'samePage', 'sameLink'] as const).some((kind) => faultOf(call, kind));
  const isLast = at >= here.pending.length && !goesOn;
  const token = deltas.advance(here, {
    kind: isLast ? 'delta' : 'next',
    cursor: here.cursor,
    pending: isLast ? [] : here.pending,
    at: isLast ? 0 : at,
  });
  const asked = call.query.get('$skiptoken');
  const base = `${linkOrigin(call)}/v1.0/users('${userId}')/mailFolders('${folder.id}')/messages/delta`;
  return ok({
    '@odata.context': `${call.origin}/v1.0/$metadata#Collection(message)`,
    value,
    ...(isLast
      ? { '@odata.deltaLink': `${base}?$deltatoken=${token}` }
      : { '@odata.nextLink': `${base}?$skiptoken=${(faultOf(call, 'sameLink') && asked) || token}` }),
  });
}

function readOptions(call: Call): DeltaOptions {
  const { query, prefer } = call;
  const order = query.get('$orderby');
  if (order !== null && !/^\s*receivedDateTime\s+desc\s*$/i.test(order)) {
    throw new GraphRefusal(400, 'ErrorInvalidUrlQuery', 'A delta can only be ordered by receivedDateTime desc.');
  }
  const top = query.get('$top');
  return {
    select: parseSelect(query.get('$select'), messageProperties),
    expand: parseExpand(query.get('$expand'), messageExpansions),
    receivedFrom: readFilter(query.get('$filter')),
    newestFirst: order !== null,
    changeType: query.get('changeType') ?? undefined,
    pageSize: top === null ? undefined : Number(top),
    immutableIds: prefer.immutableIds,
  };
}

function readFilter(filter: string | null): DeltaOptions['receivedFrom'] {
  if (filter === null) return undefined;
  const match = /^\s*receivedDateTime\s+(ge|gt)\s+(\S+)\s*$/i.exec(filter);
  const at = dateTime(match?.[2] ?? '');
  if (!match || at === undefined) {
    throw new GraphRefusal(
      400,
      'ErrorInvalidUrlQueryFilter',
      'A delta can only be filtered by receivedDateTime ge or gt.',
    );
  }
  return { at, exclusive: match[1]?.toLowerCase() === 'gt' };
}
