import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseNote } from '../../attempt-note.ts';
import type { ImapConnectionConfig } from '../library-options.ts';
import { MAX_UID } from '../source-id.ts';

/** Where a folder's UIDs stood: a mail that was added later has a UID of `uidNext` or above (RFC 3501 section 2.3.1.1). */
export interface FolderMark {
  readonly uidValidity: number;
  readonly uidNext: number;
}

const uid = z.int().min(1).max(MAX_UID);
const noteSchema = z.object({ append: z.string(), uidValidity: uid, uidNext: uid });

/** A folder of a mailbox, as a note names it: a hash, so that no name stands in the record. */
function placeOf({ host, port, auth }: ImapConnectionConfig, folder: string): string {
  const user = auth.type === 'none' ? '' : auth.user;
  return createHash('sha256')
    .update(JSON.stringify([host.toLowerCase(), port ?? 0, user, folder]))
    .digest('base64url')
    .slice(0, 16);
}

/** What an attempt leaves before its commit point, for the search that finds out about a lost answer. */
export function noteText(config: ImapConnectionConfig, folder: string, mark: FolderMark): string {
  return JSON.stringify({ append: placeOf(config, folder), uidValidity: mark.uidValidity, uidNext: mark.uidNext });
}

/** The mark of an earlier attempt, where it is of this folder: the account may have pointed elsewhere then. */
export function readNote(
  text: string | undefined,
  config: ImapConnectionConfig,
  folder: string,
): FolderMark | undefined {
  const note = parseNote(text, noteSchema);
  return note?.append === placeOf(config, folder) ? note : undefined;
}
