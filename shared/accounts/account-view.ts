import { z } from 'zod';
import type { View } from '../platform/view.ts';
import { scheduleSchema } from './import-schedule.ts';
import {
  accountInputSchema,
  accountNameSchema,
  importSchema,
  limitsSchema,
  storeSchema,
  transportSchema,
} from './model.ts';
import { propertyReportSchema } from './properties/properties-form.ts';

/** An account as it is used, for callers: every default filled in. */
export const accountViewSchema = z
  .object({
    ...accountInputSchema.shape,
    name: accountNameSchema,
    transport: transportSchema.optional(),
    store: storeSchema.optional(),
    import: z.object({
      ...importSchema.shape,
      schedule: scheduleSchema,
      markRead: z.boolean(),
      deleteMode: z.enum(['trash', 'permanent']),
    }),
    limits: z.object({
      ...limitsSchema.shape,
      perMinute: z
        .int()
        .nullable()
        .meta({ description: 'Mails sent in a minute, over all processes; null: no limit.' }),
    }),
  })
  .meta({ id: 'Account', description: 'An account as it is used, with every default filled in.' });
export type AccountView = View<typeof accountViewSchema>;

const warningSchema = z.object({
  pointer: z.string().meta({ description: 'JSON pointer (RFC 6901) into the account.' }),
  detail: z.string(),
});

/** What a `PUT` or `PATCH` of an account answers. */
export const savedAccountSchema = z
  .object({
    ...accountViewSchema.shape,
    warnings: z.array(warningSchema).meta({ description: 'What is allowed and yet hardly meant.' }),
    report: z
      .array(propertyReportSchema)
      .optional()
      .meta({ description: 'Of a body in properties: what became of each, and what was kept.' }),
  })
  .meta({ id: 'SavedAccount' });
export type SavedAccountView = View<typeof savedAccountSchema>;
