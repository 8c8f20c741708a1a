import { readAddresses } from './addresses.ts';
import { decodeWords } from './encoded-words.ts';
import { cleanLine, HeaderBlock } from './header-block.ts';
import { defaultMimeLimits } from './limits.ts';
import { detectLineEnds, findLine, needMore } from './line-ends.ts';
import type { Address } from './mail.ts';
import { firstMessageId } from './message-ids.ts';

/** Characters of a subject that make a name. */
const MAX_SUBJECT = 200;

/** The decoded Subject of a message whose beginning is `bytes`, or undefined. Its defects are its own. */
export function readAttachedSubject(bytes: Buffer): string | undefined {
  const subject = headerOf(bytes)?.first('subject');
  if (subject === undefined) return undefined;
  return cleanLine(decodeWords(subject, new Set())).slice(0, MAX_SUBJECT) || undefined;
}

/** The Message-ID of a message whose beginning is `bytes`, or undefined. */
export function readAttachedMessageId(bytes: Buffer): string | undefined {
  return firstMessageId(headerOf(bytes)?.first('message-id'));
}

/** The recipients of a message that begins with `bytes`: at most two, which is enough to see whether there is one only. */
export function readAttachedRecipients(bytes: Buffer): readonly Address[] {
  return readAddresses(headerOf(bytes)?.all('to') ?? [], 2, new Set());
}

function headerOf(bytes: Buffer): HeaderBlock | undefined {
  let start = 0;
  while (start < bytes.length && (bytes[start] === 0x0a || bytes[start] === 0x0d)) start++;
  const ends = detectLineEnds(bytes, start, true);
  if (ends === needMore) return undefined;
  const block = new HeaderBlock(defaultMimeLimits, new Set());
  for (let at = start; at < bytes.length; ) {
    const found = findLine(bytes, at, ends, true) ?? { end: bytes.length, next: bytes.length };
    if (found.end === at || block.line(bytes.subarray(at, found.end)) === 'notHeader') break;
    at = found.next;
  }
  return block;
}
