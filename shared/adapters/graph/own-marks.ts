/** Marks remembered per process. An id is some 150 characters. */
const maxMarks = 20_000;

const marks = new Set<string>();

const keyOf = (identity: string, id: string) => `${identity} ${id}`;

/**
 * Notes that this process marked a mail as read. The mark comes back in the next delta as an update of a mail that is
 * long checked in; to know it spares a request for each.
 */
export function noteMark(identity: string, id: string): void {
  const key = keyOf(identity, id);
  marks.delete(key);
  marks.add(key);
  const oldest = marks.values().next();
  if (marks.size > maxMarks && !oldest.done) marks.delete(oldest.value);
}

export function isOwnMark(identity: string, id: string): boolean {
  return marks.has(keyOf(identity, id));
}
