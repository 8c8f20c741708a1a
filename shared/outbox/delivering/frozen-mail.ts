import { Readable } from 'node:stream';
import { needsSmtpUtf8 } from '../../accounts/address.ts';
import type { FrozenMail } from '../../adapters/transport.ts';
import { defined } from '../../platform/defined.ts';
import type { OutboxContext } from '../context.ts';
import { type MessageRecord, recordId } from '../record.ts';
import { heldBelow, openMime } from '../stored-mime.ts';

/** A record's mail as a transport gets it, for some of its recipients; `text`: where it was read already. */
export function frozenMail(
  context: OutboxContext,
  record: MessageRecord,
  to: readonly string[],
  text?: Buffer,
): FrozenMail {
  const { from, dsn } = record.envelope;
  return {
    id: recordId(record),
    messageId: record.messageId,
    envelope: { from, to, ...(dsn ? { dsn: defined(dsn) } : {}) },
    bcc: record.bcc,
    headerFrom: record.headerFrom,
    date: Date.parse(record.date ?? record.createdAt),
    // Of all recipients: those who have it already are named in its headers all the same.
    smtpUtf8: [from, ...record.recipients.map(({ address }) => address)].some(needsSmtpUtf8),
    size: record.size,
    open: async (signal) => (text ? Readable.from([text]) : await openMime(context, record, signal)),
  };
}

/** The mail with its bytes on their way already, where they are few. */
export function readAhead(mail: FrozenMail, signal: AbortSignal): FrozenMail {
  if (mail.size > heldBelow) {
    return mail;
  }
  const opened = mail.open(signal);
  // A failure is met by whoever opens it; it may be that nobody does.
  opened.catch(() => undefined);
  let first = true;
  return {
    ...mail,
    open: (again) => {
      const use = first ? opened : mail.open(again);
      first = false;
      return use;
    },
  };
}
