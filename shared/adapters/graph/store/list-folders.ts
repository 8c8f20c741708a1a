import { z } from 'zod';
import { parseFolderName, topFolder } from '../../../accounts/graph-folder-name.ts';
import { StoreError } from '../../store.ts';
import type { FolderUse, StoreFolder } from '../../store-folder.ts';
import { graphPath, graphUrl, nextLink } from '../addresses.ts';
import type { MailboxContext } from '../mailbox.ts';

/** Folders that are answered, and levels that are looked into; people have some tens in a few. */
const maxFolders = 500;
const maxDepth = 10;
const pageSize = 100;

/** Well-known folders that are asked for by name, because their display names are the mailbox's language. */
const wellKnown: readonly (readonly [name: string, use: FolderUse])[] = [
  ['inbox', 'inbox'],
  ['sentitems', 'sent'],
  ['drafts', 'drafts'],
  ['deleteditems', 'trash'],
  ['junkemail', 'junk'],
  ['archive', 'archive'],
];

const folderSchema = z.object({
  id: z.string().min(1).max(1_024),
  displayName: z.string().nullish(),
  totalItemCount: z.number().nullish(),
  unreadItemCount: z.number().nullish(),
  childFolderCount: z.number().nullish(),
});
const pageSchema = z.object({ value: z.array(folderSchema), '@odata.nextLink': z.string().nullish() });

type Folder = z.output<typeof folderSchema>;

/** The folders of a mailbox that are not hidden, from the top down, as an account names them. Throws GraphError, StoreError. */
export async function listFolders(
  context: MailboxContext,
  selected: readonly string[],
  signal: AbortSignal,
): Promise<readonly StoreFolder[]> {
  const known = await idsOf(context, [...wellKnown.map(([name]) => name), ...selected], signal);
  const useOf = new Map(wellKnown.flatMap(([name, use]) => (known.has(name) ? [[known.get(name), use] as const] : [])));
  const nameOf = new Map(wellKnown.map(([name]) => [known.get(name), name] as const));
  const selectedNames = new Map(selected.map((name) => [known.get(name), name] as const));
  const found: StoreFolder[] = [];
  const walk = async (parent: string, path: string, depth: number): Promise<void> => {
    for await (const folder of childrenOf(context, parent, signal)) {
      if (found.length >= maxFolders) return;
      const { id, displayName, totalItemCount, unreadItemCount, childFolderCount } = folder;
      const own = nameOf.get(id) ?? nameIn(path, displayName ?? '');
      const use = useOf.get(id);
      found.push({
        name: selectedNames.get(id) ?? own,
        ...(typeof totalItemCount === 'number' ? { total: totalItemCount } : {}),
        ...(typeof unreadItemCount === 'number' ? { unread: unreadItemCount } : {}),
        ...(use === undefined ? {} : { use }),
        selected: selectedNames.has(id),
      });
      if ((childFolderCount ?? 0) > 0 && depth < maxDepth) await walk(id, own, depth + 1);
    }
  };
  await walk(topFolder, '', 1);
  return found;
}

/** The ids of folders as accounts name them; those that are not there are left out. */
async function idsOf(
  { folders }: MailboxContext,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  for (const name of names) {
    try {
      ids.set(name, await folders.id(name, signal));
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'folderMissing') throw error;
    }
  }
  return ids;
}

async function* childrenOf(
  { client, userId }: MailboxContext,
  parent: string,
  signal: AbortSignal,
): AsyncGenerator<Folder> {
  let url: URL | undefined = graphUrl(client.place, graphPath('users', userId, 'mailFolders', parent, 'childFolders'), {
    $select: 'id,displayName,totalItemCount,unreadItemCount,childFolderCount',
    $top: pageSize,
  });
  for (let page = 0; url !== undefined && page * pageSize < maxFolders; page++) {
    const answer: z.output<typeof pageSchema> = await client.json({ method: 'GET', url, signal }, pageSchema);
    yield* answer.value;
    const next = answer['@odata.nextLink'];
    url = next ? nextLink(client.place, next) : undefined;
  }
}

/** How an account names a folder by its place: see `parseFolderName`. */
function nameIn(path: string, displayName: string): string {
  const name = displayName.replace(/[\\/]/g, (character) => `\\${character}`);
  if (path !== '') return `${path}/${name}`;
  // At the top, a slash in front says that it is neither a well-known folder nor an id.
  return parseFolderName(name)?.kind === 'path' ? name : `/${name}`;
}
