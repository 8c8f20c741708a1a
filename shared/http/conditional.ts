import { badInput, HttpProblem } from './problem.ts';

type Tags = '*' | readonly string[];

const entityTag = /(?:W\/)?"([\u0021\u0023-\u007e\u0080-\u00ff]*)"/;
const tagList = new RegExp(`^(?:\\s*,)*\\s*${entityTag.source}(?:\\s*,\\s*(?:${entityTag.source})?)*\\s*$`);

/** Longer than any list of tags a client has reason to send; keeps the matching cheap. */
const maxHeaderLength = 8192;

/** Opaque parts of the entity tags of a conditional header (RFC 9110 section 8.8.3). Throws 400 when malformed. */
function parseTags(name: string, header: string): Tags {
  if (header.trim() === '*') return '*';
  if (header.length > maxHeaderLength || !tagList.test(header))
    throw badInput([{ pointer: '', detail: `${name} must be "*" or a list of quoted entity tags` }]);
  return [...header.matchAll(new RegExp(entityTag.source, 'g'))].map((match) => match[1] ?? '');
}

function opaque(etag: string): string {
  return entityTag.exec(etag)?.[1] ?? etag;
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
