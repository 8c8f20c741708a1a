import { z } from 'zod';
import { maxDays } from '../../stats/stats.ts';
import { parseQuery } from '../query.ts';

const wrong = `must be a whole number from 1 to ${maxDays}`;

/** Parameters of `/stats`. */
export const statsQuery = z.strictObject({
  days: z
    .string()
    .regex(/^\d{1,2}$/, wrong)
    .transform(Number)
    .refine((days) => days >= 1 && days <= maxDays, wrong)
    .default(30)
    .meta({
      description: 'Today and the days before it.',
      override: { type: 'integer', minimum: 1, maximum: maxDays, default: 30 },
    }),
});

/** How many days are asked for. Throws Refusal `invalid`. */
export function daysAsked(query: URLSearchParams): number {
  return parseQuery(statsQuery, query).days;
}
