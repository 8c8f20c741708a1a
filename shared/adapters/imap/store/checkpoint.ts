import type { Checkpoint, ListedMail } from '../../store.ts';
import type { Mailbox } from '../mailbox.ts';
import type { OpenFolder } from '../select-folder.ts';
import { decodeItem, MAX_UID } from '../source-id.ts';

/** A mail that was listed, by what a server keeps of it: to see whether its UID still means it. */
interface KnownMail {
  readonly uid: number;
  readonly receivedAt: number;
  readonly size: number;
}

/** Where the next round begins: everything up to `lastUid` has been listed. */
export interface ImapCheckpoint {
  readonly uidValidity: number;
  readonly lastUid: number;
  /** UIDNEXT as the server gave it then; absent where it did not, and in checkpoints of earlier versions. */
  readonly uidNext?: number | undefined;
  /** How often the folder used its UIDs again under this UIDVALIDITY. */
  readonly epoch: number;
  /** The last mail that was listed with its size and time. */
  readonly known: KnownMail | undefined;
}

/** Servers keep whole seconds. */
const SAME_INSTANT = 1_000;

/** Undefined for what is no checkpoint of IMAP: then everything is listed. */
export function readCheckpoint(checkpoint: Checkpoint | undefined): ImapCheckpoint | undefined {
  const { uidValidity, lastUid, uidNext, epoch = 0 } = checkpoint ?? {};
  const { knownUid: uid, knownAt: receivedAt, knownSize: size } = checkpoint ?? {};
  if (typeof uidValidity !== 'number' || typeof lastUid !== 'number' || typeof epoch !== 'number') return undefined;
  if (!Number.isInteger(lastUid) || lastUid < 0 || lastUid > MAX_UID) return undefined;
  const isKnown = typeof uid === 'number' && typeof receivedAt === 'number' && typeof size === 'number';
  return {
    uidValidity,
    lastUid,
    uidNext: typeof uidNext === 'number' ? uidNext : undefined,
    epoch,
    known: isKnown ? { uid, receivedAt, size } : undefined,
  };
}

/** The checkpoint as it is stored; what is absent or usual is left out. */
export function writeCheckpoint({ uidValidity, lastUid, uidNext, epoch, known }: ImapCheckpoint): Checkpoint {
  return {
    uidValidity,
    lastUid,
    ...(uidNext === undefined ? {} : { uidNext }),
    ...(epoch === 0 ? {} : { epoch }),
    ...(known ? { knownUid: known.uid, knownAt: known.receivedAt, knownSize: known.size } : {}),
  };
}

/** The last of the mails whose listing has a size and a time, by which it is known. */
export function lastKnown(mails: readonly ListedMail[]): KnownMail | undefined {
  for (const { source, receivedAt, size } of [...mails].reverse()) {
    const uid = decodeItem(source.item);
    if (uid !== undefined && receivedAt !== undefined && size !== undefined) return { uid, receivedAt, size };
  }
  return undefined;
}

/**
 * The epoch that the folder's UIDs are of now. UIDs must never be used again under one UIDVALIDITY (RFC 3501 section
 * 2.3.1.1). Where UIDNEXT is below what it was, or the mail that was listed last is another one by time and size, they were,
 * and a new epoch begins. Called inside `exclusive`.
 */
export async function epochNow(
  mailbox: Mailbox,
  opened: OpenFolder,
  checkpoint: ImapCheckpoint | undefined,
  signal: AbortSignal,
): Promise<number> {
  // Found out before, in this session, and not saved yet.
  if (opened.epoch !== undefined && opened.epoch !== checkpoint?.epoch) return opened.epoch;
  const continues = checkpoint !== undefined && checkpoint.uidValidity === opened.uidValidity;
  const reused = continues && (await areUidsReused(mailbox, opened, checkpoint, signal));
  const epoch = continues ? checkpoint.epoch + (reused ? 1 : 0) : 0;
  mailbox.noteEpoch(opened, epoch);
  return epoch;
}

async function areUidsReused(
  mailbox: Mailbox,
  { uidNext }: OpenFolder,
  { lastUid, uidNext: before, known }: ImapCheckpoint,
  signal: AbortSignal,
): Promise<boolean> {
  if (uidNext !== undefined && uidNext < (before ?? lastUid + 1)) return true;
  // Where nothing has come since, an idle round asks for nothing.
  if (known === undefined || (uidNext !== undefined && uidNext === (before ?? lastUid + 1))) return false;
  const { rows } = await mailbox.fetchRows([known.uid], knownItems, signal);
  const { receivedAt, size } = rows.get(known.uid) ?? {};
  const otherTime = receivedAt !== undefined && Math.abs(receivedAt - known.receivedAt) > SAME_INSTANT;
  // Both: some servers give another size than before for the same mail.
  return otherTime && size !== undefined && size !== known.size;
}

const knownItems = ['UID', 'RFC822.SIZE', 'INTERNALDATE'].map((value) => ({ type: 'ATOM' as const, value }));
