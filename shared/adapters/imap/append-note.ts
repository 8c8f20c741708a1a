import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ImapConnectionConfig } from './library-options.ts';
import { MAX_UID } from './source-id.ts';

/** Where a folder's UIDs stood: a mail that was added later has a UID of `uidNext` or above (RFC 3501 section 2.3.1.1). */
export interface FolderMark {
  readonly uidValidity: number;
  readonly uidNext: number;
}

const uid = z.int().min(1).max(MAX_UID);
const noteSchema = z.object({ append: z.string(), uidValidity: uid, uidNext: uid });

/** Names a folder of a mailbox in a note, without telling it. */
function placeOf({ host, port, auth }: ImapConnectionConfig, folder: string): string {
  const user = auth.type === 'none' ? '' : auth.user;
  return createHash('sha256')
    .update(JSON.stringify([host.toLowerCase(), port ?? 0, user, folder]))
    .digest('base64url')
    .slice(0, 16);
}

/** What an attempt leaves before its commit point, for the search that settles a doubt. */
export function noteText(config: ImapConnectionConfig, folder: string, mark: FolderMark): string {
  return JSON.stringify({ append: placeOf(config, folder), uidValidity: mark.uidValidity, uidNext: mark.uidNext });
}

/** The mark of an earlier attempt, where it is of this folder: the account may have pointed elsewhere then. */
export function readNote(
  text: string | undefined,
  config: ImapConnectionConfig,
  folder: string,
): FolderMark | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { success, data } = noteSchema.safeParse(value);
  return success && data.append === placeOf(config, folder) ? data : undefined;
}
