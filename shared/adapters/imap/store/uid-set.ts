/**
 * Longest sequence set in one command, in characters. Servers must take lines of 8,000 octets (RFC 2683 section
 * 3.2.1.5); half of that leaves room for the rest of the command and for servers that are stricter.
 */
const MAX_SET_LENGTH = 4_000;

/** Ascending UIDs as a sequence set: neighbours as a range (RFC 3501 section 9), such as `1:3,7`. */
export function uidSet(uids: readonly number[]): string {
  return uidRanges(uids).join(',');
}

/** As `uidSet`, in as many sets as the length of a command line asks for; each with the UIDs it holds. */
export function uidSets(uids: readonly number[]): readonly string[] {
  const sets: string[] = [];
  let current = '';
  for (const range of uidRanges(uids)) {
    if (current !== '' && current.length + 1 + range.length > MAX_SET_LENGTH) {
      sets.push(current);
      current = '';
    }
    current = current === '' ? range : `${current},${range}`;
  }
  if (current !== '') sets.push(current);
  return sets;
}

function uidRanges(uids: readonly number[]): readonly string[] {
  const sorted = [...new Set(uids)].sort((a, b) => a - b);
  const ranges: string[] = [];
  let first: number | undefined;
  let last: number | undefined;
  const flush = () => {
    if (first !== undefined && last !== undefined) ranges.push(first === last ? `${first}` : `${first}:${last}`);
  };
  for (const uid of sorted) {
    if (last !== undefined && uid === last + 1) {
      last = uid;
      continue;
    }
    flush();
    first = uid;
    last = uid;
  }
  flush();
  return ranges;
}
