/**
 * Paths of Microsoft Graph in one form. OData writes a key as a segment (`users/x`) or in parentheses (`users('x')`),
 * and a function with or without its parentheses and namespace (`delta`, `delta()`, `microsoft.graph.delta()`).
 */

/** Segments below `/v1.0`, decoded; undefined where the path is none of this service. */
export function graphSegments(pathname: string): readonly string[] | undefined {
  const [, version, ...raw] = pathname.split('/');
  if (version?.toLowerCase() !== 'v1.0' || raw.length === 0) return undefined;
  const segments: string[] = [];
  for (const segment of raw) {
    let text: string;
    try {
      text = decodeURIComponent(segment);
    } catch {
      return undefined;
    }
    // A slash that came encoded belongs to a key, never to the path; an empty segment is nobody's key.
    if (text === '') return undefined;
    const keyed = /^([A-Za-z]+)\('(.*)'\)$/s.exec(text);
    if (keyed?.[1] !== undefined && keyed[2] !== undefined) segments.push(keyed[1], keyed[2].replaceAll("''", "'"));
    else segments.push(text);
  }
  return segments;
}

export interface TemplateMatch {
  /** By the names of the template's parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Compares without letter case, as Graph does with its own names. Keys keep theirs. */
export function matchTemplate(template: string, segments: readonly string[]): TemplateMatch | undefined {
  const parts = template.split('/').slice(1);
  if (parts.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [at, part] of parts.entries()) {
    const segment = segments[at] ?? '';
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    if (name !== undefined) parameters[name] = segment;
    else if (plainName(part) !== plainName(segment)) return undefined;
  }
  return { parameters };
}

function plainName(segment: string): string {
  return segment
    .toLowerCase()
    .replace(/\(\)$/, '')
    .replace(/^microsoft\.graph\./, '');
}
