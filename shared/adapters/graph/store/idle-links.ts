import { createHash } from 'node:crypto';
import { LruMap } from '../../../platform/lru-map.ts';

/** Links remembered per process. */
const maxLinks = 10_000;

const used = new LruMap<string, true>({ max: maxLinks });

/**
 * Whether a delta link that brought nothing may stay the checkpoint, so that an idle poll need not be written down:
 * once, and not again. Each use of a link makes Exchange a newer state, and it keeps only the last few of them
 * (microsoft-graph-docs issue 2162).
 */
export function mayStay(link: string): boolean {
  const key = createHash('sha256').update(link).digest('base64');
  if (used.has(key)) return false;
  used.set(key, true);
  return true;
}
