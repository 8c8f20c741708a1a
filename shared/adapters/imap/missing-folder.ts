import { StoreError } from '../store.ts';
import type { ImapConnection } from './connection.ts';

/** Folder names that are listed at most, and characters of each. */
const MAX_SHOWN_FOLDERS = 20;
const MAX_SHOWN_NAME = 80;

/** What to say of a folder that the server does not know, with those it does; undefined where it lists the folder. */
export async function missingFolder(
  connection: ImapConnection,
  folder: string,
  signal: AbortSignal,
  code = 'NONEXISTENT',
): Promise<StoreError | undefined> {
  const folders = await connection.listFolders(signal);
  const there = folders.filter((entry) => !entry.flags.has('\\Noselect'));
  if (there.some(({ path }) => path === folder)) return undefined;
  // A server may call a folder anything, also by what it was sent: as it stands on the line, or decoded.
  const isPlain = (name: string) => connection.scrub(name) === name;
  const names = there.filter(({ path, pathAsListed }) => isPlain(path) && isPlain(pathAsListed));
  const shown = names.slice(0, MAX_SHOWN_FOLDERS).map(({ path }) => JSON.stringify(path.slice(0, MAX_SHOWN_NAME)));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return new StoreError('folderMissing', `there is no folder ${JSON.stringify(folder)}`, {
    code,
    hint: 'Create the folder on the server, or correct its name in the account.',
    found: `The folders there are: ${shown.join(', ')}${more}.`,
  });
}
