import type { Answer, OpenCall, Route } from './call.ts';
import { HttpProblem, problemResponse } from './problem.ts';

/** What no route takes: 404 or 405. */
export async function handle({ param, routes }: OpenCall): Promise<Answer> {
  return problemResponse(unknownRoute(routes, param('path')));
}

/** The problem for a path and method that no route takes: 405 where the path has other methods (RFC 9110 section 15.5.6), else 404. */
export function unknownRoute(routes: readonly Route[], path: string): HttpProblem {
  const segments = segmentsOf(path);
  const methods = routes.filter(({ route }) => matches(segmentsOf(route), segments)).map(({ method }) => method);
  if (methods.length === 0) return new HttpProblem(404, 'Nothing is here. GET /api/health says whether the app works.');
  const allow = [...new Set(methods)].sort().join(', ');
  return new HttpProblem(405, `This path takes ${allow} only.`, { headers: { Allow: allow } });
}

/** One slash at the end does not count, as for the host; no route has an empty segment anywhere else. */
const segmentsOf = (path: string): readonly string[] => path.replace(/\/$/, '').split('/');

function matches(template: readonly string[], path: readonly string[]): boolean {
  const takesRest = template.at(-1)?.startsWith('{*') === true;
  const fixed = takesRest ? template.slice(0, -1) : template;
  return (
    (takesRest ? path.length >= fixed.length : path.length === fixed.length) &&
    fixed.every((segment, index) => {
      const given = path[index] ?? '';
      if (given === '') return false;
      if (!segment.startsWith('{')) return segment.toLowerCase() === given.toLowerCase();
      // The host's int has 32 bits.
      return !segment.endsWith(':int}') || (/^\d{1,10}$/.test(given) && Number(given) < 2 ** 31);
    })
  );
}
