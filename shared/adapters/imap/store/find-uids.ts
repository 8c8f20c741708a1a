import { StoreError } from '../../store.ts';
import { atom, sequence } from '../command-arguments.ts';
import { MAX_MAILS, type Mailbox } from '../mailbox.ts';
import type { OpenFolder } from '../select-folder.ts';
import { MAX_UID } from '../source-id.ts';

/** UIDs in the first window; it grows where the folder has gaps, and shrinks where it has none. */
const FIRST_WINDOW = 1_000;
/** Mails a window should have. */
const FULL_WINDOW = 1_000;
/** Mails that one SEARCH is asked for: its answer is one line, 11 octets a mail. */
const MAX_SEARCHED = 50_000;
/** Mails that a piece shares with the one before: as many may be removed meanwhile, and none is passed over. */
const OVERLAP = 1_000;
/** Pieces asked for again because more than that were removed. */
const MAX_AGAIN = 10;

/** UIDs that are new in a folder. */
export interface FoundUids {
  /** Ascending. */
  readonly uids: readonly number[];
  /** Everything up to here has been looked at. */
  readonly reached: number;
}

/**
 * UIDs above `lastUid`, up to the mail that was the last when the folder was opened. That mail is asked for by its place
 * (EXISTS), and not taken from UIDNEXT: some servers give one that lags behind, or is far ahead. Where it has been listed
 * before, the round is idle and ends here, without a search. What SEARCH answers is compared with EXISTS: mails stand in the
 * order of their UIDs, so where it found all above `lastUid`, the mail that stands before them has a UID of at most
 * `lastUid`. Where that is not so, the answer is cut or of another time, and the folder is listed window by window. Throws
 * StoreError `protocol` where the two do not agree in the end: then nothing is passed over. A folder of which nothing is known
 * is asked for all its UIDs at first. Called inside `exclusive`.
 */
export async function findUidsAbove(
  mailbox: Mailbox,
  opened: OpenFolder,
  lastUid: number,
  signal: AbortSignal,
): Promise<FoundUids> {
  // An empty folder moves nothing on: that it is empty is one answer alone.
  if (opened.exists === 0) return { uids: [], reached: lastUid };
  const all = lastUid === 0 ? await searchAll(mailbox, opened, signal) : undefined;
  if (all) return { uids: all, reached: all.at(-1) ?? lastUid };
  const newest = await newestUid(mailbox, opened, signal);
  if (lastUid >= (newest ?? MAX_UID)) return { uids: [], reached: lastUid };
  const last = newest ?? (opened.uidNext === undefined ? undefined : opened.uidNext - 1);
  const top = last ?? MAX_UID;
  const few = (opened.exists ?? 0) <= MAX_SEARCHED || top - lastUid <= MAX_SEARCHED;
  const searched = few
    ? await mailbox.search([atom('UID'), sequence(`${lastUid + 1}:${last ?? '*'}`)], signal)
    : await searchPieces(mailbox, opened, lastUid, signal);
  // `n:*` always names the last mail, even where its UID is below n (RFC 3501 section 6.4.8).
  const found = new Set(searched.filter((uid) => uid > lastUid && uid <= top));
  if (!(await isWhole(mailbox, opened, { found, lastUid }, signal))) {
    for (const uid of await listWindows(mailbox, lastUid + 1, top, signal)) found.add(uid);
    const again = await mailbox.select(opened.folder, signal, { fresh: true });
    const unchanged = again.uidValidity === opened.uidValidity;
    // What has arrived since stands behind; what was removed since is missing.
    const exists = Math.min(opened.exists ?? MAX_UID, again.exists ?? 0);
    const whole = found.size >= exists || (await isWhole(mailbox, { exists }, { found, lastUid }, signal));
    if (!unchanged || !whole) throw disagreement(again, found);
  }
  const uids = [...found].sort((a, b) => a - b);
  return { uids, reached: uids.at(-1) ?? lastUid };
}

/**
 * All UIDs of a folder of which nothing is known, by one question. Undefined where it would be too large, where the answer
 * does not have as many as there were when the folder was opened, or where one has arrived since, by UIDNEXT: it may stand
 * for another that is left out.
 */
