import type { ImapConnection } from './connection.ts';

/** Names of the folders that are made where a mailbox has none for its use; most servers and clients know them. */
const newNames = { '\\Trash': 'Trash', '\\Sent': 'Sent' } as const;

/**
 * The folder for a use: the one the server marks so (RFC 6154), else one with a name that clients use for it
 * (`Deleted Items`, `Papierkorb`, `Sent Items`, …; the library knows them). Makes `Trash` or `Sent` where there is none.
 */
export async function findSpecialFolder(
  connection: ImapConnection,
  use: keyof typeof newNames,
  signal: AbortSignal,
): Promise<string> {
  return (await seeSpecialFolder(connection, use, signal)) ?? connection.createFolder(newNames[use], signal);
}

/** The same, and makes none. */
export async function seeSpecialFolder(
  connection: ImapConnection,
  use: keyof typeof newNames,
  signal: AbortSignal,
): Promise<string | undefined> {
  const folders = (await connection.listFolders(signal)).filter(
    ({ specialUse, flags }) => specialUse === use && !flags.has('\\Noselect') && !flags.has('\\NonExistent'),
  );
  const marked = folders.find(({ specialUseSource }) => specialUseSource === 'extension');
  return (marked ?? folders[0])?.path;
}
