import type { Row, RowWrite } from '../../platform/rows.ts';
import { bounceDone, markBounces } from '../bounces/bounces.ts';
import { droppedKey, prefixes } from '../keys.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type DisposalResult, dispose } from './dispose.ts';
import { publishCheckedIn, publishDisposed } from './events.ts';
import { type Item, isAlone, itemsOf, ledgerKeysOf, writeItems } from './items.ts';
import { refusedDue, refusedRow, reportRefusals } from './refused.ts';

/** Mails finished together: one command each way, and one transaction for what is written about them. */
const mailsPerGroup = 32;

/**
 * What comes after a commit: a bounce is passed on to its message, then the event, then the disposal of the original as
 * the account's rule says now, its event, and then the rows are cleared. A crash anywhere leaves the row that stands for
 * it, and whoever comes next does it again. `verify`: the mails were fetched in another session. Answers whether there is
 * no use in going on.
 */
export async function finish(
  context: ImportContext,
  items: readonly Item[],
  options: { readonly verify: boolean },
): Promise<{ readonly stop: boolean }> {
  return await finishOriginals(context, await publishItems(context, items), options);
}

/** The first half of `finish`: bounces, and the events of the mails. Answers the items that may go on. */
export async function publishItems(context: ImportContext, items: readonly Item[]): Promise<readonly Item[]> {
  const later = await passOn(
    context,
    items.flatMap((item) => item.rows),
  );
  // Of what is to be done later, the row that stands for it stays.
  return items.filter((item) => item.rows.every(({ key }) => !later.has(key)));
}

/** The second half of `finish`, for items whose events were published. */
export async function finishOriginals(
  context: ImportContext,
  ready: readonly Item[],
  options: { readonly verify: boolean },
): Promise<{ readonly stop: boolean }> {
  const open = ready.filter(isOpen);
  await close(
    context,
    ready.filter((item) => !isOpen(item)),
    new Map(),
  );
  if (open.length === 0) {
    return { stop: false };
  }
  const disposed = await dispose(context, open, options);
  const its = disposed.items.flatMap((item) => item.rows);
  // The event before the rows: a crash between them repeats an event, and never loses one.
  await publishDisposed(context, its, disposed.results);
  context.counts.disposed += its.filter((row) => isDisposed(disposed.results.get(row.key))).length;
  await close(context, disposed.items, disposed.results);
  return { stop: disposed.stop };
}

/** Passes bounces on, then publishes events. Answers the ledger keys of those that wait, with their events, for later. */
async function passOn(context: ImportContext, rows: readonly LedgerRow[]): Promise<ReadonlySet<string>> {
  // Before the event: who hears of an asset may delete it, and with it what the bounce says.
  const later = await markBounces(context, rows);
  await publishCheckedIn(
    context,
    rows.filter(({ key }) => !later.has(key)),
  );
  return later;
}

function isOpen({ wanted, rows }: Item): boolean {
  return wanted === 'due' ? rows.length > 0 : rows.some((row) => row.todoDispose);
}

function isDisposed(ended: DisposalResult | undefined): boolean {
  return ended?.outcome === 'done' || ended?.outcome === 'markedOnly';
}

/** Ends the rows that stand for items, and writes down what became of each mail. */
async function close(
  context: ImportContext,
  items: readonly Item[],
  results: ReadonlyMap<string, DisposalResult>,
): Promise<void> {
  await writeItems(
    context,
    items,
    (item) => [
      { kind: 'delete', key: item.holder, etag: item.etag },
      ...item.rows.flatMap((row) => closing(context, item, row, results.get(row.key) ?? { outcome: 'none' })),
    ],
    'leave',
  );
}

function closing(context: ImportContext, item: Item, row: LedgerRow, ended: DisposalResult): RowWrite[] {
  if (ended.outcome === 'refused') {
    // Without an answer it may have been done: the note stays.
    const { answered, copiedTo } = ended;
    const columns = {
      todoEvent: false,
      ...bounceDone(row),
      ...(answered ? { disposing: false } : {}),
      ...(copiedTo === undefined ? {} : { copiedTo }),
    };
    return [{ kind: 'merge', key: row.key, columns }, refusedRow(context, item, row.key, ended)];
  }
  const disposed = ended.outcome === 'dropped' ? ended.reason : ended.outcome;
  const merge: RowWrite = {
    kind: 'merge',
    key: row.key,
    columns: {
      todoEvent: false,
      ...bounceDone(row),
      todoDispose: false,
      disposing: false,
      ...(disposed === 'none' ? {} : { disposed }),
    },
  };
  if (ended.outcome !== 'dropped') {
    return [merge];
  }
  const now = context.inbox.clock.now();
  const columns = { ledger: row.key, at: now, reason: ended.reason };
  return [merge, { kind: 'put', key: droppedKey(now, row.key), columns }];
}

/** Publishes the events of pages that were committed and not finished, and passes on bounces: this needs no mail server. */
export async function publishUnfinished(context: ImportContext, rows: readonly Row[]): Promise<void> {
  for await (const items of groupsOf(context, rows)) {
    const unpublished = items.filter((item) => item.rows.some((row) => row.todoEvent || row.todoBounce));
    const later = await passOn(
      context,
      unpublished.flatMap((item) => item.rows),
    );
    await writeItems(
      context,
      unpublished,
      (item) => [
        { kind: 'merge', key: item.holder, columns: { published: true }, etag: item.etag },
        ...item.rows
          .filter((row) => !later.has(row.key))
          .map((row) => ({
            kind: 'merge' as const,
            key: row.key,
            columns: { todoEvent: false, ...bounceDone(row) },
          })),
      ],
      'leave',
    );
  }
}

/** Finishes what was committed, or rebound, and not finished: by a run that did not live to, or a moment ago. */
export async function finishUnfinished(context: ImportContext): Promise<void> {
  const { inbox, account, signal } = context;
  const rows: Row[] = [];
  for await (const row of inbox.rows.prefix(account, prefixes.unfinished, { signal })) {
    rows.push(row);
  }
  await finishAll(context, rows, () => true);
}

/**
 * Tries refused disposals again whose pause is over; after an import, never before one. One that ended with the connection
 * is tried by itself, and where it does so again the others wait for the next run.
 */
export async function retryRefused(context: ImportContext, mayContinue: () => boolean): Promise<void> {
  const rows = await refusedDue(context);
  if (rows.length > 0) {
    await finishAll(context, rows, mayContinue);
    await reportRefusals(context);
  }
}

/** Finishes what rows stand for. Answers false where it ended before the last. */
export async function finishAll(
  context: ImportContext,
  rows: readonly Row[],
  mayContinue: () => boolean,
): Promise<boolean> {
  for await (const items of groupsOf(context, rows)) {
    if (!mayContinue() || (await finish(context, items, { verify: true })).stop) {
      return false;
    }
  }
  return true;
}

/** Items in groups of mails that are finished together; those that are to be tried alone come last, and are. */
async function* groupsOf(context: ImportContext, rows: readonly Row[]): AsyncGenerator<readonly Item[]> {
  let together: Row[] = [];
  let mails = 0;
  for (const row of rows.filter((each) => !isAlone(each))) {
    const its = ledgerKeysOf(row).length;
    if (together.length > 0 && mails + its > mailsPerGroup) {
      yield await itemsOf(context, together);
      together = [];
      mails = 0;
    }
    together.push(row);
    mails += its;
  }
  if (together.length > 0) {
    yield await itemsOf(context, together);
  }
  for (const row of rows.filter(isAlone)) {
    yield await itemsOf(context, [row]);
  }
}
