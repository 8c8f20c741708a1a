import { readDetails } from '../../header-details.ts';
import type { ChangePage, ChangesOptions, Checkpoint, FolderEnd, ListedMail } from '../../store.ts';
import { StoreError } from '../../store.ts';
import type { FetchRow } from '../answers.ts';
import { atom, bodyPeek, type CommandNode } from '../command-arguments.ts';
import type { ImapConnection } from '../connection.ts';
import type { Mailbox } from '../mailbox.ts';
import type { OpenFolder } from '../select-folder.ts';
import {
  canonicalFolder,
  encodeItem,
  encodeScope,
  groupByScope,
  type ImapScope,
  locate,
  sameFolder,
} from '../source-id.ts';
import { epochNow, lastKnown, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { findAllUids, findUidsAbove } from './find-uids.ts';

/** What listing needs of a session. */
export interface ListingContext {
  readonly connection: ImapConnection;
  readonly mailbox: Mailbox;
  readonly identity: string;
}

/** Header octets asked for details: a Message-ID and a subject far longer than any that means something. */
const MAX_DETAIL_OCTETS = 16_384;
/** Mails in one FETCH of a listing, whatever page the caller asks for; an answer is some hundred octets, or 16 KiB. */
const MAX_PAGE = 1_000;
/**
 * Pages of changes that the first FETCH lists, where no details are asked for, and each further one twice as many: the first
 * mails come soon, and of a long list few pages wait for their listing.
 */
const FIRST_PAGES = 8;

/** How a folder is opened to be listed. */
export interface OpenFolderOptions {
  readonly signal: AbortSignal;
  readonly fresh: true | 'unlessNew';
}

/** The folder as it is now, and the epoch of its UIDs. Called inside `exclusive`. */
export async function openFolder(
  { mailbox }: ListingContext,
  folder: string,
  checkpoint: Checkpoint | undefined,
  { signal, fresh }: OpenFolderOptions,
): Promise<OpenFolder & { readonly epoch: number }> {
  const opened = await mailbox.select(folder, signal, { fresh });
  return { ...opened, epoch: await epochNow(mailbox, opened, readCheckpoint(checkpoint), signal) };
}

/** `StoreSession.changes`. What arrives after the folder was opened is left to the next round. */
export async function* listChanges(
  context: ListingContext,
  folder: string,
  checkpoint: Checkpoint | undefined,
  options: ChangesOptions,
): AsyncGenerator<ChangePage> {
  const { signal } = options;
  const { scope, before, uids, reached } = await context.connection.exclusive(signal, async () => {
    // `scope` has just opened it, where it is the only one.
    const opened = await openFolder(context, folder, checkpoint, { signal, fresh: 'unlessNew' });
    const known = readCheckpoint(checkpoint);
    const continues = known?.uidValidity === opened.uidValidity && known.epoch === opened.epoch;
    const from = continues
      ? known
      : { uidValidity: opened.uidValidity, lastUid: 0, uidNext: opened.uidNext, epoch: opened.epoch, known: undefined };
    const found = await findUidsAbove(context.mailbox, opened, from.lastUid, signal);
    return { ...found, scope: opened, before: from };
  });
  const last = Math.max(reached, before.lastUid);
  if (uids.length === 0) {
    yield { mails: [], checkpoint: writeCheckpoint({ ...before, lastUid: last }), remaining: 0 };
    return;
  }
  let { known } = before;
  const first = options.pageSize * (options.details ? 1 : FIRST_PAGES);
  for (const command of pagesOf(uids, first, options.details ? 1 : 2)) {
    const listed = await listPage(context, { scope, folder }, command.uids, options);
    for (const page of pagesOf(command.uids, options.pageSize)) {
      const mails = listed.splice(0, page.uids.length);
      const remaining = command.remaining + page.remaining;
      const lastUid = remaining === 0 ? last : (page.uids.at(-1) ?? last);
      known = lastKnown(mails) ?? known;
      const { uidNext } = scope;
      yield { mails, checkpoint: writeCheckpoint({ ...before, lastUid, uidNext, known }), remaining };
    }
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
    return { scope: opened, uids: await findAllUids(context.mailbox, opened, signal) };
  });
  for (const page of pagesOf(uids, options.pageSize)) {
    yield await listPage(context, { scope, folder }, page.uids, options);
  }
}

