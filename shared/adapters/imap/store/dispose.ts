import type { Disposal, DisposalOutcome, DisposalRefused, DisposalTarget, DisposeOptions } from '../../store.ts';
import { StoreError } from '../../store.ts';
import type { FetchRow } from '../answers.ts';
import { atom, type CommandNode, quoted } from '../command-arguments.ts';
import { encodeFolderName } from '../folder-name.ts';
import type { OpenFolder } from '../select-folder.ts';
import { canonicalFolder, groupByScope, type Located, locate, sameFolder } from '../source-id.ts';
import type { ListingContext } from './listing.ts';

/** What disposing needs of a session: where the trash is. */
export interface DisposalContext extends ListingContext {
  /** The \Trash folder, made where there is none. */
  trashFolder(signal: AbortSignal): Promise<string>;
}

type LocatedTarget = Located<DisposalTarget>;

const silently = (flag: string): readonly CommandNode[] => [atom('+FLAGS.SILENT'), [atom(flag)]];

/**
 * `StoreSession.dispose`: one look at the mails of each folder, then one command for all of them; marking harms nobody, and
 * the look at mails that were fetched a moment ago is its answer. Neither EXPUNGE without UIDs nor CLOSE is ever sent, since
 * both remove whatever anybody has marked \Deleted.
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
    const disposing = () => disposeGroup(context, group, disposal, options);
    for (const [target, outcome] of await context.connection.exclusive(options.signal, disposing)) {
      outcomes.set(target, outcome);
    }
  }
  return targets.map((target) => outcomes.get(target) ?? 'gone');
}

/** Outcomes of originals of one folder; those of which it says nothing are gone. */
async function disposeGroup(
  context: DisposalContext,
  group: readonly LocatedTarget[],
  disposal: Disposal,
  { signal, verify }: DisposeOptions,
): Promise<ReadonlyMap<DisposalTarget, DisposalOutcome>> {
  const outcomes = new Map<DisposalTarget, DisposalOutcome>();
  const scope = group[0]?.scope;
  const opened = scope && (await selectSource(context, scope.folder, signal));
  if (scope === undefined || opened === undefined) return outcomes;
  if (!sameFolder(opened, scope)) {
    for (const { subject } of group) outcomes.set(subject, 'mismatch');
    return outcomes;
  }
  if (disposal.action === 'markRead' && !verify) {
    const marked = await markAtOnce(context, group, signal);
    if (marked) return marked;
  }
  const { rows, silent } = await look(context, group, verify ? identityItems : flagItems, signal);
  const found: LocatedTarget[] = [];
  for (const one of group) {
    const row = rows.get(one.uid);
    if (row === undefined) outcomes.set(one.subject, silent.get(one.uid) ?? 'gone');
    else if (verify && isAnother(row, one.subject)) outcomes.set(one.subject, 'mismatch');
    else found.push(one);
  }
  if (found.length === 0) return outcomes;
  const acted = await act(context, opened, found, { disposal, signal });
  for (const { uid, subject } of found) outcomes.set(subject, acted.refused.get(uid) ?? acted.outcome);
  return outcomes;
}

const flagItems = ['UID', 'FLAGS'].map(atom);
const identityItems = ['UID', 'RFC822.SIZE', 'INTERNALDATE'].map(atom);

/** What the server says of mails. */
interface Looked {
  readonly rows: ReadonlyMap<number, FetchRow>;
  /** Mails that are there, and about which the server answers nothing at all: they are left alone. */
  readonly silent: ReadonlyMap<number, DisposalRefused>;
}

async function look(
  { mailbox }: DisposalContext,
  mails: readonly LocatedTarget[],
  items: readonly CommandNode[],
  signal: AbortSignal,
): Promise<Looked> {
  const uids = mails.map(({ uid }) => uid);
  const { rows, refused } = await mailbox.fetchRows(uids, items, signal);
  const withoutAnswer = uids.filter((uid) => !rows.has(uid) && !refused.has(uid));
  // An answer that leaves a mail out may be cut: gone is what SEARCH does not know either.
  const there = withoutAnswer.length === 0 ? new Set<number>() : await mailbox.existing(withoutAnswer, signal);
  const silent = new Map<number, DisposalRefused>();
  for (const uid of uids) {
    const code = refused.get(uid)?.code ?? (there.has(uid) ? 'NO_ANSWER' : undefined);
    if (rows.has(uid) || code === undefined) continue;
    silent.set(uid, { refused: new StoreError('protocol', 'the server says nothing about the mail', { code }) });
  }
  return { rows, silent };
}

/**
 * Marks as read, and sees by the answer which mails are there: the server tells their flags (RFC 3501 section 6.4.6). Those
 * that it does not name are looked at: they are gone, or had the flag before. Undefined where the server refuses them all
 * because one is gone, as some do: then they are looked at first.
 */
async function markAtOnce(
  context: DisposalContext,
  group: readonly LocatedTarget[],
  signal: AbortSignal,
): Promise<ReadonlyMap<DisposalTarget, DisposalOutcome> | undefined> {
  const uids = group.map(({ uid }) => uid);
  const marked = await context.mailbox.addFlag(uids, '\\Seen', signal).catch((error: unknown) => {
    if (error instanceof StoreError && error.kind === 'folderMissing') return undefined;
    throw error;
  });
  if (!marked) return undefined;
  const { named, refused } = marked;
  const unnamed = group.filter(({ uid }) => !named.has(uid));
  const { rows, silent } = unnamed.length === 0 ? nothingToLookAt : await look(context, unnamed, flagItems, signal);
  const outcomeOf = (uid: number): DisposalOutcome => {
    if (named.has(uid)) return 'done';
    const refusal = refused.get(uid);
    if (rows.has(uid)) return refusal ? { refused: refusal } : 'done';
    return silent.get(uid) ?? 'gone';
  };
  return new Map(group.map(({ uid, subject }) => [subject, outcomeOf(uid)]));
}

