import type { Receipt, Trouble } from '../../adapters/transport.ts';
import { errorText, log } from '../../platform/log.ts';
import type { OutboxContext } from '../context.ts';
import { type MessageRecord, recordId } from '../record.ts';
import { publishEvent } from './outbox-events.ts';
import { keepsBeingRefused } from './policy-refusals.ts';
import { releaseIfAskedSince, requestRelease } from './release.ts';

/** What an attempt left behind. */
export interface AttemptEnd {
  /** As it was written, with `etag`. */
  readonly record: MessageRecord;
  readonly etag: string;
  readonly receipt: Receipt;
  /** A copy for \Sent is to be made. */
  readonly owesCopy: boolean;
  /** This was no attempt, and says nothing about the account: the mail comes again. */
  readonly requeued: boolean;
}

/**
 * What follows an attempt whose outcome is durable: the event, the next attempt, the copy for \Sent, the health of the
 * account. Never throws: whatever fails here is done again by the recovery timer.
 */
export async function afterAttempt(context: OutboxContext, end: AttemptEnd): Promise<void> {
  const { record, etag, receipt, owesCopy, requeued } = end;
  // The copy comes behind the event, since both write to the record in the end.
  const closing = async () => {
    await publishEvent(context, record, etag, { closesSoon: !owesCopy });
    if (owesCopy) {
      await context.enqueueCopy(recordId(record), 0);
    }
  };
  const tasks: Promise<unknown>[] = [closing()];
  if (record.nextAttemptAt !== undefined) {
    tasks.push(context.enqueue(recordId(record), record.nextAttemptAt - context.clock.now()));
  }
  if (!requeued) {
    tasks.push(noteHealth(context, record, receipt), releaseIfAskedSince(context, record, etag));
  }
  for (const result of await Promise.allSettled(tasks)) {
    if (result.status === 'rejected') {
      log.warn('outbox.afterAttempt', { error: errorText(result.reason) });
    }
  }
}

const policyHint =
  'The server has refused five mails in a row by its policy. Its words say why; ask its operator whether this account or this address of the internet is blocked.';

/** Notes what an attempt says of the account: that it fails, or that it works (again), which releases its waiting mail. */
async function noteHealth(
  context: OutboxContext,
  record: MessageRecord,
  { trouble, recipients }: Receipt,
): Promise<void> {
  const { account } = record;
  if (trouble?.scope === 'account' || (trouble?.scope === 'connection' && staysAway(record))) {
    await context.health.failing(account, 'transport', trouble);
  } else if (await keepsBeingRefused(context, record)) {
    await context.health.failing(account, 'transport', { ...trouble, hint: policyHint });
  } else if (recipients.some(({ outcome }) => outcome === 'accepted') || isVerdict(trouble)) {
    if (await context.health.working(account, 'transport')) await requestRelease(context, account, 'works');
  }
}

/**
 * The server's word on one mail or its recipients: it was reached, and lets the account in. What is refused on this side,
 * without a word of the server, shows nothing.
 */
function isVerdict(trouble: Trouble | undefined): boolean {
  return trouble?.scope === 'message' && trouble.reply !== undefined;
}

/** One lost connection is the network's; as many attempts in a row that reached nobody are the account's trouble. */
const awayAttempts = 3;

function staysAway({ attempts }: MessageRecord): boolean {
  const last = attempts.slice(-awayAttempts);
  return last.length === awayAttempts && last.every(({ outcome }) => outcome === 'deferred');
}
