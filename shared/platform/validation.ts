import { z } from 'zod';
import { badInput, type Mistake } from './refusal.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** An instant in an answer: RFC 3339, in UTC. */
export const instantSchema = z.iso.datetime();

/** A pointer is echoed to the caller: a field name of a megabyte is not. */
const maxSegment = 100;

/** RFC 6901 section 3: `~` and `/` are escaped. */
export function toPointer(path: Path): string {
  return path
    .map((part) => `/${String(part).slice(0, maxSegment).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

function isRecord(value: unknown): value is Readonly<Record<PropertyKey, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** The value at a path of unchecked JSON, or undefined. */
export function peek(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (current, part) => (isRecord(current) && Object.hasOwn(current, part) ? current[part] : undefined),
    value,
  );
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  null: 'null',
};

/** True for "this is not even the right type": such branches of a union say nothing about what the caller meant. */
function isWrongType(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union') return issue.errors.length > 0 && issue.errors.every(hasWrongType);
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

function hasWrongType(branch: readonly Issue[]): boolean {
  return branch.some(isWrongType);
}

function listed(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value) ?? String(value)).join(' or ');
}

function expectations(branches: readonly (readonly Issue[])[]): string {
  const expected = branches.flat().flatMap((issue): readonly string[] => {
    if (issue.code === 'invalid_type') return [typeNames[issue.expected] ?? issue.expected];
    if (issue.code === 'invalid_value') return [listed(issue.values)];
    if (issue.code === 'invalid_union') return [expectations(issue.errors)];
    return [];
  });
  return [...new Set(expected)].join(' or ');
}

/** What a schema says in its own words goes before the general wording. */
function ownWords(issue: Issue): string | undefined {
  return /^Invalid (input|option)/.test(issue.message) ? undefined : issue.message;
}

/** zod's issues, unions opened, as flat mistakes. Only field names of the input are repeated, never values. */
function toMistakes(issues: readonly Issue[], input: unknown, prefix: Path): readonly Mistake[] {
  return issues.flatMap((issue): readonly Mistake[] => {
    const path = [...prefix, ...issue.path];
    const value = peek(input, issue.path);
    const here = (detail: string): readonly Mistake[] => [{ pointer: toPointer(path), detail }];
    const given = value !== undefined;
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({ pointer: toPointer([...path, key]), detail: 'unknown field' }));
      case 'invalid_type':
        return here(
          given ? (ownWords(issue) ?? `must be ${typeNames[issue.expected] ?? issue.expected}`) : 'is required',
        );
      case 'invalid_value':
        return here(given ? (ownWords(issue) ?? `must be ${listed(issue.values)}`) : 'is required');
      case 'invalid_key':
        return here(issue.issues.map(({ message }) => message).join(', '));
      case 'invalid_union': {
        if (!given) return here('is required');
        if (issue.errors.length === 0) return here(issue.message);
        // The branch the caller meant is the one that got past the type; of several, the one with fewest mistakes.
        const meant = issue.errors.filter((branch) => !hasWrongType(branch)).sort((a, b) => a.length - b.length)[0];
        return meant === undefined ? here(`must be ${expectations(issue.errors)}`) : toMistakes(meant, value, path);
      }
      default:
        return here(issue.message);
    }
  });
}

/** How mistakes are reported. */
export interface ParseOptions {
  /** Path put in front of every pointer. */
  readonly prefix?: Path;
}

/** Checks `value` against `schema`; throws Refusal `invalid` with every mistake at once. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, options: ParseOptions = {}): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw badInput(toMistakes(result.error.issues, value, options.prefix ?? []));
}

/** The fields that are right, and the mistakes in those that are not. Whole, if there are no mistakes. */
export interface CheckedFields<T> {
  readonly fields: Partial<T>;
  readonly mistakes: readonly Mistake[];
  /** `fields` as a whole. Throws Refusal `invalid` with the mistakes of the fields and `more` of the caller's own. */
  complete(more?: readonly Mistake[]): T;
}

/**
 * Checks an object field by field, so that rules across fields can still be tried on the fields that are right and
 * every mistake is reported at once. Unknown fields are mistakes.
 */
export function checkFields<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  value: unknown,
): CheckedFields<z.output<z.ZodObject<S>>> {
  type Output = z.output<z.ZodObject<S>>;
  const mistakes: Mistake[] = [];
  const fields: Record<string, unknown> = {};
  if (!isRecord(value) || Array.isArray(value)) {
    mistakes.push({ pointer: '', detail: 'must be an object' });
  } else {
    for (const key of Object.keys(value))
      if (!Object.hasOwn(schema.shape, key)) mistakes.push({ pointer: toPointer([key]), detail: 'unknown field' });
    for (const [key, field] of Object.entries(schema.shape)) {
      const given = peek(value, [key]);
      const result = z.safeParse(field, given);
      if (!result.success) for (const mistake of toMistakes(result.error.issues, given, [key])) mistakes.push(mistake);
      else if (result.data !== undefined) fields[key] = result.data;
    }
  }
  return {
    // Every field came out of its own schema: what is there has the schema's type.
    fields: fields as Partial<Output>,
    mistakes,
    complete(more = []) {
      if (mistakes.length + more.length > 0) throw badInput([...mistakes, ...more]);
      return fields as Output;
    },
  };
}
