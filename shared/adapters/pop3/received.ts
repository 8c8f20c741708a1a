/** Header octets looked at: the topmost Received field stands at the beginning, behind a few others at most. */
const MAX_LOOKED_AT = 65_536;

/**
 * When the last server took the mail: the time at the end of the topmost Received field (RFC 5321 section 4.4), in ms
 * since the epoch. The Date field is the sender's word and does not count. Undefined where there is none.
 */
export function receivedTime(header: Buffer): number | undefined {
  const text = header.toString('latin1', 0, MAX_LOOKED_AT).replace(/\r?\n(?=[ \t])/g, '');
  const line = text.split(/\r?\n/).find((candidate) => /^received[ \t]*:/i.test(candidate));
  const time = line
    ?.slice(line.lastIndexOf(';') + 1)
    .replace(/\([^()]*\)/g, ' ')
    .trim();
  if (time === undefined || !line?.includes(';')) return undefined;
  const instant = Date.parse(time);
  return Number.isFinite(instant) ? instant : undefined;
}