async function searchAll(
  mailbox: Mailbox,
  { exists, uidNext }: OpenFolder,
  signal: AbortSignal,
): Promise<readonly number[] | undefined> {
  if (exists === undefined || exists > MAX_SEARCHED || uidNext === undefined) return undefined;
  const found = await mailbox.search([atom('UID'), sequence('1:*')], signal);
  return found.length === exists && (found.at(-1) ?? 0) < uidNext ? found : undefined;
}

/** The UID of the mail that stands last; undefined where the server does not say. */
async function newestUid(mailbox: Mailbox, { exists }: OpenFolder, signal: AbortSignal): Promise<number | undefined> {
  if (exists === undefined) return undefined;
  return (await mailbox.rowsAt(exists, exists, ['UID'], signal))[0]?.uid;
}

/** All UIDs of the folder; as `findUidsAbove`. */
export async function findAllUids(
  mailbox: Mailbox,
  opened: OpenFolder,
  signal: AbortSignal,
): Promise<readonly number[]> {
  // Whoever deletes or forgets by this listing must not take mails for gone when they are not.
  if (opened.exists === undefined) throw disagreement(opened, new Set());
  return (await findUidsAbove(mailbox, opened, 0, signal)).uids;
}

/**
 * Whether `found` are all the mails with UIDs above `lastUid`, of as many as the folder has. More than it has are not: some
 * of them are no longer there, and may stand for others that are left out.
 */
async function isWhole(
  mailbox: Mailbox,
  { exists }: Pick<OpenFolder, 'exists'>,
  { found, lastUid }: { readonly found: ReadonlySet<number>; readonly lastUid: number },
  signal: AbortSignal,
): Promise<boolean> {
  if (exists === undefined) return false;
  const place = exists - found.size;
  if (place < 1) return place === 0;
  const uid = (await mailbox.rowsAt(place, place, ['UID'], signal))[0]?.uid;
  return uid !== undefined && uid <= lastUid;
}

/**
 * UID SEARCH of a large folder piece by piece, by the places of its mails (message sequence numbers): an answer is one line,
 * and must not be of any length. Places move up where mails are removed, so each piece begins within the one before.
 */
async function searchPieces(
  mailbox: Mailbox,
  { exists = 0 }: OpenFolder,
  lastUid: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  if (exists > MAX_MAILS) throw tooMany();
  const found = new Set<number>();
  let again = 0;
  let reached = 0;
  for (let from = 1; from <= exists; ) {
    const to = Math.min(exists, from + MAX_SEARCHED - 1);
    const piece = await mailbox.search([sequence(`${from}:${to}`)], signal);
    const joined = from === 1 || (piece[0] ?? 0) <= reached;
    if (!joined && again < MAX_AGAIN) {
      again += 1;
      from = Math.max(1, from - MAX_SEARCHED);
      continue;
    }
    for (const uid of piece) if (uid > lastUid) found.add(uid);
    reached = piece.at(-1) ?? reached;
    from = to === exists ? exists + 1 : to + 1 - OVERLAP;
  }
  return [...found];
}

function tooMany(): StoreError {
  return new StoreError('protocol', `the folder has more than ${MAX_MAILS} mails`, {
    code: 'LISTING_TOO_LONG',
    hint: 'Move mail to other folders, or name a smaller one in folders.',
  });
}

async function listWindows(
  mailbox: Mailbox,
  first: number,
  last: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const found: number[] = [];
  let size = FIRST_WINDOW;
  for (let from = first; from <= last; ) {
    const to = Math.min(last, from + size - 1);
    const uids = await mailbox.uidsBetween(from, to, signal);
    for (const uid of uids) found.push(uid);
    if (found.length > MAX_MAILS) throw tooMany();
    from = to + 1;
    if (uids.length < FULL_WINDOW / 4) size *= 4;
    else if (uids.length > FULL_WINDOW) size = Math.max(FIRST_WINDOW, Math.floor(size / 4));
  }
  return found;
}

function disagreement({ exists }: OpenFolder, found: ReadonlySet<number>): StoreError {
  return new StoreError(
    'protocol',
    `the server counts ${exists ?? 'no'} mails in the folder and lists others (${found.size} of those asked for)`,
    { code: 'LISTING', hint: 'Its index of the folder may be damaged. The server’s log says more.' },
  );
}
