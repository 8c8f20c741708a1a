import { propertyId } from './extended-property.ts';
import { badQuery, GraphRefusal } from './graph-error.ts';

/**
 * `$filter` of messages: comparisons of properties joined by `and`, `or`, `not` and parentheses, and
 * `singleValueExtendedProperties/Any(ep: …)` over the pairs of id and value of a message.
 */

export type Value = string | number | boolean | null;
/** The value of a path such as `from/emailAddress/address`; undefined: there is no such property. */
export type Resolve = (path: string) => Value | undefined;
/** What a filter asks of one message. */
export interface Filterable {
  readonly value: Resolve;
  readonly extendedProperties: () => readonly { readonly id: string; readonly value: string }[];
}

export interface Filter {
  readonly fits: (message: Filterable) => boolean;
  /** In the order of the text, each once. */
  readonly properties: readonly string[];
}

type Test = (message: Filterable, element: Resolve | undefined) => boolean;

const tokenPattern = /\s+|[(),:]|'(?:[^']|'')*'|[A-Za-z0-9_@.+:/-]+|./gy;
/** Far above what a mail client asks for. */
const maxTokens = 200;
const maxDepth = 20;

/** Throws what Graph answers to a filter that it cannot read. */
export function parseFilter(text: string, options: { readonly paths: ReadonlySet<string> }): Filter {
  const tokens = tokenize(text);
  const properties = new Set<string>();
  let at = 0;
  let depth = 0;
  const peek = () => tokens[at]?.toLowerCase();
  const nextToken = () => tokens[at++] ?? '';
  const expect = (token: string) => {
    if (nextToken() !== token) throw invalid();
  };

  function joined(
    word: 'and' | 'or',
    part: (variable: string | undefined) => Test,
    variable: string | undefined,
  ): Test {
    const parts = [part(variable)];
    while (peek() === word) {
      nextToken();
      parts.push(part(variable));
    }
    const every = word === 'and';
    return (message, element) =>
      every ? parts.every((one) => one(message, element)) : parts.some((one) => one(message, element));
  }
  const disjunction = (variable: string | undefined): Test => {
    if (++depth > maxDepth) throw tooComplex();
    const test = joined('or', (inner) => joined('and', negation, inner), variable);
    depth--;
    return test;
  };
  function negation(variable: string | undefined): Test {
    if (peek() !== 'not') return primary(variable);
    nextToken();
    const test = primary(variable);
    return (message, element) => !test(message, element);
  }
  function primary(variable: string | undefined): Test {
    if (peek() === '(') {
      nextToken();
      const test = disjunction(variable);
      expect(')');
      return test;
    }
    const path = nextToken();
    if (/^singleValueExtendedProperties\/any$/i.test(path) && variable === undefined) return any();
    const operator = nextToken().toLowerCase();
    const wanted = literal(nextToken());
    const compare = comparisons[operator];
    if (!compare) throw invalid();
    if (variable !== undefined && path.startsWith(`${variable}/`)) {
      const name = path.slice(variable.length + 1);
      if (name !== 'id' && name !== 'value') throw invalid();
      // Ids are compared in one form: `String 0x007D` is `String 0x7d`.
      if (name === 'id' && typeof wanted === 'string') {
        const id = propertyId(wanted) ?? wanted;
        return (_, element) => compare(element?.(name) ?? null, id);
      }
      return (_, element) => compare(element?.(name) ?? null, wanted);
    }
    const known = [...options.paths].find((one) => one.toLowerCase() === path.toLowerCase());
    if (known === undefined)
      throw badQuery(`Parsing OData Filter failed: there is no property '${path.slice(0, 60)}'.`);
    properties.add(known);
    return (message) => compare(message.value(known) ?? null, wanted);
  }
  function any(): Test {
    properties.add('singleValueExtendedProperties');
    expect('(');
    const variable = nextToken().replace(/:$/, '');
    if (peek() === ':') nextToken();
    const test = disjunction(variable);
    expect(')');
    return (message) =>
      message.extendedProperties().some((one) => test(message, (name) => (name === 'id' ? one.id : one.value)));
  }

  const test = disjunction(undefined);
  if (at !== tokens.length) throw invalid();
  return { fits: (message) => test(message, undefined), properties: [...properties] };
}

function tokenize(text: string): readonly string[] {
  const tokens = [...text.matchAll(tokenPattern)].map(([token]) => token).filter((token) => token.trim() !== '');
  if (tokens.length === 0) throw invalid();
  if (tokens.length > maxTokens) throw tooComplex();
  return tokens;
}

function literal(token: string): Value {
  if (/^'.*'$/s.test(token)) return token.slice(1, -1).replaceAll("''", "'");
  if (/^(true|false)$/i.test(token)) return token.toLowerCase() === 'true';
  if (token === 'null') return null;
  if (/^-?\d+(\.\d+)?$/.test(token)) return Number(token);
  const time = dateTime(token);
  if (time === undefined) throw invalid();
  return time;
}

/** Milliseconds of a literal such as `2026-01-31T08:00:00Z`; a date alone is its midnight. Never quoted in OData 4. */
export function dateTime(token: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,12})?)?(Z|[+-]\d\d:\d\d))?$/.test(token)) return undefined;
  const time = Date.parse(token);
  return Number.isNaN(time) ? undefined : time;
}

const comparisons: Readonly<Record<string, (one: Value, other: Value) => boolean>> = {
  eq: (one, other) => same(one, other),
  ne: (one, other) => !same(one, other),
  gt: (one, other) => ordered(one, other, (order) => order > 0),
  ge: (one, other) => ordered(one, other, (order) => order >= 0),
  lt: (one, other) => ordered(one, other, (order) => order < 0),
  le: (one, other) => ordered(one, other, (order) => order <= 0),
};

/** Exchange compares text without letter case. */
function same(one: Value, other: Value): boolean {
  if (typeof one === 'string' && typeof other === 'string') return one.toLowerCase() === other.toLowerCase();
  return one === other;
}

function ordered(one: Value, other: Value, fits: (order: number) => boolean): boolean {
  if (typeof one === 'number' && typeof other === 'number') return fits(one - other);
  if (typeof one === 'string' && typeof other === 'string') return fits(one.localeCompare(other));
  return false;
}

const invalid = () => badQuery('Parsing OData Filter failed: the expression is not understood.');

/** A filter, or a filter with an order, that the store cannot serve by its indexes. */
export function tooComplex(): GraphRefusal {
  return new GraphRefusal(400, 'InefficientFilter', 'The restriction or sort order is too complex for this operation.');
}
