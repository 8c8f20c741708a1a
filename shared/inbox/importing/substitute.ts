import type { Address, ParsedMail } from '../../mime/mail.ts';

/**
 * What Exchange gives by IMAP and POP3 for a mail that it cannot turn into MIME: a note with no Message-ID and no date,
 * from a sender without an address ("Microsoft Exchange Server 2010"), "Retrieval using the IMAP4 protocol failed for the
 * following message: 752". Its words follow the server's language, so the form decides, or the words where they are known.
 */
const exchangeSender = /^Microsoft Exchange(?: Server)?(?: \d{4})?$/i;
const exchangeSubject = /^Retrieval using the (?:IMAP4|POP3) protocol failed for the following message/i;

/**
 * What Exchange Online puts in place of attachments while Defender scans them ("Dynamic Delivery" of Safe Attachments);
 * the mail is whole some minutes later.
 */
const scanPlaceholder = /^(?:ATP|Safe Attachments) Scan In Progress(?:\.eml)?$/i;

/** Whether a server gave something of its own making in place of the mail, or of its attachments. */
export function isSubstitute({ messageId, date, subject, from, attachments }: ParsedMail): boolean {
  const undated = messageId === undefined && date === undefined;
  const note = undated && (exchangeSubject.test(subject ?? '') || from.some(isExchangeItself));
  return note || attachments.some(({ filename }) => scanPlaceholder.test(filename?.trim() ?? ''));
}

function isExchangeItself({ name, address }: Address): boolean {
  // What is no address may have been read as either.
  return !address.includes('@') && [name, address].some((text) => exchangeSender.test(text.trim()));
}
