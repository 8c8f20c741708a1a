import { z } from 'zod';
import { runViewSchema } from '../../inbox/ledger/runs.ts';
import type { View } from '../../platform/view.ts';

/** A run that is under way, or on its way. */
export const startedRunSchema = z.object({ runId: runViewSchema.shape.id, status: runViewSchema.shape.status });
export type StartedRun = View<typeof startedRunSchema>;
