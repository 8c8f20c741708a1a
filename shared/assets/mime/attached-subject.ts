import { decodeWords } from './encoded-words.ts';
import { cleanLine, HeaderBlock } from './header-block.ts';
import { defaultMimeLimits } from './limits.ts';
import { detectLineEnds, findLine, needMore } from './line-ends.ts';

/** Characters of a subject that make a name. */
const MAX_SUBJECT = 200;

/** The decoded Subject of a message whose beginning is `bytes`, or undefined. Its defects are its own. */
export function readAttachedSubject(bytes: Buffer): string | undefined {
  const ends = detectLineEnds(bytes, 0, true);
  if (ends === needMore) return undefined;
  const block = new HeaderBlock(defaultMimeLimits, new Set());
  for (let at = 0; at < bytes.length; ) {
    const found = findLine(bytes, at, ends, true) ?? { end: bytes.length, next: bytes.length };
    if (found.end === at || block.line(bytes.subarray(at, found.end)) === 'notHeader') break;
    at = found.next;
  }
  const subject = block.first('subject');
  if (subject === undefined) return undefined;
  return cleanLine(decodeWords(subject, new Set())).slice(0, MAX_SUBJECT) || undefined;
}
