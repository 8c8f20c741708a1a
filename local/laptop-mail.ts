import type { MailboxControl } from './graph/graph.ts';
import type { ImapMailbox } from './imap-mailbox/imap-mailbox.ts';
import type { SinkMail } from './smtp-sink.ts';

/** What a laptop's memory can spare for mail that came by SMTP; the IMAP mailbox has the same bounds of its own. */
const defaultBounds = { bytes: 512 * 1024 * 1024, mails: 20_000 };

/**
 * Puts a mail into the mailbox of every recipient who has one: `corpus@anything` is the IMAP user `corpus`, the Graph
 * mailbox has exactly its own address. Throws when a mailbox is full; then no mailbox has got the mail.
 */
export function mailDelivery(
  imap: ImapMailbox,
  graph: MailboxControl | undefined,
  bounds = defaultBounds,
): (mail: SinkMail) => void {
  const inGraph = graph && graphDelivery(graph, bounds);
  return (mail) => {
    const addresses = new Set(mail.to.map((address) => address.toLowerCase()));
    const users = new Set([...addresses].map((address) => address.slice(0, address.lastIndexOf('@'))));
    const forGraph = inGraph && addresses.has(inGraph.address) ? inGraph : undefined;
    forGraph?.checkRoom(mail);
    for (const user of users) imap.deliver(user, mail.bytes, { receivedAt: mail.receivedAt });
    forGraph?.deliver(mail);
  };
}

function graphDelivery(mailbox: MailboxControl, bounds: typeof defaultBounds) {
  /** Bytes of what was delivered here and is still in the mailbox, by immutable id. */
  const delivered = new Map<string, number>();
  return {
    address: mailbox.userPrincipalName.toLowerCase(),
    checkRoom(mail: SinkMail): void {
      let bytes = mail.bytes.length;
      const present = new Set(mailbox.mails().map(({ immutableId }) => immutableId));
      for (const [id, size] of delivered) {
        if (present.has(id)) bytes += size;
        else delivered.delete(id);
      }
      if (bytes > bounds.bytes || delivered.size >= bounds.mails) throw new Error('The Graph mailbox is full');
    },
    deliver(mail: SinkMail): void {
      const { immutableId } = mailbox.deliver(mail.bytes, { receivedAt: mail.receivedAt });
      delivered.set(immutableId, mail.bytes.length);
    },
  };
}
