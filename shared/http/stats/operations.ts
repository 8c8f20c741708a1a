import type { z } from 'zod';
import { json, type Operation } from '../openapi/operation.ts';
import { statsSchema } from './answers.ts';
import { statsQuery } from './query.ts';

const stats: z.input<typeof statsSchema> = {
  items: [
    {
      day: '2026-03-02',
      imported: 120,
      bytes: 9_400_000,
      quarantined: 0,
      accepted: 41,
      sent: 40,
      failed: 1,
      uncertain: 0,
      bounced: 1,
      backlog: 0,
      medianSeconds: 0.8,
      p95Seconds: 4.2,
    },
  ],
};

const answers = {
  200: { description: 'Each of the days, the newest first.', content: json(statsSchema, stats) },
} as const;

/** What came and went, per day. */
export const statsOperations = {
  'account-stats': {
    route: 'GET /accounts/{account}/stats',
    needs: 'Mailroom.Read',
    summary: 'See what came and went on each of the last days',
    query: statsQuery,
    answers,
    problems: [404],
  },
  stats: {
    route: 'GET /stats',
    needs: 'Mailroom.Read',
    summary: 'See the same of all accounts together',
    description: 'Those included that were deleted since.',
    query: statsQuery,
    answers,
  },
} as const satisfies Readonly<Record<string, Operation>>;
