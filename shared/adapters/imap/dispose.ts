import type { Disposal, DisposalOutcome, DisposalTarget, DisposeOptions } from '../store.ts';
import { StoreError } from '../store.ts';
import type { FetchRow } from './answers.ts';
import { atom, type CommandNode, quoted, sequence } from './commands.ts';
import { encodeFolderName } from './folder-name.ts';
import type { ListingContext } from './listing.ts';
import type { OpenFolder } from './mailbox.ts';
import { canonicalFolder, groupByScope, type Located, locate } from './source-id.ts';
import { uidSets } from './uid-set.ts';

/** What disposing needs of a session: where the trash is. */
export interface DisposalContext extends ListingContext {
  /** The \Trash folder, made where there is none. */
  trashFolder(signal: AbortSignal): Promise<string>;
}

type LocatedTarget = Located<DisposalTarget>;

const silently = (flag: string): readonly CommandNode[] => [atom('+FLAGS.SILENT'), [atom(flag)]];

/**
 * `StoreSession.dispose`: one look at the mails of each folder, then one command for all of them. Neither EXPUNGE without
 * UIDs nor CLOSE is ever sent, since both remove whatever anybody has marked \Deleted.
 */
export async function disposeMails(
  context: DisposalContext,
  targets: readonly DisposalTarget[],
  disposal: Disposal,
  options: DisposeOptions,
): Promise<readonly DisposalOutcome[]> {
  const outcomes = new Map<DisposalTarget, DisposalOutcome>();
  const located: LocatedTarget[] = [];
  for (const target of targets) {
    const found = locate(target, context.identity);
    if (found && canonicalFolder(target.folder) === found.scope.folder) located.push(found);
    else outcomes.set(target, 'mismatch');
  }
  for (const group of groupByScope(located)) {
    await context.connection.exclusive(options.signal, () => disposeGroup(context, group, disposal, options, outcomes));
  }
  return targets.map((target) => outcomes.get(target) ?? 'gone');
}

async function disposeGroup(
  context: DisposalContext,
  group: readonly LocatedTarget[],
  disposal: Disposal,
  { signal, verify }: DisposeOptions,
  outcomes: Map<DisposalTarget, DisposalOutcome>,
): Promise<void> {
  const scope = group[0]?.scope;
  const opened = scope && (await selectSource(context, scope.folder, signal));
  if (scope === undefined || opened === undefined) return;
  if (opened.uidValidity !== scope.uidValidity) {
    for (const { subject } of group) outcomes.set(subject, 'mismatch');
    return;
  }
  const uids = group.map(({ uid }) => uid);
  const items = (verify ? ['UID', 'RFC822.SIZE', 'INTERNALDATE'] : ['UID', 'FLAGS']).map(atom);
  const { rows, refused } = await context.mailbox.fetchRows(uids, items, signal);
  const found: LocatedTarget[] = [];
  for (const one of group) {
    const row = rows.get(one.uid);
    const differs = row !== undefined && verify && !matches(row, one.subject);
    // A mail about which the server answers nothing at all is left alone.
    const outcome = differs || refused.has(one.uid) ? 'mismatch' : row === undefined ? 'gone' : undefined;
    if (outcome) outcomes.set(one.subject, outcome);
    else found.push(one);
  }
  if (found.length === 0) return;
  const outcome = await act(
    context,
    opened,
    found.map(({ uid }) => uid),
    disposal,
    signal,
  );
  for (const { subject } of found) outcomes.set(subject, outcome);
}

/** A folder that is no longer there took its mails along: undefined, and they are gone. */
async function selectSource(
  context: DisposalContext,
  folder: string,
  signal: AbortSignal,
): Promise<OpenFolder | undefined> {
  try {
    return await context.mailbox.select(folder, signal, { writable: true });
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'folderMissing') return undefined;
    throw error;
  }
}

/** What the ledger knows must be what the server says, to the letter. */
function matches(row: FetchRow, target: DisposalTarget): boolean {
  const same = (known: number | undefined, now: number | undefined) => known === undefined || known === now;
  return same(target.size, row.size) && same(target.receivedAt, row.receivedAt);
}

async function act(
  context: DisposalContext,
  opened: OpenFolder,
  uids: readonly number[],
  disposal: Disposal,
  signal: AbortSignal,
): Promise<DisposalOutcome> {
  const { mailbox } = context;
  switch (disposal.action) {
    case 'markRead':
      await mailbox.onUids('UID STORE', uids, silently('\\Seen'), signal);
      return 'done';
    case 'delete':
      if (disposal.mode === 'permanent') return remove(context, uids, signal);
      return moveTo(context, opened, uids, await context.trashFolder(signal), signal);
    case 'move':
      return moveTo(context, opened, uids, canonicalFolder(disposal.folder), signal);
  }
}

/** Marks and expunges by UID (RFC 4315). Without UIDPLUS it only marks. */
async function remove(
  { connection, mailbox }: DisposalContext,
  uids: readonly number[],
  signal: AbortSignal,
): Promise<DisposalOutcome> {
  await mailbox.onUids('UID STORE', uids, silently('\\Deleted'), signal);
  if (!connection.has('UIDPLUS')) return 'markedOnly';
  await mailbox.onUids('UID EXPUNGE', uids, [], signal);
  return 'done';
}

/** UID MOVE (RFC 6851), or a copy and then a removal, set by set, so that a repeated attempt copies little twice. */
async function moveTo(
  context: DisposalContext,
  opened: OpenFolder,
  uids: readonly number[],
  folder: string,
  signal: AbortSignal,
): Promise<DisposalOutcome> {
  // Within one folder a move would make new mails of old ones, to be imported again.
  if (folder === opened.folder) return 'done';
  const { connection, mailbox } = context;
  const target = quoted(encodeFolderName(folder));
  if (connection.has('MOVE')) {
    await mailbox.onUids('UID MOVE', uids, [target], signal).catch(missingTarget(folder));
    return 'done';
  }
  let outcome: DisposalOutcome = 'done';
  for (const set of uidSets(uids)) {
    await mailbox.refusable('UID COPY', [sequence(set), target], signal).catch(missingTarget(folder));
    await mailbox.refusable('UID STORE', [sequence(set), ...silently('\\Deleted')], signal);
    if (connection.has('UIDPLUS')) await mailbox.refusable('UID EXPUNGE', [sequence(set)], signal);
    else outcome = 'markedOnly';
  }
  return outcome;
}

/** A folder to move to is not made: a wrong name in the account must come to the operator's eyes. */
const missingTarget = (folder: string) => (error: unknown) => {
  if (!(error instanceof StoreError) || error.kind !== 'folderMissing') throw error;
  throw new StoreError('folderMissing', `there is no folder ${JSON.stringify(folder)} to move mail to`, {
    ...(error.code === undefined ? {} : { code: error.code }),
    hint: 'Create the folder on the server, or correct moveTo.',
  });
};
