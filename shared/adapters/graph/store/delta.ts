import { z } from 'zod';
import { parseFolderName } from '../../../accounts/graph-folder-name.ts';
import { systemClock } from '../../../platform/clock.ts';
import { mapConcurrently } from '../../../platform/concurrency.ts';
import { type ChangePage, type ChangesOptions, type Checkpoint, type ListedMail, StoreError } from '../../store.ts';
import { graphPath, graphUrl, nextLink, ownLink } from '../addresses.ts';
import { isMissing, missing } from '../folders.ts';
import { GraphError } from '../graph-error.ts';
import { type MailboxContext, readItem } from '../mailbox.ts';
import { DeltaProgress } from './delta-progress.ts';
import { mayStay } from './idle-links.ts';
import { findListed, listFolder } from './listing.ts';
import { isWhole, listedMail, type MailItem, mailItemSchema, selectFields } from './mail-items.ts';
import { isOwnMark } from './own-marks.ts';
import { isContentFailure, isResync } from './store-errors.ts';

/** Entries of a page of Graph, whatever the caller's pages: fewer requests. They are handed on in the caller's size. */
const roundPage = 100;
/** Tried where a page of the usual size takes Graph too long. */
const modestPage = 20;

/** Updates that are read again at one time. */
const concurrentRereads = 3;

/** A folder named by a path is looked up again after this: folders are renamed, and others take their names. */
const lookUpAgainMs = 24 * 3_600_000;

const pageSchema = z.object({
  value: z.array(mailItemSchema),
  '@odata.nextLink': z.string().nullish(),
  '@odata.deltaLink': z.string().nullish(),
});
type Page = z.output<typeof pageSchema>;

/** What a checkpoint holds. Without a link the round begins at its beginning. */
const stateSchema = z.object({
  folder: z.string().min(1),
  link: z.string().optional(),
  round: z.enum(['full', 'changes']),
  /** The link goes on with a round that has begun: it shows nothing of what came since then. */
  begun: z.literal(1).optional(),
  foundAt: z.number(),
});
type State = z.output<typeof stateSchema>;

const checkpointOf = ({ folder, link, round, begun, foundAt }: State): Checkpoint => ({
  folder,
  round,
  foundAt,
  ...(begun === undefined ? {} : { begun }),
  ...(link === undefined ? {} : { link }),
});

/**
 * `StoreSession.changes` by delta query (Microsoft Learn, "Get incremental changes to messages in a folder"). The link
 * of every page is a checkpoint. `@removed` is passed over: a mail that was moved away looks the same. A round that
 * an earlier run had begun is followed by one of now: whoever asks for an import means the mail that is there.
 */
export async function* listChanges(
  context: MailboxContext,
  folder: string,
  checkpoint: Checkpoint | undefined,
  options: ChangesOptions,
): AsyncGenerator<ChangePage> {
  const saved = await savedState(context, folder, checkpoint, options.signal);
  let state = saved ?? (await newRound(context, folder, options.signal));
  context.folders.note(folder, state.folder);
  let resumed = state.begun === 1;
  const progress = new DeltaProgress(state.link);
  const fullSize = Math.max(roundPage, options.pageSize);
  let size = fullSize;
  for (let first = true; ; ) {
    let page: Page;
    try {
      page = await readPage(context, state, size, options);
    } catch (error) {
      const smaller = smallerPage(error, size);
      if (smaller !== undefined) {
        size = smaller;
      } else if (isMissing(error) && first && saved !== undefined) {
        // The folder of the checkpoint is gone; another one may have its name by now.
        context.folders.forget(folder);
        state = await newRound(context, folder, options.signal);
        first = false;
      } else if (error instanceof GraphError && isContentFailure(error)) {
        yield* compareFolder(context, { folder, state }, options);
        return;
      } else {
        throw changesError(error, folder, state);
      }
      continue;
    }
    first = false;
    size = Math.min(fullSize, size * 4);
    const endless = progress.endlessAfter(
      page.value.map(({ id }) => id),
      page['@odata.nextLink'],
    );
    if (endless !== undefined) {
      yield* compareFolder(context, { folder, state, trouble: `Graph’s changes do not end: ${endless}` }, options);
      return;
    }
    const next = idle(page, state) ? state : nextState(context, state, page);
    const mails = await mailsOf(context, { name: folder, id: state.folder }, page, options);
    yield* inSlices(mails, options.pageSize, state, next);
    if (!page['@odata.nextLink'] && !resumed) return;
    resumed &&= Boolean(page['@odata.nextLink']);
    state = next;
  }
}

/** The state of a checkpoint that is still good for this endpoint and this folder. Throws StoreError `resync`. */
async function savedState(
  context: MailboxContext,
  folder: string,
  checkpoint: Checkpoint | undefined,
  signal: AbortSignal,
): Promise<State | undefined> {
  const parsed = stateSchema.safeParse(checkpoint);
  if (!parsed.success) return undefined;
  const state = parsed.data;
  if (state.link !== undefined && !ownLink(context.client.place, state.link)) {
    throw new StoreError('resync', 'the checkpoint is of another Graph endpoint', { code: 'FOREIGN_HOST' });
  }
  const now = systemClock.now();
  if (parseFolderName(folder)?.kind !== 'path' || Math.abs(now - state.foundAt) < lookUpAgainMs) return state;
  context.folders.forget(folder);
  const found = await context.folders.id(folder, signal);
  return found === state.folder ? { ...state, foundAt: now } : undefined;
}

