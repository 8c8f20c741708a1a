import { oneLine } from '../one-line.ts';
import type { Scrub } from '../sasl.ts';

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

/** Reads a reply of one or more lines. Undefined where it does not begin with a three-digit code. */
export function parseReply(raw: string | undefined, scrub: Scrub = (text) => text): SmtpReply | undefined {
  const code = /^([2-5]\d\d)(?!\d)/.exec(raw ?? '')?.[1];
  if (raw === undefined || code === undefined) return undefined;
  const lines = raw.slice(0, MAX_READ_CHARACTERS).split(/\r?\n/);
  const status = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?:\s|$)/.exec(lines[0] ?? '')?.[1];
  const words = lines.map((line, index) => {
    const rest = line.replace(/^\d{3}(?:[ -]|$)/, '');
    // Each line of a reply repeats the status; once is enough.
    return index > 0 && status !== undefined && rest.startsWith(`${status} `) ? rest.slice(status.length + 1) : rest;
  });
  const text = oneLine(scrub(words.join(' ')), MAX_REPLY_CHARACTERS);
  return { code: Number(code), ...(status === undefined ? {} : { status }), text };
}

/** 5yz: the same mail would be refused again (RFC 5321 section 4.2.1). */
export const isPermanent = (reply: SmtpReply): boolean => reply.code >= 500;

const throttleWords =
  /\b(too (many|fast|much|quickly)|rate[ -]?limit\w*|(sending|message|connection|submission) (rate|limit)|throttl\w*|concurren\w*|slow(ed)? down|server (is )?busy|unusual(ly high)? rate|limit(s)? exceeded|exceeded .{0,40}limit)\b/i;

/** A mailbox that is full is its owner's trouble and not a call to slow down. */
const mailboxWords = /\b(mailbox|quota|storage|disk)\b/i;

/**
 * Whether a temporary reply asks to slow down: 432 (Exchange's limit of connections), Exchange Online's 4.7.5xx to
 * 4.7.8xx, or words to that effect. A greylisting `450 4.7.1` is not one: it asks for patience with one mail only.
 */
export function asksToSlowDown(reply: SmtpReply): boolean {
  if (isPermanent(reply)) return false;
  if (reply.code === 432) return true;
  const detail = /^4\.7\.(\d+)$/.exec(reply.status ?? '')?.[1];
  if (detail !== undefined && Number(detail) >= 500) return true;
  if (reply.code === 421 && reply.status?.startsWith('4.7.') === true) return true;
  return throttleWords.test(reply.text) && !mailboxWords.test(reply.text);
}
