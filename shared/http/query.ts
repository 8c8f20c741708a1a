import type { z } from 'zod';
import { badInput, type Mistake } from '../platform/refusal.ts';
import { type CheckedFields, checkFields, toPointer } from '../platform/validation.ts';
import { isHostParameter } from './function-key.ts';

/** Mistakes in an answer at most: it is cut anyway, and a query of 30,000 names must not be worked on for long. */
const maxUnknown = 100;

/** Parameters that nobody knows. A filter that is mistyped would otherwise widen a listing. */
export function unknownParameters(query: URLSearchParams, known: readonly string[] = []): readonly Mistake[] {
  const unknown = new Set<string>();
  for (const name of query.keys()) {
    if (!known.includes(name) && !isHostParameter(name)) unknown.add(name);
    if (unknown.size >= maxUnknown) break;
  }
  return [...unknown].map((name) => ({ pointer: toPointer([name]), detail: 'unknown query parameter' }));
}

/** For routes that take no parameters. Throws a Refusal. */
export function refuseParameters(query: URLSearchParams): void {
  const mistakes = unknownParameters(query);
  if (mistakes.length > 0) throw badInput(mistakes);
}

/**
 * Query parameters by a schema of strings, each checked for itself. A parameter given twice is a mistake: which one was
 * meant is anybody's guess. Parameters that the schema does not know are passed over, since another schema may know them:
 * whoever has all of them asks `unknownParameters`.
 */
export function checkQuery<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  query: URLSearchParams,
): Pick<CheckedFields<z.output<z.ZodObject<S>>>, 'mistakes' | 'complete'> {
  const values: Record<string, string> = {};
  const twice: Mistake[] = [];
  for (const name of Object.keys(schema.shape)) {
    const given = query.getAll(name);
    if (given.length > 1) twice.push({ pointer: toPointer([name]), detail: 'is given more than once' });
    if (given[0] !== undefined) values[name] = given[0];
  }
  const { mistakes, complete } = checkFields(schema, values);
  return { mistakes: [...twice, ...mistakes], complete: (more = []) => complete([...twice, ...more]) };
}

/** The parameters of a route, all of them. Throws a Refusal with every mistake at once, unknown ones included. */
export function parseQuery<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  query: URLSearchParams,
): z.output<z.ZodObject<S>> {
  return checkQuery(schema, query).complete(unknownParameters(query, Object.keys(schema.shape)));
}
