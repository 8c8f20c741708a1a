import { z } from 'zod';
import { attemptSchema, messageViewSchema } from '../../outbox/record.ts';
import type { View } from '../../platform/view.ts';

const { id, status, messageId, nextAttemptAt } = messageViewSchema.shape;

/** The answer about a mail that has not ended: with the attempt that was made while the caller waited, if one was. */
export const acceptedMailSchema = z.object({
  id,
  status,
  messageId,
  attempt: attemptSchema.omit({ at: true }).optional(),
  nextAttemptAt,
});
export type AcceptedMail = View<typeof acceptedMailSchema>;
