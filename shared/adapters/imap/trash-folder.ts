import type { ImapConnection } from './connection.ts';

/** Name of the folder that is made where a mailbox has none for trash; most servers and clients know this one. */
const NEW_TRASH = 'Trash';

/**
 * Finds the trash: the folder the server marks \Trash (RFC 6154), else one with a name that clients use for it
 * (`Deleted Items`, `Papierkorb`, …; the library knows them). Makes `Trash` where there is none.
 */
export async function findTrash(connection: ImapConnection, signal: AbortSignal): Promise<string> {
  const folders = (await connection.listFolders(signal)).filter(
    ({ specialUse, flags }) => specialUse === '\\Trash' && !flags.has('\\Noselect') && !flags.has('\\NonExistent'),
  );
  const marked = folders.find(({ specialUseSource }) => specialUseSource === 'extension');
  const found = marked ?? folders[0];
  return found?.path ?? connection.createFolder(NEW_TRASH, signal);
}
