import type { ImapResponse } from 'imapflow';
import { quoted } from './command-arguments.ts';
import type { ImapConnection } from './connection.ts';
import { encodeFolderName } from './folder-name.ts';
import { commandError, readLibraryError } from './imap-errors.ts';
import { canonicalFolder } from './source-id.ts';

/** MYRIGHTS (RFC 4314 section 3.5): what the user may do in a folder; undefined where the server does not say. */
export async function folderRights(
  connection: ImapConnection,
  folder: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  let rights: ReadonlySet<string> | undefined;
  try {
    await connection.command('MYRIGHTS', [quoted(encodeFolderName(canonicalFolder(folder)))], signal, {
      MYRIGHTS: (answer) => {
        rights = readRights(answer) ?? rights;
      },
    });
  } catch (error) {
    // NO: no such folder, or not for this user to know.
    if (readLibraryError(error).status === 'NO') return undefined;
    throw commandError(error, 'MYRIGHTS');
  }
  return rights;
}

function readRights({ attributes }: ImapResponse): ReadonlySet<string> | undefined {
  const last: unknown = attributes?.at(1);
  const value = typeof last === 'object' && last !== null && 'value' in last ? last.value : undefined;
  return typeof value === 'string' ? new Set(value) : undefined;
}
