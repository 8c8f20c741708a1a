/** Route values of a match, by parameter name. */
export type RouteValues = Readonly<Record<string, string>>;

export interface RouteTemplate {
  readonly text: string;
  /** Matches path segments that are percent-decoded already; literals match in any letter case. */
  match(segments: readonly string[]): RouteValues | undefined;
}

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter' | 'int' | 'rest'; readonly name: string };

const PARAMETER = /^\{(\*?)([a-z]\w*)(:int)?\}$/i;

/**
 * Compiles a route template of ASP.NET Core, of which this host knows what the app uses: literals, `{name}`,
 * `{name:int}` and, at the end, `{*rest}`, each a whole segment. A value that is no int is no match.
 *
 * @throws for anything else; the function is then in error.
 */
export function compileTemplate(template: string): RouteTemplate {
  const text = template.replace(/^\/+|\/+$/g, '');
  const segments = text === '' ? [] : text.split('/').map((segment) => compileSegment(segment, text));
  const names = segments.flatMap((segment) => (segment.kind === 'literal' ? [] : [segment.name.toLowerCase()]));
  if (new Set(names).size !== names.length) throw new Error(`route "${text}" names a parameter twice`);
  if (segments.slice(0, -1).some(({ kind }) => kind === 'rest')) {
    throw new Error(`route "${text}": a catch-all parameter must come last`);
  }
  return { text, match: (path) => matchSegments(segments, path) };
}

function compileSegment(segment: string, template: string): Segment {
  if (segment !== '' && !/[{}]/.test(segment)) return { kind: 'literal', text: segment.toLowerCase() };
  const [, star, name, int] = PARAMETER.exec(segment) ?? [];
  if (name === undefined || (star === '*' && int !== undefined)) {
    throw new Error(`route "${template}": this host knows literals, {name}, {name:int} and {*rest} only`);
  }
  return { kind: star === '*' ? 'rest' : int === undefined ? 'parameter' : 'int', name };
}

function matchSegments(segments: readonly Segment[], path: readonly string[]): RouteValues | undefined {
  const values: Record<string, string> = Object.create(null);
  for (const [index, segment] of segments.entries()) {
    const actual = path[index];
    if (segment.kind === 'rest') {
      // A catch-all matches nothing at all, too.
      if (actual !== undefined) values[segment.name] = path.slice(index).join('/');
      return values;
    }
    if (actual === undefined || actual === '') return undefined;
    if (segment.kind === 'literal') {
      if (actual.toLowerCase() !== segment.text) return undefined;
      continue;
    }
    if (segment.kind === 'int' && !isInt32(actual)) return undefined;
    values[segment.name] = actual;
  }
  return path.length > segments.length ? undefined : values;
}

/** As .NET's Int32.TryParse, which takes a sign and white space around the number. */
function isInt32(value: string): boolean {
  const number = /^\s*[+-]?\d{1,20}\s*$/.test(value) ? Number(value) : Number.NaN;
  return number >= -(2 ** 31) && number < 2 ** 31;
}
