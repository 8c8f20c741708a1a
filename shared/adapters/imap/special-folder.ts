import type { ImapConnection } from './connection.ts';

/** Names of the folders that are made where a mailbox has none for its use; most servers and clients know them. */
const newNames = { '\\Trash': 'Trash', '\\Sent': 'Sent' } as const;

/**
 * Finds the folder for a use: the one the server marks so (RFC 6154), else one with a name that clients use for it
 * (`Deleted Items`, `Papierkorb`, `Sent Items`, …; the library knows them). Makes `Trash` or `Sent` where there is none.
 */
export async function findSpecialFolder(
  connection: ImapConnection,
  use: keyof typeof newNames,
  signal: AbortSignal,
): Promise<string> {
  const folders = (await connection.listFolders(signal)).filter(
    ({ specialUse, flags }) => specialUse === use && !flags.has('\\Noselect') && !flags.has('\\NonExistent'),
  );
  const marked = folders.find(({ specialUseSource }) => specialUseSource === 'extension');
  const found = marked ?? folders[0];
  return found?.path ?? connection.createFolder(newNames[use], signal);
}
