import { readDetails } from '../../header-details.ts';
import type { FrozenMail } from '../../transport.ts';
import type { FetchRow } from '../answers.ts';
import { atom, bodyPeek, type CommandNode, quoted, sequence } from '../command-arguments.ts';
import type { ImapConnection } from '../connection.ts';
import { type FetchedRows, Mailbox } from '../mailbox.ts';
import { MAX_UID } from '../source-id.ts';
import type { FolderMark } from './append-note.ts';

/** Whether the mail was appended. `unknown`: no search can find out, or not yet. */
export type Presence = 'present' | 'absent' | 'unknown';

/**
 * A mail counts as absent no sooner than this after its commit point. An APPEND is carried out whole or not at all (RFC
 * 3501 section 6.3.11), but a slow server may be at it still, or show the mail late. No attempt waits for its answer
 * longer than nine minutes (`deliveryMs`), so that the connection was gone for a while by then.
 */
const ABSENT_AFTER_MS = 10 * 60_000;
/** Mails that are looked at one by one. */
const MAX_LOOKED_AT = 500;

const items: readonly CommandNode[] = [
  atom('UID'),
  atom('RFC822.SIZE'),
  atom('INTERNALDATE'),
  bodyPeek([atom('HEADER.FIELDS'), [atom('MESSAGE-ID')]], [0, 4_096]),
];

const withUids = (from: number, to: number | '*'): readonly CommandNode[] => [atom('UID'), sequence(`${from}:${to}`)];

/**
 * Finds out what became of an APPEND whose answer was lost, by a search for the Message-ID among what was added since
 * `mark`. Not to be found is not enough for `absent`: somebody may have taken the mail out already, as a system that
 * imports and deletes does. Only where nothing was added, or everything that was added is still there and is other
 * mail, it was not appended. Throws StoreError, such as `folderMissing`.
 */
export async function findAppended(
  connection: ImapConnection,
  search: {
    readonly mail: FrozenMail;
    readonly folder: string;
    /** Of the folder before the APPEND; absent where the server did not say. */
    readonly mark: FolderMark | undefined;
    readonly sinceCommitMs: number;
  },
  signal: AbortSignal,
): Promise<Presence> {
  const { mail, folder, sinceCommitMs } = search;
  const mailbox = new Mailbox(connection);
  const { uidValidity, uidNext } = await mailbox.select(folder, signal, { fresh: true });
  const mark = search.mark?.uidValidity === uidValidity ? search.mark : undefined;
  const from = mark?.uidNext ?? 1;
  const isOurs = (row: FetchRow) =>
    row.uid >= from && messageIdOf(row) === mail.messageId && (row.size === mail.size || sameSecond(row, mail.date));

  // HEADER finds whatever contains the text (RFC 3501 section 6.4.4), and `n:*` the last mail in any case.
  const criteria = [...withUids(from, '*'), atom('HEADER'), atom('Message-ID'), quoted(mail.messageId)];
  const hits = (await mailbox.search(criteria, signal)).filter((uid) => uid >= from).slice(-MAX_LOOKED_AT);
  if (rowsOf(await mailbox.fetchRows(hits, items, signal)).some(isOurs)) return 'present';

  if (mark === undefined || uidNext === undefined || sinceCommitMs < ABSENT_AFTER_MS) return 'unknown';
  const added = uidNext - mark.uidNext;
  if (added === 0) return 'absent';
  if (added < 0 || added > MAX_LOOKED_AT || uidNext > MAX_UID) return 'unknown';
  const uids = await mailbox.search(withUids(mark.uidNext, uidNext - 1), signal);
  if (uids.length < added) return 'unknown';
  // Every one of them is looked at: the answer of an index that lags would mean a second copy.
  const rows = rowsOf(await mailbox.fetchRows(uids, items, signal));
  if (rows.some(isOurs)) return 'present';
  return rows.length === added && rows.every(isAnotherMail(mail)) ? 'absent' : 'unknown';
}

function rowsOf({ rows }: FetchedRows): readonly FetchRow[] {
  return [...rows.values()];
}

function messageIdOf(row: FetchRow): string | undefined {
  return row.body ? readDetails(row.body).messageId : undefined;
}

function isAnotherMail(mail: FrozenMail): (row: FetchRow) => boolean {
  return (row) => Buffer.isBuffer(row.body) && messageIdOf(row) !== mail.messageId;
}

/** Some servers rebuild a mail, which changes its size; its date is the one it was appended with. */
function sameSecond({ receivedAt }: FetchRow, date: number): boolean {
  return receivedAt !== undefined && Math.floor(receivedAt / 1_000) === Math.floor(date / 1_000);
}
