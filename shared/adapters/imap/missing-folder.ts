import { StoreError } from '../store.ts';
import type { ImapConnection } from './connection.ts';

/** Folder names that a hint lists at most. */
const MAX_HINTED_FOLDERS = 20;

/** What to say of a folder that the server does not know, with those it does; undefined where it lists the folder. */
export async function missingFolder(
  connection: ImapConnection,
  folder: string,
  signal: AbortSignal,
  code = 'NONEXISTENT',
): Promise<StoreError | undefined> {
  const folders = await connection.listFolders(signal);
  const names = folders.filter((entry) => !entry.flags.has('\\Noselect')).map((entry) => entry.path);
  if (names.includes(folder)) return undefined;
  const shown = names.slice(0, MAX_HINTED_FOLDERS).map((name) => JSON.stringify(name));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return new StoreError('folderMissing', `there is no folder ${JSON.stringify(folder)}`, {
    code,
    hint: `The folders there are: ${shown.join(', ')}${more}.`,
  });
}
