import { readDetails } from '../header-details.ts';
import type { ChangePage, ChangesOptions, Checkpoint, ListedMail } from '../store.ts';
import { StoreError } from '../store.ts';
import type { FetchRow } from './answers.ts';
import { atom, bodyPeek, type CommandNode, sequence } from './commands.ts';
import type { ImapConnection } from './connection.ts';
import type { Mailbox, OpenFolder } from './mailbox.ts';
import { canonicalFolder, encodeItem, encodeScope, type ImapScope, MAX_UID } from './source-id.ts';

/** What listing needs of a session. */
export interface ListingContext {
  readonly connection: ImapConnection;
  readonly mailbox: Mailbox;
  readonly identity: string;
}

/** Where the next round begins: everything up to `lastUid` has been listed. */
interface ImapCheckpoint {
  readonly uidValidity: number;
  readonly lastUid: number;
}

/** Header octets asked for details: a Message-ID and a subject far longer than any that means something. */
const MAX_DETAIL_OCTETS = 16_384;
/** Mails in one FETCH of a listing, whatever page the caller asks for; an answer is some hundred octets, or 16 KiB. */
const MAX_PAGE = 1_000;

/** `StoreSession.changes`: the snapshot is UIDNEXT before anything is listed (trap 17 of those that mail systems know). */
export async function* listChanges(
  context: ListingContext,
  folder: string,
  checkpoint: Checkpoint | undefined,
  options: ChangesOptions,
): AsyncGenerator<ChangePage> {
  const { signal } = options;
  const { scope, from, uids, snapshot, full } = await context.connection.exclusive(signal, async () => {
    const opened = await context.mailbox.select(folder, signal, { fresh: true });
    const known = readCheckpoint(checkpoint);
    const continues = known !== undefined && known.uidValidity === opened.uidValidity;
    const lastUid = continues ? known.lastUid : 0;
    return {
      ...(await newUids(context.mailbox, opened, lastUid, signal)),
      scope: opened,
      from: lastUid,
      full: !continues,
    };
  });
  const last = Math.max(snapshot, from);
  const { uidValidity } = scope;
  if (uids.length === 0) {
    yield { mails: [], full, checkpoint: { uidValidity, lastUid: last }, remaining: 0 };
    return;
  }
  for (const page of pagesOf(uids, options.pageSize)) {
    const mails = await listPage(context, scope, folder, page.uids, options);
    const lastUid = page.remaining === 0 ? last : (page.uids.at(-1) ?? last);
    yield { mails, full, checkpoint: { uidValidity, lastUid }, remaining: page.remaining };
  }
}

/** `StoreSession.list`. */
export async function* listAll(
  context: ListingContext,
  folder: string,
  options: ChangesOptions,
): AsyncGenerator<readonly ListedMail[]> {
  const { signal } = options;
  const { scope, uids } = await context.connection.exclusive(signal, async () => {
    const opened = await context.mailbox.select(folder, signal, { fresh: true });
    const found = opened.exists === 0 ? [] : await context.mailbox.search([atom('ALL')], signal);
    if (opened.exists > 0 && found.length === 0) {
      // Whoever deletes or forgets by this listing must not be told that the folder is empty when it is not.
      const again = await context.mailbox.select(folder, signal, { fresh: true });
      if (again.exists > 0) throw new StoreError('protocol', 'the server counts mails in the folder and finds none');
    }
    return { scope: opened, uids: found };
  });
  for (const page of pagesOf(uids, options.pageSize)) {
    yield await listPage(context, scope, folder, page.uids, options);
  }
}

/** UIDs above `lastUid`, up to the snapshot. An idle round ends here, without a search. */
async function newUids(mailbox: Mailbox, opened: OpenFolder, lastUid: number, signal: AbortSignal) {
  const snapshot = opened.uidNext === undefined ? undefined : opened.uidNext - 1;
  if (opened.exists === 0 || lastUid >= (snapshot ?? MAX_UID)) return { uids: [], snapshot: snapshot ?? lastUid };
  const found = await mailbox.search([atom('UID'), sequence(`${lastUid + 1}:${snapshot ?? '*'}`)], signal);
  // `n:*` always names the last mail, even where its UID is below n (RFC 3501 section 6.4.8).
  const uids = found.filter((uid) => uid > lastUid && uid <= (snapshot ?? MAX_UID));
  return { uids, snapshot: snapshot ?? uids.at(-1) ?? lastUid };
}

function readCheckpoint(checkpoint: Checkpoint | undefined): ImapCheckpoint | undefined {
  const uidValidity = checkpoint?.uidValidity;
  const lastUid = checkpoint?.lastUid;
  if (typeof uidValidity !== 'number' || typeof lastUid !== 'number') return undefined;
  return Number.isInteger(lastUid) && lastUid >= 0 && lastUid <= MAX_UID ? { uidValidity, lastUid } : undefined;
}

function* pagesOf(uids: readonly number[], pageSize: number) {
  const size = Math.min(Math.max(Math.floor(pageSize), 1), MAX_PAGE);
  for (let at = 0; at < uids.length; at += size) {
    const page = uids.slice(at, at + size);
    yield { uids: page, remaining: uids.length - at - page.length };
  }
}

const plainItems: readonly CommandNode[] = ['UID', 'RFC822.SIZE', 'INTERNALDATE', 'FLAGS'].map(atom);
// Not ENVELOPE: servers stumble over broken headers there, and one such mail would end the listing.
const detailItems: readonly CommandNode[] = [
  ...plainItems,
  bodyPeek([atom('HEADER.FIELDS'), [atom('MESSAGE-ID'), atom('SUBJECT')]], [0, MAX_DETAIL_OCTETS]),
];

async function listPage(
  context: ListingContext,
  scope: ImapScope,
  folder: string,
  uids: readonly number[],
  options: ChangesOptions,
): Promise<readonly ListedMail[]> {
  const { signal, details } = options;
  const rows = await context.connection.exclusive(signal, async () => {
    const opened = await context.mailbox.select(folder, signal);
    if (opened.uidValidity !== scope.uidValidity) {
      throw new StoreError('resync', 'the folder was made anew while it was listed', { code: 'UIDVALIDITY' });
    }
    return (await context.mailbox.fetchRows(uids, details ? detailItems : plainItems, signal)).rows;
  });
  // One without an answer is listed all the same: passing over it would lose it if it is still there.
  return uids.map((uid) => listedMail(context.identity, scope, folder, uid, rows.get(uid)));
}

function listedMail(
  store: string,
  scope: ImapScope,
  folder: string,
  uid: number,
  row: FetchRow | undefined,
): ListedMail {
  const { size, receivedAt, flags, body } = row ?? {};
  const source = {
    store,
    scope: encodeScope({ folder: canonicalFolder(folder), uidValidity: scope.uidValidity }),
    item: encodeItem(uid),
  };
  return {
    source,
    folder,
    ...(size === undefined ? {} : { size }),
    ...(receivedAt === undefined ? {} : { receivedAt }),
    ...(flags === undefined ? {} : { draft: flags.has('\\draft'), seen: flags.has('\\seen') }),
    ...(body ? readDetails(body) : {}),
  };
}
