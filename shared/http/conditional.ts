import { badInput } from '../platform/refusal.ts';
import { listMembers } from './header-list.ts';
import { HttpProblem } from './problem.ts';

type Tags = '*' | readonly string[];

const entityTag = /^(?:W\/)?"([\u0021\u0023-\u007e\u0080-\u00ff]*)"$/;

/** Opaque parts of the entity tags of a conditional header (RFC 9110 section 8.8.3). Throws 400 when malformed. */
function parseTags(name: string, header: string): Tags {
  if (header.trim() === '*') return '*';
  const tags = listMembers(header)?.map((member) => entityTag.exec(member)?.[1]);
  const right = tags?.filter((tag) => tag !== undefined) ?? [];
  if (right.length === 0 || right.length !== tags?.length)
    throw badInput([{ pointer: '', detail: `${name} must be "*" or a list of quoted entity tags` }]);
  return right;
}

function opaque(etag: string): string {
  return entityTag.exec(etag)?.[1] ?? etag;
}

/** Whether the caller has this version already (If-None-Match of a GET, RFC 9110 section 13.1.2): the answer is 304. */
export function isNotModified(headers: { get(name: string): string | null }, current: string): boolean {
  const header = headers.get('if-none-match');
  if (header === null) return false;
  const tags = parseTags('If-None-Match', header);
  return tags === '*' || tags.includes(opaque(current));
}

/**
 * Holds If-Match and If-None-Match against what is there now (`current`: its ETag, undefined where there is nothing).
 * Throws HttpProblem 412. Tags are compared by their opaque part: a proxy that compresses marks ours as weak, and each
 * of ours names one version anyway.
 */
export function checkPreconditions(headers: { get(name: string): string | null }, current: string | undefined): void {
  const matches = (tags: Tags) => current !== undefined && (tags === '*' || tags.includes(opaque(current)));
  const ifMatch = headers.get('if-match');
  if (ifMatch !== null && !matches(parseTags('If-Match', ifMatch)))
    throw new HttpProblem(412, 'It is not the version named by If-Match any more.');
  const ifNoneMatch = headers.get('if-none-match');
  if (ifNoneMatch !== null && matches(parseTags('If-None-Match', ifNoneMatch)))
    throw new HttpProblem(412, 'It exists already.');
}
