import { oneLine } from '../../adapters/net/one-line.ts';
import { splitAccountId } from '../../platform/ids.ts';
import { log } from '../../platform/log.ts';
import { type Columns, type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { outcomeRows } from '../delivering/outcome-rows.ts';
import { comparableAddress } from '../finding/comparable.ts';
import { recordKey } from '../keys.ts';
import { eventData, type MessageRecord, type Recipient, recordColumns, recordId, recordOf } from '../record.ts';
import type { BouncedRecipient, BounceReport } from './report.ts';

/** A bounce that was imported. */
export interface Bounce extends BounceReport {
  /** Id of the asset that it is. */
  readonly asset: string;
  /** When it was imported, in ms since the epoch. */
  readonly importedAt: number;
  /** The message that it is about. */
  readonly messageRecord: string;
}

/** Characters kept of what a server said, as of replies. */
const maxReply = 300;

/** Bounces of one message that are known by their assets; of more, the newest. */
const maxBounces = 500;

/** Times that a record is read again which somebody else writes too. */
const maxTries = 10;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Sets the recipients that a bounce names to `bounced`, where the mail was accepted for them or its outcome is uncertain,
 * and publishes `mailroom.message.bounced`. Doing it again, at any time and from anywhere, changes nothing and publishes
 * the same event. Answers false while the message is being delivered, or in doubt: it is to be done later.
 */
export async function markBounced(context: OutboxContext, bounce: Bounce, options: Options): Promise<boolean> {
  const parts = splitAccountId(bounce.messageRecord);
  if (!parts) return true;
  const key = recordKey(parts.localId);
  for (let tries = 0; tries < maxTries; tries += 1) {
    const row = await context.rows.get(parts.account, key, options);
    if (!row) return true;
    const record = recordOf(parts.account, row);
    const known = record.bounces?.find(({ asset }) => asset === bounce.asset);
    if (known) {
      await publish(context, bounce, { record, count: known.recipients }, options);
      return true;
    }
    // Whoever delivers it holds the row, and what has left is not known before the attempt ends.
    if (record.status === 'sending') return false;
    const { marked, count } = withBounce(record, bounce);
    if (count === 0) return true;
    try {
      await context.rows.write(parts.account, [
        { kind: 'replace', key, columns: withDocument(row, marked), etag: row.etag },
        ...outcomeRows(context, { before: record, after: marked }, context.clock.now()),
      ]);
    } catch (error) {
      if (error instanceof RowConflict) continue;
      throw error;
    }
    log.info('outbox.bounced', {
      account: parts.account,
      message: bounce.messageRecord,
      asset: bounce.asset,
      recipients: count,
    });
    await publish(context, bounce, { record: marked, count }, options);
    return true;
  }
  return false;
}

/** A record with what a bounce says of its recipients; `count`: how many it is news for. */
function withBounce(record: MessageRecord, bounce: Bounce): { readonly marked: MessageRecord; readonly count: number } {
  const failed = new Map(bounce.failed.map((each) => [comparableAddress(each.address), each]));
  let count = 0;
  const recipients = record.recipients.map((recipient) => {
    const said = mayBounce(recipient) ? failed.get(comparableAddress(recipient.address)) : undefined;
    if (!said) return recipient;
    count += 1;
    return bouncedRecipient(recipient, said);
  });
  const bounces = [...(record.bounces ?? []), { asset: bounce.asset, recipients: count }].slice(-maxBounces);
  return { marked: { ...record, recipients, bounces }, count };
}

/** Whether the mail has left for a recipient, or may have. What was refused, or has not left, cannot come back. */
function mayBounce({ status }: Recipient): boolean {
  return status === 'accepted' || status === 'uncertain';
}

function bouncedRecipient({ address }: Recipient, { status, diagnostic }: BouncedRecipient): Recipient {
  const reply = oneLine(diagnostic ?? '', maxReply);
  return { address, status: 'bounced', ...(status === null ? {} : { code: status }), ...(reply ? { reply } : {}) };
}

/** A record's row with another document. What else stands in it stays as it is. */
function withDocument({ columns }: Row, record: MessageRecord): Columns {
  const isDocument = ([name]: readonly [string, unknown]) => name.startsWith('json');
  const kept = Object.entries(columns).filter((column) => !isDocument(column));
  return Object.fromEntries([...kept, ...Object.entries(recordColumns(record)).filter(isDocument)]);
}

async function publish(
  { events }: OutboxContext,
  { asset, importedAt }: Bounce,
  { record, count }: { readonly record: MessageRecord; readonly count: number },
  { signal }: Options,
): Promise<void> {
  const { account } = record;
  await events.publish(
    {
      type: 'mailroom.message.bounced',
      account,
      subject: recordId(record),
      occasion: asset,
      time: importedAt,
      data: { ...eventData(record), assetId: asset, recipients: { bounced: count } },
    },
    { signal },
  );
}
