import { z } from 'zod';
import type { Account } from '../../accounts/rules.ts';
import { type Checkpoint, type ListedMail, StoreError } from '../../adapters/store.ts';
import { toIso } from '../../platform/clock.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { inLogScope } from '../../platform/log.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import type { InboxContext } from '../context.ts';
import { ledgerKey, sourceText } from '../keys.ts';
import { Checkpoints } from '../ledger/checkpoints.ts';
import { knownMails } from '../ledger/ledger.ts';
import { readPending } from '../ledger/pending.ts';
import { dueAt } from '../originals/rule.ts';
import { resultOf } from '../session/asked-now.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type Notes, withSession } from '../session/with-session.ts';
import { FolderFailures } from './folder-failures.ts';
import { pendingLedgerKeys } from './retry.ts';
import { arrivals } from './select-new.ts';
import { StartingPoints } from './starting-points.ts';

/** Mails a dry run lists at most. */
const maxItems = 1_000;

/** A dry run answers while the caller waits; the platform ends the request at 230 s. */
const budgetMs = 120_000;

const dryRunItemSchema = z.object({
  folder: z.string(),
  sourceId: z.string(),
  messageId: z.string().nullable(),
  subject: z.string().nullable(),
  receivedAt: instantSchema.nullable(),
  size: z.int().nullable(),
  action: z.enum(['import', 'importHeaders', 'skip', 'retry']),
  reason: z.string(),
  disposal: z.string().meta({ description: 'What would become of the original.' }),
});
export type DryRunItem = View<typeof dryRunItemSchema>;

/** How long a dry run waits for an import under way, in ms; with its own time it stays below the platform's 230 s. */
const patienceMs = 60_000;

/** What a dry run answers. */
export const dryRunSchema = z
  .object({
    items: z.array(dryRunItemSchema),
    error: z
      .string()
      .optional()
      .meta({ description: 'Which folders could not be gone through, and why; absent where all were.' }),
  })
  .meta({ id: 'DryRun', description: 'What an import would do now.' });
export type DryRun = View<typeof dryRunSchema>;

/**
 * What an import would do now; changes nothing. Each folder fails by itself. Throws Refusal `conflict` where somebody
 * else works on the account, StoreError where no folder could be gone through.
 */
export async function dryRun(
  inbox: InboxContext,
  account: string,
  options: { readonly folder?: string; readonly signal: AbortSignal },
): Promise<DryRun> {
  const runId = newestFirstId(inbox.clock.now());
  const session = { runId, purpose: 'dryRun' as const, budgetMs, patienceMs, ...options };
  const result = await inLogScope({ fields: { account, run: runId } }, () =>
    withSession(inbox, account, session, preview),
  );
  return resultOf(result);
}

async function preview(context: ImportContext, notes: () => Notes): Promise<DryRun> {
  const pendingKeys = pendingLedgerKeys(await readPending(context.inbox, context.account, context));
  const checkpoints = await Checkpoints.read(context);
  const round = { checkpoints, pendingKeys, starts: new StartingPoints(context, checkpoints) };
  const failures = new FolderFailures(context);
  const items: DryRunItem[] = [];
  for (const folder of context.folders) {
    const room = maxItems - items.length;
    if (room === 0) break;
    const found = await failures.attempt(folder, () => previewFolder(context, folder, { ...round, room }), {
      serves: true,
    });
    items.push(...(found ?? []));
  }
  failures.finish(context.folders);
  const { error } = notes();
  return { items, ...(error === undefined ? {} : { error }) };
}

interface DryRound {
  readonly checkpoints: Checkpoints;
  readonly pendingKeys: ReadonlySet<string>;
  readonly starts: StartingPoints;
}

