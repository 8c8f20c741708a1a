import { mapConcurrently } from '../../../platform/concurrency.ts';
import type { Disposal, DisposalOutcome, DisposalTarget, DisposeOptions } from '../../store.ts';
import { StoreError } from '../../store.ts';
import { missing } from '../folders.ts';
import { GraphError } from '../graph-error.ts';
import { type MailboxContext, messageUrl, readItem } from '../mailbox.ts';
import { markInBatches } from './mark-in-batches.ts';
import { noteMark } from './own-marks.ts';
import { isGone, storeError } from './store-errors.ts';

const concurrentDisposals = 3;

/** Refusals in a row for trouble of Graph's own, after which the others are not asked for. */
const maxTroubles = 3;

const trash = 'deleteditems';

/**
 * `StoreSession.dispose`. What Graph answers of one mail is that one's outcome. Throws StoreError `folderMissing` for the
 * target of a move, GraphError for what concerns all: no connection, no token, throttling.
 */
export async function disposeMails(
  context: MailboxContext,
  targets: readonly DisposalTarget[],
  disposal: Disposal,
  options: DisposeOptions,
): Promise<readonly DisposalOutcome[]> {
  const { signal } = options;
  const removal = disposal.action === 'markRead' ? undefined : await removalOf(context, disposal, signal);
  const isOwn = ({ source }: DisposalTarget) => source.store === context.identity && source.scope === '';
  // Those that are to be looked at first are asked for alone.
  const together = removal === undefined && !options.verify ? targets.filter(isOwn) : [];
  const ids = together.map(({ source }) => source.item);
  const marked = ids.length > 1 ? await markInBatches(context, ids, signal) : new Set<string>();
  let troubles = 0;
  let last: StoreError | undefined;
  return await mapConcurrently(targets, concurrentDisposals, async (target) => {
    if (!isOwn(target)) return 'mismatch';
    if (marked.has(target.source.item)) return 'done';
    if (last && troubles >= maxTroubles) return { refused: last };
    try {
      const outcome =
        removal === undefined
          ? await markRead(context, target, options)
          : await remove(context, target, removal, options);
      troubles = 0;
      return outcome;
    } catch (error) {
      const refused = refusalOf(error, signal);
      last = refused;
      troubles = refused.kind === 'connection' ? troubles + 1 : 0;
      return { refused };
    }
  });
}

/** How originals are removed. */
interface Removal {
  /** They are deleted for good, where this Graph can. */
  readonly purge: boolean;
  /** The folder that they are moved to otherwise: an id, or the well-known name of the trash. */
  readonly destination: string;
  /** That folder as the account names it; undefined for the trash. */
  readonly moveTo: string | undefined;
}

async function removalOf(
  { folders }: MailboxContext,
  disposal: Exclude<Disposal, { action: 'markRead' }>,
  signal: AbortSignal,
): Promise<Removal> {
  if (disposal.action === 'move') {
    return { purge: false, destination: await folders.id(disposal.folder, signal), moveTo: disposal.folder };
  }
  return { purge: disposal.mode === 'permanent', destination: trash, moveTo: undefined };
}

/** Graph's answer to one mail; throws what concerns all of them. */
function refusalOf(error: unknown, signal: AbortSignal): StoreError {
  if (!(error instanceof GraphError) || error.origin !== 'answer') throw error;
  const refusal = storeError(error, signal);
  if (refusal.kind === 'throttled' || refusal.kind === 'signIn') throw error;
  return refusal;
}

/** Marking harms nobody, so a mail that was fetched a moment ago is not looked at again. */
async function markRead(
  context: MailboxContext,
  target: DisposalTarget,
  { signal, verify }: DisposeOptions,
): Promise<DisposalOutcome> {
  const place = verify ? await look(context, target, signal) : 'here';
  if (place !== 'here') return place === 'gone' ? 'gone' : 'moved';
  const { item } = target.source;
  try {
    await context.client.done({ method: 'PATCH', url: messageUrl(context, item), body: { isRead: true }, signal });
  } catch (error) {
    if (error instanceof GraphError && isGone(error)) return 'gone';
    throw error;
  }
  noteMark(context.identity, item);
  return 'done';
}

/** Deletes or moves, after a look whether the mail is still where it was imported from: a person may have filed it. */
async function remove(
  context: MailboxContext,
  target: DisposalTarget,
  removal: Removal,
  { signal }: DisposeOptions,
): Promise<DisposalOutcome> {
  const place = await look(context, target, signal);
  if (place === 'gone') return 'gone';
  if (place !== 'here') {
    // Where it was to go already: by an attempt whose answer was lost, or by a person.
    const destination = removal.moveTo === undefined ? await context.folders.id(trash, signal) : removal.destination;
    return !removal.purge && place.elsewhere === destination ? 'done' : 'moved';
  }
  const { item } = target.source;
  const purges = removal.purge && context.client.place.permanentDelete;
  if (purges && (await purged(context, item, signal))) return 'done';
  return await move(context, item, removal, signal);
}

/** What is known of a target now: gone, in its folder, or in another one. An immutable id names one mail for good. */
type Place = 'gone' | 'here' | { readonly elsewhere: string };

async function look(context: MailboxContext, { source, folder }: DisposalTarget, signal: AbortSignal): Promise<Place> {
  const item = await readItem(context, source.item, 'id,parentFolderId', signal);
  if (!item) return 'gone';
  const parent = item.parentFolderId ?? '';
  return parent === (await importedFrom(context, folder, signal)) ? 'here' : { elsewhere: parent };
}

/** Undefined where the folder is gone: then nothing is in it any more. */
async function importedFrom(context: MailboxContext, folder: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await context.folders.id(folder, signal);
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'folderMissing') return undefined;
    throw error;
  }
}

/** False where this Graph has no permanentDelete. */
async function purged(context: MailboxContext, item: string, signal: AbortSignal): Promise<boolean> {
  try {
    await context.client.done({ method: 'POST', url: messageUrl(context, item, ['permanentDelete']), signal });
    return true;
  } catch (error) {
    if (!(error instanceof GraphError) || error.origin !== 'answer') throw error;
    // Gone between the look and now.
    if (error.is('ErrorItemNotFound')) return true;
    if (error.status === 404 || error.status === 405 || error.status === 501) return false;
    if (error.status === 400 && /segment|not (found|supported|implemented)/i.test(error.message)) return false;
    throw error;
  }
}

async function move(
  context: MailboxContext,
  item: string,
  { destination: destinationId, moveTo }: Removal,
  signal: AbortSignal,
): Promise<DisposalOutcome> {
  try {
    await context.client.done({
      method: 'POST',
      url: messageUrl(context, item, ['move']),
      body: { destinationId },
      signal,
    });
    return 'done';
  } catch (error) {
    if (!(error instanceof GraphError) || !isGone(error)) throw error;
    // Not found may be said of the mail or of the folder.
    if ((await readItem(context, item, 'id', signal)) === undefined) return 'gone';
    if (moveTo === undefined) throw error;
    context.folders.forget(moveTo);
    throw missing(moveTo, 'does not exist in the mailbox.');
  }
}
