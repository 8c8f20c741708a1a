import type { Disposal, DisposalOutcome, DisposalTarget, DisposeOptions } from '../store.ts';
import { StoreError } from '../store.ts';
import { missing } from './folders.ts';
import { GraphError } from './graph-error.ts';
import { receivedAtOf } from './mail-items.ts';
import { type MailboxContext, mapAtOnce, messageUrl, readItem } from './mailbox.ts';
import { noteMark } from './own-marks.ts';
import { isGone } from './store-errors.ts';

const atOnce = 3;

/** Times are kept in whole seconds, and another protocol may have told the time that the ledger holds. */
const sameInstantMs = 2_000;

const trash = 'deleteditems';

/** `StoreSession.dispose`. Throws StoreError `folderMissing` for the target of a move, GraphError for all else. */
export async function disposeMails(
  context: MailboxContext,
  targets: readonly DisposalTarget[],
  disposal: Disposal,
  options: DisposeOptions,
): Promise<readonly DisposalOutcome[]> {
  const { signal } = options;
  const destination = disposal.action === 'move' ? await context.folders.id(disposal.folder, signal) : undefined;
  return await mapAtOnce(targets, atOnce, async (target) => {
    if (target.source.store !== context.identity || target.source.scope !== '') return 'mismatch';
    if (disposal.action === 'markRead') return await markRead(context, target, options);
    return await remove(context, target, disposal, destination, options);
  });
}

/** Marking harms nobody, so a mail that was fetched a moment ago is not looked at again. */
async function markRead(
  context: MailboxContext,
  target: DisposalTarget,
  { signal, verify }: DisposeOptions,
): Promise<DisposalOutcome> {
  const place = verify ? await look(context, target, true, signal) : 'here';
  if (place !== 'here') return place === 'gone' ? 'gone' : 'mismatch';
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
  disposal: Exclude<Disposal, { action: 'markRead' }>,
  destination: string | undefined,
  { signal, verify }: DisposeOptions,
): Promise<DisposalOutcome> {
  const place = await look(context, target, verify, signal);
  if (place === 'gone' || place === 'other') return place === 'gone' ? 'gone' : 'mismatch';
  const purge = disposal.action === 'delete' && disposal.mode === 'permanent';
  if (place !== 'here') {
    // Where it was to go already: by an attempt whose answer was lost, or by a person.
    return !purge && place.elsewhere === (destination ?? (await context.folders.id(trash, signal)))
      ? 'done'
      : 'mismatch';
  }
  const { item } = target.source;
  if (purge && context.client.place.permanentDelete && (await purged(context, item, signal))) return 'done';
  return await move(context, item, disposal, destination ?? trash, signal);
}

/** What is known of a target now: gone, in its folder, in another one, or another mail than the ledger's. */
type Place = 'gone' | 'here' | 'other' | { readonly elsewhere: string };

async function look(
  context: MailboxContext,
  { source, folder, receivedAt }: DisposalTarget,
  verify: boolean,
  signal: AbortSignal,
): Promise<Place> {
  const item = await readItem(context, source.item, 'id,parentFolderId,receivedDateTime', signal);
  if (!item) return 'gone';
  const now = receivedAtOf(item);
  if (verify && receivedAt !== undefined && now !== undefined && Math.abs(now - receivedAt) > sameInstantMs) {
    return 'other';
  }
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
  disposal: Exclude<Disposal, { action: 'markRead' }>,
  destinationId: string,
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
    if (disposal.action !== 'move') throw error;
    context.folders.forget(disposal.folder);
    throw missing(disposal.folder, 'does not exist in the mailbox.');
  }
}
