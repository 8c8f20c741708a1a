import { z } from 'zod';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';

/** What `POST /uploads` answers. */
export const uploadSchema = z.object({
  id: z.string().meta({ description: 'By which attachments of mails name it.' }),
  size: z.int(),
  sha256: z.string(),
  expiresAt: instantSchema,
});
export type UploadAnswer = View<typeof uploadSchema>;
