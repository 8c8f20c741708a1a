import type { z } from 'zod';
import type { Mistake } from './problem.ts';
import { type CheckedFields, checkFields, toPointer } from './validation.ts';

/**
 * Query parameters by a schema of strings. A parameter given twice is a mistake: which one was meant is anybody's guess.
 * Parameters that the schema does not know are passed over: the platform has some of its own (`code`).
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
