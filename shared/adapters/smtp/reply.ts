import { oneLine } from '../net/one-line.ts';
import type { Scrub } from '../redaction.ts';
import type { RawReply } from './reply-reader.ts';

/** A server's reply as it is kept: RFC 5321 section 4.2 code, RFC 3463 status where given, and its words on one line. */
export interface SmtpReply {
  readonly code: number;
  /** Enhanced status code, such as `4.7.1`. */
  readonly status?: string;
  /** The words behind the code, enhanced status included. At most 300 characters, no credentials. */
  readonly text: string;
}

/** What is kept of a reply: enough for every real one, and a bound for the others. */
const MAX_REPLY_CHARACTERS = 300;
/** Characters of a reply looked at: its kept form comes from its beginning. */
const MAX_READ_CHARACTERS = 4_000;

/** A reply as it is kept: its words on one line, without credentials. */
export function keptReply({ code, lines }: RawReply, scrub: Scrub = (text) => text): SmtpReply {
  const status = /^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)/.exec(lines[0] ?? '')?.[1];
  const words = lines.map((line, index) =>
    // Each line of a reply repeats the status; once is enough.
    index > 0 && status !== undefined && line.startsWith(`${status} `) ? line.slice(status.length + 1) : line,
  );
  const text = oneLine(scrub(words.join(' ').slice(0, MAX_READ_CHARACTERS)), MAX_REPLY_CHARACTERS);
  return { code, ...(status === undefined ? {} : { status }), text };
}

/** 5yz: the same mail would be refused again (RFC 5321 section 4.2.1). */
export const isPermanent = (reply: SmtpReply): boolean => reply.code >= 500;

/** 2yz: a positive completion (RFC 5321 section 4.2.1). */
export const isPositive = ({ code }: { readonly code: number }): boolean => code >= 200 && code < 300;

/** 4yz or 5yz: a negative completion (RFC 5321 section 4.2.1). */
export const isNegative = ({ code }: { readonly code: number }): boolean => code >= 400;

const throttleWords =
  /\b(too (many|fast|much|quickly)|rate[ -]?limit\w*|(sending|message|connection|submission) (rate|limit)|throttl\w*|concurren\w*|slow(ed)? down|server (is )?busy|unusual(ly high)? rate|limit(s)? exceeded|exceeded .{0,40}limit)\b/i;

/** A mailbox that is full is its owner's trouble and not a call to slow down. */
const mailboxWords = /\b(mailbox|quota|storage|disk)\b/i;

/**
 * Whether a temporary reply asks to slow down: 432 (Exchange's limit of connections), Exchange Online's 4.7.5xx to
 * 4.7.8xx, or words to that effect. A greylisting `450 4.7.1` is not one: it asks for patience with one mail only.
 */
export function asksToSlowDown(reply: SmtpReply): boolean {
  if (isPermanent(reply) || tooManyRecipients(reply)) return false;
  if (reply.code === 432) return true;
  const detail = /^4\.7\.(\d+)$/.exec(reply.status ?? '')?.[1];
  if (detail !== undefined && Number(detail) >= 500) return true;
  if (reply.code === 421 && reply.status?.startsWith('4.7.') === true) return true;
  return throttleWords.test(reply.text) && !mailboxWords.test(reply.text);
}

/** The sign-in is missing, refused or not safe enough (RFC 4954 section 6), whichever command was answered. */
const signInCodes: ReadonlySet<number> = new Set([530, 535, 538]);
/** Whether a reply says that the sign-in is missing, refused or not safe enough. */
export const refusesSignIn = ({ code }: SmtpReply): boolean => signInCodes.has(code);

/**
 * Whether a reply to a command of a mail is about the account all the same (design section 4.6): it asks for a sign-in, or
 * refuses to send as this sender (5.7.60 is Exchange's "SendAsDenied"; 5.7.0 and 5.7.8 to MAIL, RFC 3463 and RFC 4954).
 */
export function refusesAccount(step: string, reply: SmtpReply): boolean {
  if (refusesSignIn(reply) || reply.status === '5.7.60') return true;
  return step === 'mail' && isPermanent(reply) && (reply.status === '5.7.0' || reply.status === '5.7.8');
}

/** Words for a number of recipients, never for a mailbox that is full. */
const recipientsWords =
  /\btoo many (recipients|rcpt)|\brecipients? (limit|count)|\b(maximum|number) (number )?of recipients/i;

/**
 * Whether a reply says that one mail may not have so many recipients: 452 or, in old servers, 552 (RFC 5321 section
 * 4.5.3.1.10), or the status 4.5.3 or 5.5.3 (RFC 3463 section 3.6). The rest goes in another transaction.
 */
export function tooManyRecipients(reply: SmtpReply): boolean {
  if (/^[45]\.5\.3$/.test(reply.status ?? '')) return true;
  return (reply.code === 452 || reply.code === 552) && recipientsWords.test(reply.text);
}
