import { readAddresses } from './addresses.ts';
import { type AuthenticationResults, readAuthenticationResults } from './authentication-results.ts';
import { parseDate } from './dates.ts';
import { decodeWords } from './encoded-words.ts';
import { cleanLine, type HeaderBlock } from './header-block.ts';
import type { MimeLimits } from './limits.ts';
import type { Defects, ParsedMail } from './mail.ts';
import { firstMessageId, messageIds } from './message-ids.ts';

/** Fields a mail has at most once (RFC 5322 section 3.6). */
const singles = ['from', 'subject', 'date', 'message-id', 'to', 'cc', 'reply-to', 'content-type'];

export type MailHeader = Pick<
  ParsedMail,
  | 'messageId'
  | 'subject'
  | 'from'
  | 'to'
  | 'cc'
  | 'bcc'
  | 'replyTo'
  | 'date'
  | 'inReplyTo'
  | 'references'
  | 'authenticationResults'
>;

/** Reads the header of a mail. A repeated address field adds to the first; of all others the first counts. */
export function readMailHeader(block: HeaderBlock, limits: MimeLimits, defects: Defects): MailHeader {
  for (const name of singles) if (block.all(name).length > 1) defects.add('duplicate-header');
  const addresses = (name: string) => readAddresses(block.all(name), limits.addresses, defects);
  const from = addresses('from');
  if (from.length === 0) defects.add('missing-from');
  const subject = block.first('subject');
  if (subject === undefined) defects.add('missing-subject');
  const dateField = block.first('date') || undefined;
  const date = dateField === undefined ? undefined : parseDate(dateField);
  if (!date?.valid) defects.add(dateField === undefined ? 'missing-date' : 'invalid-date');
  const messageId = firstMessageId(block.first('message-id'));
  if (messageId === undefined) defects.add('missing-message-id');
  const references = messageIds(block.all('references').join(' '));
  if (references.length > limits.references) defects.add('too-many-references');
  return {
    messageId,
    subject: subject === undefined ? undefined : cleanLine(decodeWords(subject, defects)),
    from,
    to: addresses('to'),
    cc: addresses('cc'),
    bcc: addresses('bcc'),
    replyTo: addresses('reply-to'),
    date: date?.instant,
    inReplyTo: firstMessageId(block.first('in-reply-to')),
    // The first names the thread, the last ones the nearest mails (RFC 5322 section 3.6.4).
    references:
      references.length > limits.references
        ? [...references.slice(0, 1), ...references.slice(1 - limits.references)]
        : references,
    authenticationResults: ofReceivingServer(block.ofTopmostHop('authentication-results'), limits),
  };
}

/**
 * What the server that took the mail in says of its sender: its fields are the topmost, under one name. All below came
 * with the mail, and anybody may have written it (RFC 8601 section 7.1).
 */
function ofReceivingServer(fields: readonly string[], limits: MimeLimits): AuthenticationResults[] {
  const all = fields.slice(0, limits.authenticationResults).map(readAuthenticationResults);
  const server = (results: AuthenticationResults | undefined) => results?.authservId?.toLowerCase();
  const other = all.findIndex((results) => server(results) !== server(all[0]));
  return other < 0 ? all : all.slice(0, other);
}
