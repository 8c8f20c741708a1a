import { mapConcurrently } from '../../platform/concurrency.ts';
import { normaliseMessageId } from '../composing/message-ids.ts';
import type { OutboxContext } from '../context.ts';
import { comparableAddress } from '../finding/comparable.ts';
import { findMessages, type MessageFilters } from '../finding/find-messages.ts';
import { type MessageRecord, recordId } from '../record.ts';
import type { BounceReport } from './report.ts';

/** Accounts asked at one time. */
const together = 8;

/** Mails with one Message-ID that are looked at: a ready-made mail may be sent several times. */
const sameId = 10;

/** Recipients of a bounce, and the newest mails of each, that are looked at where no mail has its Message-ID. */
const maxRecipients = 3;
const newest = 20;

/** A bounce comes within days: servers give up after five (RFC 5321 section 4.5.4.1). In ms. */
const comesWithinMs = 14 * 86_400_000;

/** Characters of an id that is not found in other words by chance. */
const shortestId = 12;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * The mail of this service that a bounce is about, whichever account it was sent by; undefined where it is about none.
 * It is found by its Message-ID. Where a relay has put another one in its place, it is found by the reply with which the
 * relay took it, if that says the new id: Amazon SES and Exchange Online do. Of several mails with one Message-ID it is
 * the newest one that has a recipient of the bounce.
 */
export async function findBounced(
  context: OutboxContext,
  report: BounceReport,
  options: Options,
): Promise<string | undefined> {
  const messageId = report.messageId === null ? undefined : normaliseMessageId(report.messageId);
  if (messageId === undefined || report.failed.length === 0) return undefined;
  const bounced = new Set(report.failed.map(({ address }) => comparableAddress(address)));
  const wanted = { ...options, top: sameId };
  const same = await inEveryAccount(context, { messageId }, wanted);
  if (same.length > 0) {
    const record = same.find(({ recipients }) =>
      recipients.some(({ address }) => bounced.has(comparableAddress(address))),
    );
    return record && recordId(record);
  }
  const renamed = await findRenamed(context, messageId, [...bounced].slice(0, maxRecipients), options);
  return renamed && recordId(renamed);
}

/** The mail that a relay said to send under this Message-ID. */
async function findRenamed(
  context: OutboxContext,
  messageId: string,
  recipients: readonly string[],
  options: Options,
): Promise<MessageRecord | undefined> {
  const id = messageId.slice(1, messageId.lastIndexOf('@'));
  if (id.length < shortestId) return undefined;
  const since = context.clock.now() - comesWithinMs;
  for (const recipient of recipients) {
    const sent = await inEveryAccount(context, { recipient, since }, { ...options, top: newest });
    const found = sent.find((record) =>
      record.recipients.some(
        ({ address, reply }) => comparableAddress(address) === recipient && reply?.includes(id) === true,
      ),
    );
    if (found) return found;
  }
  return undefined;
}

async function inEveryAccount(
  context: OutboxContext,
  filters: MessageFilters,
  { signal, top }: Options & { readonly top: number },
): Promise<readonly MessageRecord[]> {
  const accounts = await context.accountNames(signal);
  const found = await mapConcurrently(accounts, together, (account) =>
    findMessages(context, account, { ...filters, signal, top }),
  );
  return found.flatMap(({ records }) => records).sort((a, b) => (a.localId < b.localId ? -1 : 1));
}
