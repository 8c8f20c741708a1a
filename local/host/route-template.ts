import { type Constraint, parseConstraint } from './route-constraints.ts';

/** Route values of a match, by parameter name; optional parameters that are absent have no entry. */
export type RouteValues = Readonly<Record<string, string>>;

export interface RouteTemplate {
  readonly text: string;
  /** Matches path segments that are percent-decoded already; literals match in any letter case. */
  match(segments: readonly string[]): RouteValues | undefined;
}

interface Parameter {
  readonly name: string;
  readonly constraints: readonly Constraint[];
  readonly optional: boolean;
  readonly standard: string | undefined;
  readonly catchAll: boolean;
}

type Part = { readonly literal: string } | { readonly parameter: Parameter };

interface Segment {
  /** Set when the whole segment is one parameter. */
  readonly only: Parameter | undefined;
  /** Tried in order: with an optional last part (`{file}.{ext?}`), then without. */
  readonly patterns: readonly RegExp[];
  readonly parameters: readonly Parameter[];
}

/** Longer than any sensible route. */
const MAX_TEMPLATE_LENGTH = 2_000;

/**
 * Compiles a route template of ASP.NET Core: `{p}`, `{p?}`, `{p=default}`, `{*rest}`, `{p:constraint(args)}`, and
 * literals and parameters mixed in one segment. A constraint that fails is no match.
 *
 * @throws when the template is malformed; the function is then in error.
 */
export function compileTemplate(template: string): RouteTemplate {
  if (template.length > MAX_TEMPLATE_LENGTH) throw new Error('the route template is too long');
  const text = template.replace(/^~?\/+/, '').replace(/\/+$/, '');
  const segments = text === '' ? [] : splitSegments(text).map(compileSegment);
  const names = segments.flatMap((segment) => segment.parameters.map((parameter) => parameter.name.toLowerCase()));
  if (new Set(names).size !== names.length) throw new Error(`route "${text}" names a parameter twice`);
  segments.forEach((segment, index) => {
    if (segment.only?.catchAll && index !== segments.length - 1) {
      throw new Error(`route "${text}": a catch-all parameter must come last`);
    }
  });
  return { text, match: (path) => matchSegments(segments, path) };
}

/** Splits at slashes outside braces; doubled braces are kept for parseParts. */
function splitSegments(text: string): readonly string[] {
  const segments: string[] = [];
  let depth = 0;
  let current = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if ((char === '{' || char === '}') && text.charAt(at + 1) === char) {
      current += char + char;
      at += 1;
      continue;
    }
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    if (depth < 0 || depth > 1) throw new Error(`route "${text}" has unbalanced braces`);
    if (char === '/' && depth === 0) {
      segments.push(current);
      current = '';
    } else current += char;
  }
  if (depth !== 0) throw new Error(`route "${text}" has unbalanced braces`);
  segments.push(current);
  if (segments.includes('')) throw new Error(`route "${text}" has an empty segment`);
  return segments;
}

function compileSegment(text: string): Segment {
  const parts = parseParts(text);
  const parameters = parts.flatMap((part) => ('parameter' in part ? [part.parameter] : []));
  const first = parts[0];
  const only = parts.length === 1 && first && 'parameter' in first ? first.parameter : undefined;
  if (!only && parameters.some((parameter) => parameter.catchAll)) {
    throw new Error(`route segment "${text}": a catch-all parameter must be a whole segment`);
  }
  return { only, parameters, patterns: [parts, ...withoutOptional(parts)].map(patternOf) };
}

function patternOf(parts: readonly Part[]): RegExp {
  const source = parts.map((part) => ('parameter' in part ? '(.+)' : escapeRegExp(part.literal))).join('');
  return new RegExp(`^${source}$`, 'is');
}