/** `StoreSession.stillListed`: what either of two answers names is there. */
export async function stillListed(
  context: ListingContext,
  mails: readonly ListedMail[],
  signal: AbortSignal,
): Promise<ReadonlySet<ListedMail>> {
  const there = new Set<ListedMail>();
  for (const group of groupByScope(mails.flatMap((mail) => locate(mail, context.identity) ?? []))) {
    const scope = group[0]?.scope;
    if (scope === undefined) continue;
    await context.connection.exclusive(signal, async () => {
      const opened = await context.mailbox.select(scope.folder, signal, { fresh: true });
      if (!sameFolder(opened, scope)) return;
      const uids = group.map(({ uid }) => uid);
      const { rows } = await context.mailbox.fetchRows(uids, [atom('UID')], signal);
      const searched = await context.mailbox.existing(uids, signal);
      for (const { uid, subject } of group) if (rows.has(uid) || searched.has(uid)) there.add(subject);
    });
  }
  return there;
}

/** Places at the end of a folder whose times are looked at: the order of UIDs is that of arrival, but for copies. */
const LATEST_PLACES = 50;

/** `StoreSession.end`: the last UID, and when the latest mails came by the server's own clock. */
export async function folderEnd(context: ListingContext, folder: string, signal: AbortSignal): Promise<FolderEnd> {
  return context.connection.exclusive(signal, async () => {
    const opened = await openFolder(context, folder, undefined, { signal, fresh: true });
    const { exists = 0, uidNext } = opened;
    const rows =
      exists === 0
        ? []
        : await context.mailbox.rowsAt(
            Math.max(1, exists - LATEST_PLACES + 1),
            exists,
            ['UID', 'INTERNALDATE'],
            signal,
          );
    const times = rows.flatMap(({ receivedAt }) => receivedAt ?? []);
    // The mail that stands last, and not UIDNEXT, which some servers give wrongly.
    const last = Math.max(0, ...(rows.length === 0 ? [(uidNext ?? 1) - 1] : rows.map(({ uid }) => uid)));
    return {
      scope: encodeScope(opened),
      item: encodeItem(last),
      ...(times.length === 0 ? {} : { newestAt: Math.max(...times) }),
    };
  });
}

/** `growth`: each page is so many times as large as the one before, up to `MAX_PAGE`. */
function* pagesOf(uids: readonly number[], pageSize: number, growth = 1) {
  let size = Math.max(Math.floor(pageSize), 1);
  for (let at = 0; at < uids.length; ) {
    const page = uids.slice(at, at + Math.min(size, MAX_PAGE));
    at += page.length;
    yield { uids: page, remaining: uids.length - at };
    size *= growth;
  }
}

const plainItems: readonly CommandNode[] = ['UID', 'RFC822.SIZE', 'INTERNALDATE', 'FLAGS'].map(atom);
// Not ENVELOPE: servers stumble over broken headers there, and one such mail would end the listing.
const detailItems: readonly CommandNode[] = [
  ...plainItems,
  bodyPeek([atom('HEADER.FIELDS'), [atom('MESSAGE-ID'), atom('SUBJECT')]], [0, MAX_DETAIL_OCTETS]),
];

/** A folder by its account's name, and what its UIDs are of. */
interface ListedPlace {
  readonly folder: string;
  readonly scope: ImapScope;
}

async function listPage(
  context: ListingContext,
  place: ListedPlace,
  uids: readonly number[],
  options: ChangesOptions,
): Promise<ListedMail[]> {
  const { signal, details } = options;
  const rows = await context.connection.exclusive(signal, async () => {
    const opened = await context.mailbox.select(place.folder, signal);
    if (opened.uidValidity !== place.scope.uidValidity) {
      throw new StoreError('resync', 'the folder was replaced while it was listed', { code: 'UIDVALIDITY' });
    }
    const { rows, refused } = await context.mailbox.fetchRows(uids, details ? detailItems : plainItems, signal);
    const [refusal] = refused.values();
    if (refusal && rows.size === 0 && (refusal.passing || uids.length > 1)) {
      throw new StoreError('connection', 'the server gives nothing of the mails that it lists', {
        code: refusal.code,
        hint: 'The server lists mails and gives nothing of any. It may pass; its own log says more.',
      });
    }
    return rows;
  });
  // One without an answer is listed all the same: passing over it would lose it if it is still there.
  return uids.map((uid) => listedMail(context.identity, place, uid, rows.get(uid)));
}

function listedMail(store: string, { scope, folder }: ListedPlace, uid: number, row: FetchRow | undefined): ListedMail {
  const { size, receivedAt, flags, body } = row ?? {};
  const source = {
    store,
    scope: encodeScope({ ...scope, folder: canonicalFolder(folder) }),
    item: encodeItem(uid),
  };
  return {
    source,
    folder,
    ...(size === undefined ? {} : { size }),
    ...(receivedAt === undefined ? {} : { receivedAt }),
    ...(flags === undefined ? {} : { draft: flags.has('\\draft') }),
    ...(body ? readDetails(body) : {}),
  };
}
