import { z } from 'zod';
import { scheduleMistake } from '../platform/schedule.ts';

/** When an account is imported. */
export const scheduleSchema = z
  .string()
  .superRefine((schedule, context) => {
    const mistake = scheduleMistake(schedule);
    if (mistake !== undefined) context.addIssue({ code: 'custom', message: mistake });
  })
  .nullable()
  .meta({ description: 'NCRONTAB expression of six or five fields, in UTC; null: only on request.' });

/** The schedule of an account that does not say: `pushed` where notifications bring its mail, as the safety net. */
export const defaultSchedules = { polled: '0 */5 * * * *', pushed: '0 0 * * * *' } as const;
