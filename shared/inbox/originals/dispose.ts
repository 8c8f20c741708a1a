import type { Account } from '../../accounts/rules.ts';
import { type Disposal, type DisposalOutcome, type DisposalTarget, StoreError } from '../../adapters/store.ts';
import { errorText, log } from '../../platform/log.ts';
import { type LedgerRow, sourceOf } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type Item, writeItems } from './items.ts';
import { disposals, dueDisposal } from './rule.ts';

/**
 * What became of an original. `none`: nothing was wanted. `canceled`: the account's rule, read again, no longer wants it.
 * `uncertain`: likewise, and an earlier try may have done it. `dropped`: it is not where it was imported from, or is
 * another mail. `refused`: to be tried again.
 */
export type DisposalResult =
  | { readonly outcome: 'none' | 'gone' | 'canceled' }
  | { readonly outcome: 'done' | 'markedOnly' | 'uncertain'; readonly action: Disposal['action'] }
  | { readonly outcome: 'dropped'; readonly action: Disposal['action']; readonly reason: DropReason }
  | { readonly outcome: 'refused'; readonly error: StoreError; readonly answered: boolean; readonly copiedTo?: string };

/** `moved`: in another folder now. `mismatch`: the id names another mail. `elsewhere`: at a server the account left. */
export type DropReason = 'moved' | 'mismatch' | 'elsewhere';

/** The result of disposing of items. */
export interface DisposedItems {
  /** The items that were this run's to dispose of, as their holders stand now. */
  readonly items: readonly Item[];
  /** By ledger key. */
  readonly results: ReadonlyMap<string, DisposalResult>;
  /** The connection, or the server's patience, is at its end: there is no use in going on. */
  readonly stop: boolean;
}

/**
 * Disposes of the originals of items. First it is noted, in one conditional transaction with the rows that stand for
 * them: whoever was stopped, and whose work others have done, ends here. Then the account's rule is read again, and then
 * it is done. Each refusal is its mail's own. Never throws StoreError.
 */
export async function dispose(
  context: ImportContext,
  items: readonly Item[],
  options: { readonly verify: boolean },
): Promise<DisposedItems> {
  const noted = await note(context, items);
  const current = await context.inbox.account(context.account, context.signal);
  const results = new Map<string, DisposalResult>();
  const groups = new Map<string, { readonly steps: readonly Disposal[]; readonly rows: LedgerRow[] }>();
  for (const { wanted, rows } of noted) {
    for (const row of rows) {
      const steps = isToDo(wanted, row) ? stepsOf(context, current?.account, wanted, row) : [];
      results.set(
        row.key,
        steps.length > 0 ? { outcome: 'none' } : withoutSteps(context, wanted, row, current?.account),
      );
      const key = JSON.stringify(steps);
      const group = groups.get(key) ?? { steps, rows: [] };
      group.rows.push(row);
      groups.set(key, group);
    }
  }
  let stop = false;
  for (const { steps, rows } of groups.values()) {
    const final = steps.at(-1)?.action ?? 'markRead';
    for (const step of steps) {
      stop = (await carryOut(context, rows, step, { ...options, final, results })) || stop;
    }
  }
  context.signal.throwIfAborted();
  return { items: noted, results, stop };
}

const isToDo = (wanted: Item['wanted'], row: LedgerRow) => wanted === 'due' || row.todoDispose === true;

function stepsOf(
  context: ImportContext,
  account: Account | undefined,
  wanted: Item['wanted'],
  row: LedgerRow,
): Disposal[] {
  if (!account?.enabled) {
    return [];
  }
  if (wanted === 'now') {
    return disposals(account, context.store.abilities, row.keepOriginal === true);
  }
  const due = dueDisposal(account);
  return due && !row.keepOriginal ? [due] : [];
}

/** A row of which the account's rule wants nothing, now. */
function withoutSteps(
  context: ImportContext,
  wanted: Item['wanted'],
  row: LedgerRow,
  account: Account | undefined,
): DisposalResult {
  if (!isToDo(wanted, row)) {
    return { outcome: 'none' };
  }
  if (row.disposing) {
    // Somebody noted that it would be done, and ended before the result was written.
    const before = stepsOf(context, context.stored.account, wanted, row).at(-1)?.action ?? 'delete';
    return { outcome: 'uncertain', action: before };
  }
  return { outcome: account?.enabled && wanted === 'now' ? 'none' : 'canceled' };
}