const nothingToLookAt: Looked = { rows: new Map(), silent: new Map() };

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

/**
 * Within one UIDVALIDITY a UID names one mail for good, and a size or a time that has changed, such as Exchange's
 * estimates, makes no other mail of it. Where both are others the server has used the UID again: after a restore, say.
 */
function isAnother(row: FetchRow, target: DisposalTarget): boolean {
  const differs = (known: number | undefined, now: number | undefined) =>
    known !== undefined && now !== undefined && known !== now;
  return differs(target.size, row.size) && differs(target.receivedAt, row.receivedAt);
}

/** What became of mails, but for those that the server refused. */
interface Acted {
  readonly outcome: 'done' | 'markedOnly';
  readonly refused: ReadonlyMap<number, DisposalRefused>;
}

interface Action {
  readonly disposal: Disposal;
  readonly signal: AbortSignal;
}

async function act(
  context: DisposalContext,
  opened: OpenFolder,
  mails: readonly LocatedTarget[],
  { disposal, signal }: Action,
): Promise<Acted> {
  const { mailbox } = context;
  const uids = mails.map(({ uid }) => uid);
  switch (disposal.action) {
    case 'markRead': {
      const refused = await mailbox.onUids('UID STORE', uids, silently('\\Seen'), { signal });
      return { outcome: 'done', refused: refusals(refused) };
    }
    case 'delete':
      if (disposal.mode === 'permanent') return remove(context, uids, signal);
      return moveTo(context, opened, mails, { folder: await context.trashFolder(signal), signal });
    case 'move':
      return moveTo(context, opened, mails, { folder: canonicalFolder(disposal.folder), signal });
  }
}

/** Marks and expunges by UID (RFC 4315). Without UIDPLUS it only marks. */
async function remove(
  { connection, mailbox }: DisposalContext,
  uids: readonly number[],
  signal: AbortSignal,
): Promise<Acted> {
  const refused = await mailbox.onUids('UID STORE', uids, silently('\\Deleted'), { signal });
  if (!connection.has('UIDPLUS')) return { outcome: 'markedOnly', refused: refusals(refused) };
  const marked = without(uids, refused);
  const kept = await mailbox.onUids('UID EXPUNGE', marked, [], { signal });
  return { outcome: 'done', refused: refusals(new Map([...refused, ...kept])) };
}

interface MoveTarget {
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** UID MOVE (RFC 6851), or where the server has none a copy and then a removal. */
async function moveTo(
  context: DisposalContext,
  opened: OpenFolder,
  mails: readonly LocatedTarget[],
  target: MoveTarget,
): Promise<Acted> {
  const { folder, signal } = target;
  // Within one folder a move would make new mails of old ones, to be imported again.
  if (folder === opened.folder) return { outcome: 'done', refused: new Map() };
  if (!context.connection.has('MOVE')) return copyAndRemove(context, mails, target);
  const uids = mails.map(({ uid }) => uid);
  const refused = await context.mailbox
    .onUids('UID MOVE', uids, [quoted(encodeFolderName(folder))], { signal })
    .catch(missingTarget(folder));
  return { outcome: 'done', refused: refusals(refused) };
}

/** Each mail is copied once: where only its removal fails, the outcome says so, and the next try leaves out the copy. */
async function copyAndRemove(
  context: DisposalContext,
  mails: readonly LocatedTarget[],
  { folder, signal }: MoveTarget,
): Promise<Acted> {
  const uids = mails.map(({ uid }) => uid);
  const toCopy = mails.filter(({ subject }) => subject.copiedTo !== folder).map(({ uid }) => uid);
  const notCopied = await context.mailbox
    .onUids('UID COPY', toCopy, [quoted(encodeFolderName(folder))], { signal })
    .catch(missingTarget(folder));
  const copied = without(uids, notCopied);
  const refused = refusals(notCopied);
  try {
    const removed = await remove(context, copied, signal);
    for (const [uid, refusal] of removed.refused) refused.set(uid, { ...refusal, copiedTo: folder });
    return { outcome: removed.outcome, refused };
  } catch (error) {
    if (!(error instanceof StoreError) || signal.aborted) throw error;
    for (const uid of copied) refused.set(uid, { refused: error, unanswered: true, copiedTo: folder });
    return { outcome: 'done', refused };
  }
}

function refusals(refused: ReadonlyMap<number, StoreError>): Map<number, DisposalRefused> {
  return new Map([...refused].map(([uid, error]) => [uid, { refused: error }]));
}

function without(uids: readonly number[], refused: ReadonlyMap<number, StoreError>): readonly number[] {
  return uids.filter((uid) => !refused.has(uid));
}

/** A folder to move to is not made: the operator must see that the name in the account is wrong. */
const missingTarget = (folder: string) => (error: unknown) => {
  if (!(error instanceof StoreError) || error.kind !== 'folderMissing') throw error;
  throw new StoreError('folderMissing', `there is no folder ${JSON.stringify(folder)} to move mail to`, {
    ...(error.code === undefined ? {} : { code: error.code }),
    hint: 'Create the folder on the server, or correct moveTo.',
  });
};
