import type { FolderUse, StoreFolder } from '../../store-folder.ts';
import type { ImapConnection } from '../connection.ts';

/** Special uses of RFC 6154, and what the library calls the inbox. */
const uses: ReadonlyMap<string, FolderUse> = new Map([
  ['\\Inbox', 'inbox'],
  ['\\Sent', 'sent'],
  ['\\Drafts', 'drafts'],
  ['\\Trash', 'trash'],
  ['\\Junk', 'junk'],
  ['\\Archive', 'archive'],
  ['\\All', 'all'],
  ['\\Flagged', 'flagged'],
]);

/** Folders that are answered; people have some tens. */
const maxFolders = 1_000;

/** `INBOX` is the same in any case (RFC 3501 section 5.1). */
const named = (name: string) => (name.toUpperCase() === 'INBOX' ? 'INBOX' : name);

/** The folders that can be selected, as the server lists them. Throws StoreError. */
export async function listFolders(
  connection: ImapConnection,
  selected: readonly string[],
  signal: AbortSignal,
): Promise<readonly StoreFolder[]> {
  const wanted = new Set(selected.map(named));
  const listed = await connection.listFolders(signal, { counts: true });
  return listed
    .filter(({ flags }) => !flags.has('\\Noselect') && !flags.has('\\NonExistent'))
    .slice(0, maxFolders)
    .map(({ path, specialUse, status }) => {
      const use = uses.get(specialUse ?? '');
      return {
        name: path,
        ...(status?.messages === undefined ? {} : { total: status.messages }),
        ...(status?.unseen === undefined ? {} : { unread: status.unseen }),
        ...(use === undefined ? {} : { use }),
        selected: wanted.has(named(path)),
      };
    });
}
