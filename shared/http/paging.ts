import { z } from 'zod';
import { checkQuery } from './query.ts';

/** Table storage answers at most 1,000 entities a request. */
export const maxTop = 1000;
export const defaultTop = 100;

/** A continue token is ours; anything longer is not. */
const maxTokenLength = 4096;

const topSchema = z
  .string()
  .regex(/^\d{1,4}$/, `must be a whole number from 1 to ${maxTop}`)
  .transform(Number)
  .refine((top) => top >= 1 && top <= maxTop, `must be a whole number from 1 to ${maxTop}`)
  .default(defaultTop);

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

/** A token is whatever a caller sends: `held` says what one of ours holds. */
function continueSchema<T extends z.ZodType>(held: T) {
  return z.string().transform((token, context): z.output<T> => {
    try {
      if (token.length > maxTokenLength || !/^[A-Za-z0-9_-]+$/.test(token)) throw new TypeError('not base64url');
      const bytes = Buffer.from(token, 'base64url');
      return held.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
    } catch {
      context.addIssue({ code: 'custom', message: 'is not a token of this list' });
      return z.NEVER;
    }
  });
}

function checkPaging<T extends z.ZodType>(query: URLSearchParams, held: T) {
  return checkQuery(z.object({ top: topSchema, continue: continueSchema(held).optional() }), query);
}

/** `top` and `continue` of a list; `held`: what its tokens hold. Throws HttpProblem 400. */
export function parsePaging<T extends z.ZodType>(query: URLSearchParams, held: T): Paging<z.output<T>> {
  return pagingOf(checkPaging(query, held).complete());
}

/** A list's own parameters beside `top` and `continue`. Throws HttpProblem 400 with every mistake at once. */
export function parseList<F extends z.ZodRawShape, T extends z.ZodType>(
  query: URLSearchParams,
  filters: z.ZodObject<F>,
  held: T,
): { readonly filters: z.output<z.ZodObject<F>>; readonly paging: Paging<z.output<T>> } {
  const paging = checkPaging(query, held);
  return { filters: checkQuery(filters, query).complete(paging.mistakes), paging: pagingOf(paging.complete()) };
}

function pagingOf<T>({ top, continue: token }: { top: number; continue?: T | undefined }): Paging<T> {
  return token === undefined ? { top } : { top, continue: token };
}
