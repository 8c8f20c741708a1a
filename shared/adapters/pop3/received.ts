import { readDate } from '../../mime/dates.ts';

/** Header octets looked at: the topmost Received field stands at the beginning, behind a few others at most. */
const MAX_LOOKED_AT = 65_536;

/** Semicolons looked at, from the end: some stand in comments behind the time. */
const MAX_SEMICOLONS = 5;

/**
 * When the last server took the mail: the time at the end of the topmost Received field (RFC 5321 section 4.4), in ms
 * since the epoch. The Date field is the sender's word and does not count. Undefined where there is none.
 */
export function receivedTime(header: Buffer): number | undefined {
  const text = header.toString('latin1', 0, MAX_LOOKED_AT).replace(/\r?\n(?=[ \t])/g, '');
  const line = text.split(/\r?\n/).find((candidate) => /^received[ \t]*:/i.test(candidate));
  if (line === undefined) return undefined;
  let end = line.length;
  for (let tried = 0; tried < MAX_SEMICOLONS; tried++) {
    const semicolon = line.lastIndexOf(';', end - 1);
    if (semicolon < 0) return undefined;
    const instant = readDate(line.slice(semicolon + 1));
    if (instant !== undefined) return Date.parse(instant);
    end = semicolon;
  }
  return undefined;
}