/** Only what has an event must be found again after a crash; marking is simply done again. */
async function note(context: ImportContext, items: readonly Item[]): Promise<Item[]> {
  return await writeItems(
    context,
    items,
    (item) => [
      { kind: 'merge', key: item.holder, columns: { notedBy: context.runId }, etag: item.etag },
      ...item.rows
        .filter(
          (row) => isToDo(item.wanted, row) && endsOriginal(stepsOf(context, context.stored.account, item.wanted, row)),
        )
        .map((row) => ({ kind: 'merge' as const, key: row.key, columns: { disposing: true } })),
    ],
    'readAgain',
  );
}

const endsOriginal = (steps: readonly Disposal[]) => steps.some(({ action }) => action !== 'markRead');

interface StepOptions {
  readonly verify: boolean;
  /** The action that the event names. */
  readonly final: Disposal['action'];
  readonly results: Map<string, DisposalResult>;
}

/** One step for rows that are still open. Answers whether there is no use in going on. */
async function carryOut(
  context: ImportContext,
  rows: readonly LedgerRow[],
  disposal: Disposal,
  { verify, final, results }: StepOptions,
): Promise<boolean> {
  // What an earlier step found gone, or was refused, is not asked for again.
  const open = rows.filter((row) => ['none', 'done', 'markedOnly'].includes(results.get(row.key)?.outcome ?? 'none'));
  const here = open.filter((row) => row.store === context.store.identity);
  for (const row of open) {
    // Originals at a server the account no longer points to are out of reach, and must not be looked for on this one.
    if (!here.includes(row)) results.set(row.key, { outcome: 'dropped', action: final, reason: 'elsewhere' });
  }
  if (here.length === 0) {
    return false;
  }
  try {
    const outcomes = await context.session.dispose(here.map(targetOf), disposal, { signal: context.signal, verify });
    for (const [index, row] of here.entries()) {
      results.set(row.key, endedBy(outcomes[index] ?? 'mismatch', row, disposal.action, final));
    }
  } catch (error) {
    if (!(error instanceof StoreError) || context.signal.aborted) {
      throw error;
    }
    for (const row of here) results.set(row.key, { outcome: 'refused', error, answered: false });
  }
  const refusals = here.flatMap((row) => {
    const its = results.get(row.key);
    return its?.outcome === 'refused' ? [its] : [];
  });
  const first = refusals[0];
  if (first) {
    log.warn('inbox.disposalRefused', {
      action: disposal.action,
      mails: refusals.length,
      code: first.error.code ?? first.error.kind,
      error: errorText(first.error),
    });
    context.note(`${disposal.action}: ${first.error.message}`);
  }
  return refusals.some(({ error, answered }) => !answered && passesFor.has(error.kind));
}

/** Trouble of a whole connection or account. */
const passesFor: ReadonlySet<string> = new Set(['connection', 'throttled', 'noConnection', 'signIn']);

function targetOf(row: LedgerRow): DisposalTarget {
  return {
    source: sourceOf(row),
    folder: row.folder,
    sha256: row.sha256,
    ...(row.listedSize === undefined ? {} : { size: row.listedSize }),
    ...(row.receivedAt === undefined ? {} : { receivedAt: row.receivedAt }),
    ...(row.copiedTo === undefined ? {} : { copiedTo: row.copiedTo }),
  };
}

function endedBy(
  outcome: DisposalOutcome,
  row: LedgerRow,
  action: Disposal['action'],
  final: Disposal['action'],
): DisposalResult {
  if (typeof outcome === 'object') {
    const { refused, unanswered = false, copiedTo } = outcome;
    return {
      outcome: 'refused',
      error: refused,
      answered: !unanswered,
      ...(copiedTo === undefined ? {} : { copiedTo }),
    };
  }
  switch (outcome) {
    case 'done':
    case 'markedOnly':
      return action === 'markRead' ? { outcome: 'none' } : { outcome, action };
    case 'gone':
      // By an earlier try that ended before the result was written.
      return row.disposing ? { outcome: 'done', action: final } : { outcome: 'gone' };
    case 'moved':
      // Before a move it may already be in the target folder: the step that moves sees that. An original that should
      // only be marked is left alone.
      return action === 'markRead' ? { outcome: 'none' } : { outcome: 'dropped', action, reason: 'moved' };
    case 'mismatch':
      return final === 'markRead' ? { outcome: 'none' } : { outcome: 'dropped', action: final, reason: 'mismatch' };
  }
}