/** The first `room` mails that an import would meet in a folder. */
async function previewFolder(
  context: ImportContext,
  folder: string,
  round: DryRound & { readonly room: number },
): Promise<readonly DryRunItem[]> {
  const checkpoint = round.checkpoints.of(folder);
  try {
    return await take(itemsOf(context, folder, { ...round, checkpoint }), round.room);
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'resync') {
      throw error;
    }
    // As an import does: the folder is gone through from its beginning, against the ledger.
    return await take(itemsOf(context, folder, { ...round, checkpoint: undefined }), round.room);
  }
}

async function take(items: AsyncIterable<DryRunItem>, room: number): Promise<readonly DryRunItem[]> {
  const taken: DryRunItem[] = [];
  for await (const each of items) {
    taken.push(each);
    if (taken.length >= room) break;
  }
  return taken;
}

async function* itemsOf(
  context: ImportContext,
  folder: string,
  { checkpoint, pendingKeys, starts }: DryRound & { readonly checkpoint: Checkpoint | undefined },
): AsyncGenerator<DryRunItem> {
  const options = { signal: context.signal, pageSize: 100, details: true };
  for await (const { mails } of context.session.changes(folder, checkpoint, options)) {
    const known = await knownMails(context.inbox.rows, context.account, mails, context);
    const times = await arrivals(context, mails);
    const unknown = mails.filter((mail) => !known.has(ledgerKey(mail.source)));
    // Where it is still to be noted, the first run finds all of this there.
    const held = starts.isMissing(folder) ? new Set(unknown) : await starts.held(unknown, false);
    for (const listed of mails) {
      const receivedAt = times.get(listed);
      const mail = receivedAt === undefined ? listed : { ...listed, receivedAt };
      const key = ledgerKey(mail.source);
      yield item(context, mail, { known: known.has(key), held: held.has(listed), pending: pendingKeys.has(key) });
    }
  }
}

function decide(
  context: ImportContext,
  mail: ListedMail,
  state: { known: boolean; held: boolean; pending: boolean },
): Pick<DryRunItem, 'action' | 'reason'> {
  const { sinceAt, account } = context.stored;
  if (state.known) {
    return { action: 'skip', reason: 'already imported' };
  }
  if (mail.draft) {
    return { action: 'skip', reason: 'a draft' };
  }
  if (state.held || (sinceAt !== undefined && mail.receivedAt !== undefined && mail.receivedAt < sinceAt)) {
    return { action: 'skip', reason: 'received before the account imports' };
  }
  if (state.pending) {
    return { action: 'retry', reason: 'failed before' };
  }
  if ((mail.size ?? 0) > account.import.maxMessageSize) {
    return { action: 'importHeaders', reason: 'larger than maxMessageSize' };
  }
  return { action: 'import', reason: 'new' };
}

function disposalText(account: Account, action: DryRunItem['action'], now: number): string {
  const { markRead, moveTo, delete: rule, deleteMode } = account.import;
  if (action === 'skip') {
    return 'none';
  }
  const marked = markRead ? ['mark read'] : [];
  if (action === 'importHeaders') {
    return marked[0] ?? 'none';
  }
  const due = dueAt(account, now);
  const last =
    rule === 'immediately'
      ? [`delete (${deleteMode})`]
      : due !== undefined
        ? [`delete (${deleteMode}) at ${toIso(due)}`]
        : moveTo !== null
          ? [`move to ${moveTo}`]
          : [];
  return [...marked, ...last].join(', ') || 'none';
}

function item(
  context: ImportContext,
  mail: ListedMail,
  state: { known: boolean; held: boolean; pending: boolean },
): DryRunItem {
  const decision = decide(context, mail, state);
  return {
    folder: mail.folder,
    sourceId: sourceText(mail.source),
    messageId: mail.messageId ?? null,
    subject: mail.subject ?? null,
    receivedAt: mail.receivedAt === undefined ? null : toIso(mail.receivedAt),
    size: mail.size ?? null,
    ...decision,
    disposal: disposalText(context.stored.account, decision.action, context.inbox.clock.now()),
  };
}
