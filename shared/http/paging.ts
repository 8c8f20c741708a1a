import { z } from 'zod';
import { checkQuery, unknownParameters } from './query.ts';

/** Table storage answers at most 1,000 entities a request. */
const maxTop = 1000;
const defaultTop = 100;

/** A continue token is ours; anything longer is not. */
const maxTokenLength = 4096;

/** The longest key of a list: an instant and an id. */
const maxKeyLength = 100;

const topSchema = z
  .string()
  .regex(/^\d{1,4}$/, `must be a whole number from 1 to ${maxTop}`)
  .transform(Number)
  .refine((top) => top >= 1 && top <= maxTop, `must be a whole number from 1 to ${maxTop}`)
  .default(defaultTop)
  .meta({
    description: 'Items wanted at most.',
    override: { type: 'integer', minimum: 1, maximum: maxTop, default: defaultTop },
  });

/** Where a page of any list ended: at the item with this key. */
const cursorSchema = z.strictObject({ after: z.string().max(maxKeyLength) });

/** An opaque continue token: the cursor as JSON in base64url. */
function encodeCursor(cursor: z.output<typeof cursorSchema>): string {
  return Buffer.from(JSON.stringify(cursor), 'utf8').toString('base64url');
}

/** A token is whatever a caller sends. */
const continueSchema = z
  .string()
  .transform((token, context) => {
    try {
      if (token.length > maxTokenLength || !/^[A-Za-z0-9_-]+$/.test(token)) throw new TypeError('not base64url');
      const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(token, 'base64url'));
      return cursorSchema.parse(JSON.parse(text));
    } catch {
      context.addIssue({ code: 'custom', message: 'is not a token of this list' });
      return z.NEVER;
    }
  })
  .meta({ description: 'What the page before answered as `continue`.' });

const pagingSchema = z.object({ top: topSchema, continue: continueSchema.optional() });

/** Every parameter of a list with these filters. */
export function listQuery(filters: z.ZodObject = z.object({})): z.ZodObject {
  return z.object({ ...filters.shape, ...pagingSchema.shape });
}

/** Which page of a list is asked for. */
export interface PageRequest {
  /** Items wanted, 1 to 1,000. */
  readonly top: number;
  /** Key of the last item of the page before. */
  readonly after?: string;
}

/**
 * `top`, `continue` and a list's own parameters. Throws Refusal `invalid` with every mistake at once, unknown parameters
 * included.
 */
export function parseList<F extends z.ZodRawShape>(
  query: URLSearchParams,
  filters: z.ZodObject<F>,
): { readonly filters: z.output<z.ZodObject<F>>; readonly page: PageRequest } {
  const paging = checkQuery(pagingSchema, query);
  const unknown = unknownParameters(query, [...Object.keys(pagingSchema.shape), ...Object.keys(filters.shape)]);
  const read = checkQuery(filters, query).complete([...paging.mistakes, ...unknown]);
  const { top, continue: cursor } = paging.complete();
  return { filters: read, page: { top, ...(cursor === undefined ? {} : { after: cursor.after }) } };
}

/** As `parseList`, for a list that has no parameters of its own. */
export function parsePage(query: URLSearchParams): PageRequest {
  return parseList(query, z.object({})).page;
}

/** What every list answers. */
export interface ListAnswer<T> {
  readonly items: readonly T[];
  /** Given back as `continue=` it brings the next page; absent on the last one. */
  readonly continue?: string;
}

/** `next`: key of the last item of this page, where there is another page. */
export function listAnswer<T>(items: readonly T[], next: string | undefined): ListAnswer<T> {
  return next === undefined ? { items } : { items, continue: encodeCursor({ after: next }) };
}

/**
 * The page of a list of which `found` was read: in the list's order, with at least one item more than `top` where there
 * is another page.
 */
export function pageOf<T>(
  found: readonly T[],
  top: number,
  keyOf: (item: T) => string,
): { readonly items: readonly T[]; readonly next: string | undefined } {
  const items = found.slice(0, top);
  const last = items.at(-1);
  return { items, next: found.length > items.length && last !== undefined ? keyOf(last) : undefined };
}
