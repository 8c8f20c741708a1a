import { z } from 'zod';
import type { View } from '../../platform/view.ts';
import { dayViewSchema } from '../../stats/stats.ts';

/** What `GET /stats` answers, and that of an account. */
export const statsSchema = z.object({ items: z.array(dayViewSchema) });
export type Stats = View<typeof statsSchema>;
