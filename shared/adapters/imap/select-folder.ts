import { StoreError } from '../store.ts';
import { type ResponseCode, readExists, readResponseCode } from './answers.ts';
import { quoted } from './command-arguments.ts';
import type { ImapConnection } from './connection.ts';
import { encodeFolderName } from './folder-name.ts';
import { commandError, readLibraryError } from './imap-errors.ts';
import { missingFolder } from './missing-folder.ts';
import { type ImapScope, parseUid } from './source-id.ts';

/** What the server said when the folder was opened. */
export interface OpenFolder extends ImapScope {
  readonly writable: boolean;
  /** Mails in it; absent where the server does not say, which RFC 3501 section 6.3.1 forbids. */
  readonly exists: number | undefined;
  /** The UID that the next mail will get; absent where the server does not say. */
  readonly uidNext: number | undefined;
}

/**
 * SELECT where flags are to be changed, EXAMINE otherwise. `folder`: its canonical name. Throws StoreError: `folderMissing`,
 * `protocol` where UIDVALIDITY is missing or invalid (RFC 3501 section 2.3.1.1), `permission` where it may only be read.
 */
export async function selectFolder(
  connection: ImapConnection,
  folder: string,
  { writable }: { readonly writable: boolean },
  signal: AbortSignal,
): Promise<OpenFolder> {
  const codes = new Map<string, string | undefined>();
  let exists: number | undefined;
  const command = writable ? 'SELECT' : 'EXAMINE';
  let tagged: ResponseCode | undefined;
  try {
    const { response } = await connection.command(command, [quoted(encodeFolderName(folder))], signal, {
      OK: (answer) => {
        const code = readResponseCode(answer);
        if (code) codes.set(code.name, code.argument);
      },
      EXISTS: (answer) => {
        exists = readExists(answer) ?? exists;
      },
    });
    tagged = readResponseCode(response);
  } catch (error) {
    throw await selectError(connection, folder, error, signal);
  }
  const uidValidity = parseUid(codes.get('UIDVALIDITY'));
  if (uidValidity === undefined) {
    throw new StoreError('protocol', 'the server gives the folder no valid UIDVALIDITY', {
      code: 'UIDVALIDITY',
      hint: 'Mails cannot be distinguished without it (RFC 3501 section 2.3.1.1). The server or the folder needs repair.',
    });
  }
  if (writable && tagged?.name === 'READ-ONLY') {
    throw new StoreError('permission', 'the server opens the folder for reading only', {
      code: 'READ-ONLY',
      hint: 'Give the user the right to change the folder, or leave mails as they are (markRead false, delete never).',
    });
  }
  return {
    folder,
    uidValidity,
    writable,
    exists,
    uidNext: parseUid(codes.get('UIDNEXT')),
  };
}

/** Servers that give no response code say NO to a missing folder as to any other trouble; the listing then decides. */
async function selectError(
  connection: ImapConnection,
  folder: string,
  error: unknown,
  signal: AbortSignal,
): Promise<StoreError> {
  const failure = commandError(error, 'to open the folder');
  const { status, responseCode } = readLibraryError(error);
  const unclear = status === 'NO' && (responseCode === undefined || responseCode === 'CANNOT');
  if (failure.kind !== 'folderMissing' && !unclear) return failure;
  const missing = await missingFolder(connection, folder, signal, responseCode);
  return missing ?? failure;
}
