import { LruMap } from '../../../platform/lru-map.ts';

/** Marks remembered per process. An id is some 150 characters. */
const maxMarks = 20_000;

const marks = new LruMap<string, true>({ max: maxMarks });

const keyOf = (identity: string, id: string) => `${identity} ${id}`;

/**
 * Notes that this process marked a mail as read. The mark comes back in the next delta as an update of a mail that is
 * long checked in; to know it spares a request for each.
 */
export function noteMark(identity: string, id: string): void {
  marks.set(keyOf(identity, id), true);
}

/** Whether this process has marked the mail as read, as far as it remembers. */
export function isOwnMark(identity: string, id: string): boolean {
  return marks.has(keyOf(identity, id));
}
