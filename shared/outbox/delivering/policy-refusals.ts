import type { OutboxContext } from '../context.ts';
import { recordKey, recordsEnd } from '../keys.ts';
import { type MessageRecord, openStatuses, readableRecord } from '../record.ts';

/** One mail may break a server's rules; as many in a row are refused for who sends them (design section 4.6). */
const inARow = 5;
/** The newest messages looked at: those that were tried last are among them, but for old ones that were tried again. */
const lookedAt = 50;

/** Whether every recipient was refused for policy: status 5.7.x (RFC 3463 section 3.8). */
function refusedByPolicy({ recipients }: Pick<MessageRecord, 'recipients'>): boolean {
  return recipients.every(({ status, reply }) => status === 'rejected' && /^5\.7\.\d/.test(reply ?? ''));
}

/** Whether this mail and the four that were tried before it were all refused for policy. */
export async function keepsBeingRefused(context: OutboxContext, record: MessageRecord): Promise<boolean> {
  if (!refusedByPolicy(record)) return false;
  const tried: MessageRecord[] = [];
  for await (const row of context.rows.range(record.account, recordKey(''), recordsEnd, { top: lookedAt })) {
    const each = readableRecord(record.account, row);
    if (each && each.attempts.length > 0 && each.status !== 'sending') tried.push(each);
  }
  const lastAt = ({ attempts }: MessageRecord) => attempts.at(-1)?.at ?? '';
  tried.sort((a, b) => (lastAt(a) < lastAt(b) ? 1 : -1));
  const last = tried.slice(0, inARow);
  return last.length === inARow && last.every((each) => !openStatuses.includes(each.status) && refusedByPolicy(each));
}