/** `{file}.{ext?}` also matches without the extension, and then without its dot. */
function withoutOptional(parts: readonly Part[]): readonly (readonly Part[])[] {
  const last = parts.at(-1);
  const before = parts.at(-2);
  if (!last || !('parameter' in last) || !last.parameter.optional || !before || !('literal' in before)) return [];
  if (!before.literal.endsWith('.')) throw new Error('only a dot may stand before an optional parameter in a segment');
  return [[...parts.slice(0, -2), { literal: before.literal.slice(0, -1) }]];
}

function parseParts(segment: string): readonly Part[] {
  const parts: Part[] = [];
  // A parameter is brace-free inside, but for doubled braces (as in regex(^\\d{{2}}$)).
  const token = /\{\{|\}\}|\{((?:\{\{|\}\}|[^{}])*)\}|[^{}]+/g;
  for (const match of segment.matchAll(token)) {
    const [whole, inside] = match;
    if (inside !== undefined) {
      parts.push({ parameter: parseParameter(inside.replaceAll('{{', '{').replaceAll('}}', '}')) });
      continue;
    }
    const literal = whole === '{{' ? '{' : whole === '}}' ? '}' : whole;
    const last = parts.at(-1);
    if (last && 'literal' in last) parts[parts.length - 1] = { literal: last.literal + literal };
    else parts.push({ literal });
  }
  parts.forEach((part, index) => {
    const next = parts[index + 1];
    if (next && 'parameter' in part && 'parameter' in next) {
      throw new Error(`route segment "${segment}": two parameters must be divided by a literal`);
    }
  });
  return parts;
}

function parseParameter(inside: string): Parameter {
  const match = /^(\*{0,2})([^:=?*/{}]+)([\s\S]*)$/.exec(inside);
  const name = match?.[2];
  if (!match || name === undefined) throw new Error(`route parameter "{${inside}}" has no name`);
  let rest = match[3] ?? '';
  const constraints: Constraint[] = [];
  while (rest.startsWith(':')) {
    // A constraint reaches to the end of its argument list, in which `:` and `=` mean nothing.
    const constraint = /^:([a-z]+(?:\([\s\S]*?\)(?=$|[:=?]))?)/i.exec(rest);
    const text = constraint?.[1];
    if (text === undefined) throw new Error(`route parameter "{${inside}}" has a malformed constraint`);
    constraints.push(parseConstraint(text));
    rest = rest.slice(text.length + 1);
  }
  const optional = rest === '?';
  const standard = rest.startsWith('=') ? rest.slice(1) : undefined;
  if (rest !== '' && !optional && standard === undefined) {
    throw new Error(`route parameter "{${inside}}" is malformed`);
  }
  return { name, constraints, optional, standard, catchAll: match[1] !== '' };
}

function matchSegments(segments: readonly Segment[], path: readonly string[]): RouteValues | undefined {
  const values: Record<string, string> = Object.create(null);
  for (const [index, segment] of segments.entries()) {
    const { only } = segment;
    const actual = only?.catchAll ? path.slice(index).join('/') || undefined : path[index];
    if (only && (actual === undefined || actual === '')) {
      // A catch-all matches nothing at all, too.
      if (actual === '' || !(only.optional || only.standard !== undefined || only.catchAll)) return undefined;
      if (only.standard !== undefined && !take(values, only, only.standard)) return undefined;
      continue;
    }
    const found = actual === undefined ? undefined : firstMatch(segment.patterns, actual);
    if (!found) return undefined;
    for (const [at, parameter] of segment.parameters.entries()) {
      const value = found[at + 1] ?? parameter.standard;
      if (value !== undefined && !take(values, parameter, value)) return undefined;
    }
    if (only?.catchAll) return values;
  }
  return path.length > segments.length ? undefined : values;
}

function firstMatch(patterns: readonly RegExp[], text: string): RegExpExecArray | undefined {
  for (const pattern of patterns) {
    const found = pattern.exec(text);
    if (found) return found;
  }
  return undefined;
}

function take(values: Record<string, string>, parameter: Parameter, value: string): boolean {
  values[parameter.name] = value;
  return parameter.constraints.every((constraint) => constraint(value));
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
