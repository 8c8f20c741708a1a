import type { HttpFunction } from './function-index.ts';
import type { RouteValues } from './route-template.ts';

export interface RouteMatch {
  readonly fn: HttpFunction;
  readonly values: RouteValues;
}

/** A path deeper than this matches nothing; bounds the work of matching. */
const MAX_SEGMENTS = 200;

/**
 * Tries the functions in the order given, which is name order and not specificity: Azure does the same. A method that
 * does not fit is no match, so it ends as 404 and never as 405.
 */
export function matchRoute(functions: readonly HttpFunction[], method: string, path: string): RouteMatch | undefined {
  const segments = pathSegments(path);
  if (!segments) return undefined;
  for (const fn of functions) {
    if (fn.methods && !fn.methods.has(method.toUpperCase())) continue;
    const values = fn.template.match(segments);
    if (values) return { fn, values };
  }
  return undefined;
}

/** Percent-decoded segments; an encoded slash stays encoded, and one trailing slash does not count (ASP.NET Core). */
function pathSegments(path: string): readonly string[] | undefined {
  const trimmed = path.replace(/^\//, '').replace(/\/$/, '');
  if (trimmed === '') return [];
  const segments = trimmed.split('/');
  return segments.length > MAX_SEGMENTS ? undefined : segments.map(decode);
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment.replace(/%2f/gi, '%252F'));
  } catch {
    return segment;
  }
}
