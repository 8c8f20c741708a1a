import { z } from 'zod';
import { badInput } from './problem.ts';
import { parseQuery } from './query.ts';

/** Table storage answers at most 1,000 entities a request. */
export const maxTop = 1000;
export const defaultTop = 100;

/** A continue token is ours; anything longer is not. */
const maxTokenLength = 4096;

const pagingSchema = z.object({
  top: z
    .string()
    .regex(/^\d{1,4}$/, `must be a whole number from 1 to ${maxTop}`)
    .transform(Number)
    .refine((top) => top >= 1 && top <= maxTop, `must be a whole number from 1 to ${maxTop}`)
    .default(defaultTop),
  continue: z.string().max(maxTokenLength, 'is not a token of this list').optional(),
});

export interface Paging<T> {
  /** Items wanted, 1 to 1,000. */
  readonly top: number;
  /** Where the page before ended. */
  readonly continue?: T;
}

/** An opaque continue token: JSON in base64url. */
export function encodeContinue(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function decodeContinue<S extends z.ZodType>(token: string, schema: S): z.output<S> {
  try {
    if (!/^[A-Za-z0-9_-]+$/.test(token)) throw new TypeError('not base64url');
    const bytes = Buffer.from(token, 'base64url');
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch {
    throw badInput([{ pointer: '/continue', detail: 'is not a token of this list' }], 'The query has mistakes.');
  }
}

/** `top` and `continue` of a list. The token is whatever a caller sends: `schema` says what one of ours holds. */
export function parsePaging<S extends z.ZodType>(query: URLSearchParams, schema: S): Paging<z.output<S>> {
  const { top, continue: token } = parseQuery(pagingSchema, query);
  return token === undefined ? { top } : { top, continue: decodeContinue(token, schema) };
}
