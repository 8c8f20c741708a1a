import { readAddresses } from './addresses.ts';
import { readDate } from './dates.ts';
import { decodeWords } from './encoded-words.ts';
import { cleanLine, type HeaderBlock } from './header-block.ts';
import type { MimeLimits } from './limits.ts';
import type { Defects, ParsedMail } from './mail.ts';

/** A Message-ID fits a line (RFC 5322 section 2.1.1). */
const MAX_MESSAGE_ID = 998;

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

/** What the header of a mail tells. A repeated address field adds to the first; of all others the first counts. */
export function readMailHeader(block: HeaderBlock, limits: MimeLimits, defects: Defects): MailHeader {
  for (const name of singles) if (block.all(name).length > 1) defects.add('duplicate-header');
  const addresses = (name: string) => readAddresses(block.all(name), limits.addresses, defects);
  const from = addresses('from');
  if (from.length === 0) defects.add('missing-from');
  const subject = block.first('subject');
  if (subject === undefined) defects.add('missing-subject');
  const dateField = block.first('date') || undefined;
  const date = dateField === undefined ? undefined : readDate(dateField);
  if (date === undefined) defects.add(dateField === undefined ? 'missing-date' : 'invalid-date');
  const messageId = firstId(block.first('message-id'));
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
    date,
    inReplyTo: firstId(block.first('in-reply-to')),
    // The first names the thread, the last ones the nearest mails (RFC 5322 section 3.6.4).
    references:
      references.length > limits.references
        ? [...references.slice(0, 1), ...references.slice(1 - limits.references)]
        : references,
    authenticationResults: block.all('authentication-results').slice(0, limits.authenticationResults),
  };
}

function messageIds(text: string): string[] {
  return text.match(/<[^<>\s]{1,996}>/g) ?? [];
}

/** The first id in angle brackets; without any, the value as it stands. Undefined where there is nothing. */
function firstId(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const found = messageIds(text)[0] ?? text.slice(0, MAX_MESSAGE_ID).trim();
  return found === '' || found === '<>' ? undefined : found;
}
