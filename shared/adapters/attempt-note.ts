import type { z } from 'zod';

/**
 * The note that an earlier attempt left (SendOptions.remembered), where it has this form. Undefined where there is none,
 * and for one of another transport: the account may have been another one then.
 */
export function parseNote<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return schema.safeParse(value).data;
}
