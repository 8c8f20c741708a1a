import type { Account } from '../accounts/rules.ts';
import type { ListedMail } from '../adapters/store.ts';
import { HttpProblem } from '../http/problem.ts';
import { toIso } from '../platform/clock.ts';
import { newestFirstId } from '../platform/ids.ts';
import { inLogScope } from '../platform/log.ts';
import { readCheckpoint } from './checkpoints.ts';
import type { InboxContext } from './context.ts';
import { ledgerKey, sourceText } from './keys.ts';
import { knownMails } from './ledger.ts';
import { readPending } from './pending.ts';
import { dueAt } from './rule.ts';
import { arrivals } from './unknown-mails.ts';
import { withSession } from './with-session.ts';
import type { Work } from './work.ts';

/** Mails a dry run lists at most. */
const maxItems = 1_000;

/** A dry run answers while the caller waits; the platform ends the request at 230 s. */
const budgetMs = 120_000;

export interface DryRunItem {
  readonly folder: string;
  readonly sourceId: string;
  readonly messageId: string | null;
  readonly subject: string | null;
  readonly receivedAt: string | null;
  readonly size: number | null;
  readonly action: 'import' | 'importHeaders' | 'skip' | 'retry';
  readonly reason: string;
  /** What would become of the original. */
  readonly disposal: string;
}

/** How long a dry run waits for an import under way, in ms; with its own time it stays below the platform's 230 s. */
const patienceMs = 60_000;

/** What an import would do now; changes nothing. Throws HttpProblem 409 where somebody else works on the account. */
export async function dryRun(
  context: InboxContext,
  account: string,
  options: { readonly folder?: string; readonly signal: AbortSignal },
): Promise<readonly DryRunItem[]> {
  const runId = newestFirstId(context.clock.now());
  const session = { runId, purpose: 'dryRun' as const, budgetMs, patienceMs, ...options };
  const result = await inLogScope({ fields: { account, run: runId } }, () =>
    withSession(context, account, session, async () => undefined, preview),
  );
  if (result.kind === 'busy') {
    throw new HttpProblem(409, `The account is busy (${result.holder.purpose}); try again when that has ended.`);
  }
  if (result.kind === 'full') {
    throw new HttpProblem(409, 'All connections that the account may have are in use; try again in a few seconds.');
  }
  if (result.kind === 'off') {
    throw new HttpProblem(409, 'The account is disabled or has no store.');
  }
  return result.result;
}

async function preview(work: Work): Promise<DryRunItem[]> {
  const pending = new Set((await readPending(work.context, work.name, work)).map((each) => `l:${each.key.slice(2)}`));
  const items: DryRunItem[] = [];
  for (const folder of work.folders) {
    const options = { signal: work.signal, pageSize: 100, details: true };
    for await (const { mails } of work.session.changes(folder, await readCheckpoint(work, folder), options)) {
      const known = await knownMails(work.context.rows, work.name, mails, work);
      const times = await arrivals(work, mails);
      for (const listed of mails) {
        const receivedAt = times.get(listed);
        const mail = receivedAt === undefined ? listed : { ...listed, receivedAt };
        items.push(
          item(work, mail, { known: known.has(ledgerKey(mail.source)), pending: pending.has(ledgerKey(mail.source)) }),
        );
        if (items.length >= maxItems) {
          return items;
        }
      }
    }
  }
  return items;
}

function decide(
  work: Work,
  mail: ListedMail,
  state: { known: boolean; pending: boolean },
): Pick<DryRunItem, 'action' | 'reason'> {
  const { sinceAt, account } = work.stored;
  if (state.known) {
    return { action: 'skip', reason: 'already imported' };
  }
  if (mail.draft) {
    return { action: 'skip', reason: 'a draft' };
  }
  if (sinceAt !== undefined && mail.receivedAt !== undefined && mail.receivedAt < sinceAt) {
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

function item(work: Work, mail: ListedMail, state: { known: boolean; pending: boolean }): DryRunItem {
  const decision = decide(work, mail, state);
  return {
    folder: mail.folder,
    sourceId: sourceText(mail.source),
    messageId: mail.messageId ?? null,
    subject: mail.subject ?? null,
    receivedAt: mail.receivedAt === undefined ? null : toIso(mail.receivedAt),
    size: mail.size ?? null,
    ...decision,
    disposal: disposalText(work.stored.account, decision.action, work.context.clock.now()),
  };
}
