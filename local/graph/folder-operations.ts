import { z } from 'zod';
import { type Call, context, type Handler } from './call.ts';
import { folderJson, folderProperties } from './folder-json.ts';
import { badQuery, badRequest, GraphRefusal } from './graph-error.ts';
import type { Folder } from './item.ts';
import { linkOrigin } from './list-operations.ts';
import { parseFilter, type Value } from './odata-filter.ts';
import { parseSelect } from './odata-query.ts';
import { ok, type Reply } from './reply.ts';

/** Mail folders ("mailFolder resource type"). */

const defaultPage = 10;

const getFolder: Handler = (call) => {
  const folder = call.mailbox.folder(call.parameters['mailFolder-id'] ?? '');
  refuseExpand(call);
  const select = parseSelect(call.query.get('$select'), folderProperties);
  return ok({ '@odata.context': context(call, 'mailFolders/$entity'), ...folderJson(folder, select) });
};

const listRoot: Handler = (call) => page(call, call.mailbox.root, 'mailFolders');

const listChildren: Handler = (call) => {
  const folder = call.mailbox.folder(call.parameters['mailFolder-id'] ?? '');
  return page(call, folder, `mailFolders('${folder.id}')/childFolders`);
};

const createInRoot: Handler = (call) => create(call, call.mailbox.root);
const createChild: Handler = (call) => create(call, call.mailbox.folder(call.parameters['mailFolder-id'] ?? ''));

export const folderOperations: Readonly<Record<string, Handler>> = {
  'user.GetMailFolder': getFolder,
  'user.ListMailFolders': listRoot,
  'user.CreateMailFolder': createInRoot,
  'user.mailFolder.ListChildFolders': listChildren,
  'user.mailFolder.CreateChildFolder': createChild,
};

/** Direct children only, hidden ones when asked for. */
function page(call: Call, parent: Folder, path: string): Reply {
  const { query, mailbox } = call;
  refuseExpand(call);
  if (query.has('$orderby')) throw badQuery('Folders are not ordered here.');
  const select = parseSelect(query.get('$select'), folderProperties);
  const filter = query.has('$filter')
    ? parseFilter(query.get('$filter') ?? '', { paths: folderProperties })
    : undefined;
  const withHidden = query.get('includeHiddenFolders') === 'true';
  const found = parent.children
    .filter((folder) => withHidden || !folder.isHidden)
    .filter(
      (folder) => filter?.fits({ value: (name) => propertyOf(folder, name), extendedProperties: () => [] }) ?? true,
    );
  const skip = Number(query.get('$skip') ?? 0);
  const size = Number(query.get('$top') ?? call.prefer.maxPageSize ?? defaultPage);
  const link = new URLSearchParams(query);
  link.set('$skip', String(skip + size));
  return ok({
    '@odata.context': context(call, path),
    ...(query.get('$count') === 'true' ? { '@odata.count': found.length } : {}),
    value: found.slice(skip, skip + size).map((folder) => folderJson(folder, select)),
    ...(skip + size < found.length
      ? { '@odata.nextLink': `${linkOrigin(call)}/v1.0/users('${mailbox.userId}')/${path}?${link}` }
      : {}),
  });
}

function propertyOf(folder: Folder, name: string): Value {
  const value = folderJson(folder, undefined)[name];
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

const createSchema = z.looseObject({ displayName: z.string().min(1), isHidden: z.boolean().nullish() });

function create(call: Call, parent: Folder): Reply {
  const parsed = createSchema.safeParse(call.json);
  if (!parsed.success) throw badRequest('A folder must have a displayName.');
  const { displayName, isHidden } = parsed.data;
  if (parent.children.some((one) => one.displayName.toLowerCase() === displayName.toLowerCase())) {
    throw new GraphRefusal(409, 'ErrorFolderExists', 'A folder with the specified name already exists.');
  }
  const made = call.mailbox.createFolder(parent, displayName, isHidden ?? false);
  return {
    status: 201,
    json: { '@odata.context': context(call, 'mailFolders/$entity'), ...folderJson(made, undefined) },
  };
}

function refuseExpand(call: Call): void {
  if (call.query.has('$expand')) throw badQuery('Folders are not expanded here.');
}
