import { digest } from '../../platform/ids.ts';
import type { RowWrite } from '../../platform/rows.ts';
import type { MessageRecord, MessageStatus } from '../record.ts';
import { comparableAddress } from './comparable.ts';

/**
 * Rows by which a message is found, beside its record in the account's partition. Their keys end with the message's
 * `localId`, so that each kind is sorted as the records are, newest first:
 *
 *   r:{hash of the address}:{localId}     one for each recipient
 *   h:{hash of the Message-ID}:{localId}
 *   e:{localId}                           ended, but not as `sent`; its column `status` says how
 *   y:{localId}                           rows of a record that is still to be written
 *
 * Recipients and Message-IDs are hashed, since row keys cannot hold every character of them. A row is where to look: the
 * record is what counts.
 */
export const findingPrefixes = { recipient: 'r:', messageId: 'h:', ended: 'e:', unwritten: 'y:' } as const;

/** What the keys of all rows of a recipient begin with (see comparable.ts for which addresses are the same). */
export const recipientPrefix = (address: string) =>
  `${findingPrefixes.recipient}${digest(24, comparableAddress(address))}:`;

/** `messageId` with its angle brackets. */
export const messageIdPrefix = (messageId: string) => `${findingPrefixes.messageId}${digest(24, messageId)}:`;

/** Row of a message that has ended, but not as `sent`. */
export const endedKey = (localId: string) => findingPrefixes.ended + localId;

/** Row that stands for rows of a record which is still to be written. */
export const unwrittenKey = (localId: string) => findingPrefixes.unwritten + localId;

/** States that few messages end in, and that are looked for. */
export const rareEnds: readonly MessageStatus[] = ['partiallySent', 'failed', 'canceled', 'uncertain'];

type Found = Pick<MessageRecord, 'localId' | 'messageId' | 'recipients'>;

/** Keys of the rows that stay as long as the record: by Message-ID, and by each recipient. */
export function indexKeys({ localId, messageId, recipients }: Found): readonly string[] {
  const prefixes = [messageIdPrefix(messageId), ...recipients.map(({ address }) => recipientPrefix(address))];
  return [...new Set(prefixes)].map((prefix) => prefix + localId);
}

/** The write of a row by which a message is found: its key says it all. */
export function indexRow(key: string): RowWrite {
  return { kind: 'put', key, columns: {} };
}

/** What is written with a record that ends: the row by which its status is found, where few end so. */
export function endedRows({ localId, status }: Pick<MessageRecord, 'localId' | 'status'>): readonly RowWrite[] {
  return rareEnds.includes(status) ? [{ kind: 'put', key: endedKey(localId), columns: { status } }] : [];
}
