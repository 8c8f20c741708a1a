import { z } from 'zod';

/** The address of a subscription names it; Graph adds the token where it asks whether it may call. */
export const validationQuery = z.object({
  validationToken: z
    .string()
    .max(4_096, 'must be at most 4096 characters')
    .optional()
    .meta({ description: 'What Graph wants back.' }),
  subscription: z.string().optional().meta({ description: 'The name that the subscription was made with.' }),
});
