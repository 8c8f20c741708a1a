/** The user of the embedded IMAP mailbox. */
export const mailboxUser = 'corpus';
/** The one mailbox in the stand-in for Graph: its user, and its address, which is not the IMAP mailbox's. */
export const graphUser = 'graph@example.com';
