import type { z } from 'zod';
import { badInput, type Mistake } from './problem.ts';
import { parseInput, toPointer } from './validation.ts';

/** Query parameters by a schema of strings. A parameter given twice is a mistake: which one was meant is anybody's guess. */
export function parseQuery<S extends z.ZodObject>(schema: S, query: URLSearchParams): z.output<S> {
  const values: Record<string, string> = {};
  const mistakes: Mistake[] = [];
  for (const name of Object.keys(schema.shape)) {
    const given = query.getAll(name);
    if (given.length > 1) mistakes.push({ pointer: toPointer([name]), detail: 'is given more than once' });
    if (given[0] !== undefined) values[name] = given[0];
  }
  if (mistakes.length > 0) throw badInput(mistakes, 'The query has mistakes.');
  return parseInput(schema, values);
}