async function newRound(context: MailboxContext, folder: string, signal: AbortSignal): Promise<State> {
  return { folder: await context.folders.id(folder, signal), round: 'full', foundAt: systemClock.now() };
}

async function readPage(context: MailboxContext, state: State, size: number, options: ChangesOptions): Promise<Page> {
  const { client, userId } = context;
  const url =
    state.link === undefined
      ? graphUrl(client.place, graphPath('users', userId, 'mailFolders', state.folder, 'messages', 'delta'), {
          $select: selectFields(options.details),
        })
      : nextLink(client.place, state.link);
  // The size is a header, and counts for one page only.
  const prefer = [`odata.maxpagesize=${size}`];
  return await client.json({ method: 'GET', url, signal: options.signal, prefer }, pageSchema);
}

/** A page of this many may succeed where one of `size` failed; undefined where size was not the trouble. */
function smallerPage(error: unknown, size: number): number | undefined {
  if (!(error instanceof GraphError)) return undefined;
  if (error.status === 504 && size > modestPage) return modestPage;
  return isContentFailure(error) && size > 1 ? Math.max(1, Math.floor(size / 4)) : undefined;
}

function changesError(error: unknown, folder: string, { link }: State): unknown {
  if (isMissing(error)) return missing(folder, 'does not exist in the mailbox.');
  if (error instanceof GraphError && isResync(error) && link !== undefined) {
    return new StoreError('resync', 'Graph no longer knows the state of the last round', { code: error.code });
  }
  return error;
}

/** Nothing happened since the last round, whose link is good for another one. */
function idle(page: Page, { link, round, begun }: State): boolean {
  const empty = page.value.length === 0 && !page['@odata.nextLink'] && Boolean(page['@odata.deltaLink']);
  return empty && round === 'changes' && begun === undefined && link !== undefined && mayStay(link);
}

function nextState(context: MailboxContext, state: State, page: Page): State {
  const { '@odata.nextLink': next, '@odata.deltaLink': delta } = page;
  const link = next || delta;
  if (!link) {
    throw new StoreError('protocol', 'a page of changes that leads nowhere', { code: 'NO_LINK' });
  }
  nextLink(context.client.place, link);
  const { begun: _, ...rest } = state;
  return next ? { ...rest, link, begun: 1 } : { ...rest, link, round: 'changes' };
}

/** The mails of a page that the service has to decide about. */
async function mailsOf(
  context: MailboxContext,
  folder: { readonly name: string; readonly id: string },
  page: Page,
  options: ChangesOptions,
): Promise<readonly ListedMail[]> {
  const items = new Map<string, MailItem>();
  for (const item of page.value) {
    if (item['@removed'] !== undefined) {
      items.delete(item.id);
      continue;
    }
    // What an update leaves out has not become nothing.
    const given = Object.entries(item).filter(([, value]) => value !== undefined && value !== null);
    items.set(item.id, { ...items.get(item.id), id: item.id, ...Object.fromEntries(given) });
  }
  const wanted = [...items.values()].filter((item) => isWhole(item) || !isOwnMark(context.identity, item.id));
  const missing: MailItem[] = [];
  const whole = await mapConcurrently(wanted, concurrentRereads, async (item) => {
    if (isWhole(item)) return item;
    const now = await reread(context, item, options);
    if (now === undefined) missing.push(item);
    return now && (now.parentFolderId ?? folder.id) === folder.id ? now : undefined;
  });
  // One answer that a mail is not there is no proof: passed over here, it would be lost.
  const listed = await findListed(context, folder.name, missing, options.signal);
  return [...whole, ...listed.values()].flatMap((item) => (item ? [listedMail(item, folder.name, context)] : []));
}

/** An update as the mail is now: what it leaves out decides whether the mail is a draft, and how old. */
async function reread(
  context: MailboxContext,
  item: MailItem,
  { details, signal }: ChangesOptions,
): Promise<MailItem | undefined> {
  try {
    return await readItem(context, item.id, selectFields(details), signal);
  } catch (error) {
    if (error instanceof GraphError && isContentFailure(error)) return item;
    throw error;
  }
}

/** Pages of the caller's size. Until the last one is done the page of Graph is not: its own link stays the checkpoint. */
function* inSlices(mails: readonly ListedMail[], size: number, before: State, after: State): Generator<ChangePage> {
  let from = 0;
  for (; from + size < mails.length; from += size) {
    yield { mails: mails.slice(from, from + size), checkpoint: checkpointOf(before) };
  }
  yield { mails: mails.slice(from), checkpoint: checkpointOf(after) };
}

/**
 * The round cannot get on: one mail fails even the page that holds nothing else, or the pages do not end. The folder is
 * listed instead, for the ledger to say what is new, and the next round is a new one.
 */
async function* compareFolder(
  context: MailboxContext,
  { folder, state, trouble }: { readonly folder: string; readonly state: State; readonly trouble?: string },
  options: ChangesOptions,
): AsyncGenerator<ChangePage> {
  for await (const mails of listFolder(context, folder, options)) {
    yield { mails, checkpoint: checkpointOf(state) };
  }
  const fresh: State = { folder: state.folder, round: 'full', foundAt: state.foundAt };
  yield { mails: [], checkpoint: checkpointOf(fresh), ...(trouble === undefined ? {} : { trouble }) };
}
