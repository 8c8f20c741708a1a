import { z } from 'zod';
import { accountNameSchema, secretNameSchema } from '../../accounts/model.ts';
import { exampleIds } from './examples.ts';
import type { AnswerHeader, RequestHeader } from './operation.ts';

/** What may stand in the places of routes, by name; `id` is a message's, an asset's or a quarantined mail's. */
export const pathParameters: Readonly<Record<string, z.ZodType>> = {
  account: accountNameSchema.meta({ param: { example: 'corpus' } }),
  id: z.string().meta({ description: 'As its list answers it.', param: { example: exampleIds.message } }),
  runId: z.string().meta({ description: 'As the import answers it.', param: { example: exampleIds.run } }),
  name: secretNameSchema.meta({
    description: "Name of a secret: the account's, a dash, and more.",
    param: { example: 'corpus-imap' },
  }),
  path: z.string().meta({ description: 'Of a screen or a file.', param: { example: 'accounts' } }),
  n: z
    .int()
    .min(1)
    .meta({ description: 'Number of the attachment.', param: { example: 1 } }),
};

const entityTags = z.string().meta({ description: '`*` or entity tags.', param: { example: '"0123456789abcdef"' } });

/** Headers of requests, by the names that operations use. */
export const requestHeaders: Readonly<Record<RequestHeader, { readonly name: string; readonly schema: z.ZodType }>> = {
  idempotencyKey: {
    name: 'Idempotency-Key',
    schema: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .meta({
        description:
          "The caller's name for this request, kept for 7 days per account: the same key and request answer the same mail; the same key with another request is 422, and 409 while the first is still being accepted.",
        param: { example: 'invoice-4711' },
      }),
  },
  prefer: {
    name: 'Prefer',
    schema: z
      .string()
      .optional()
      .meta({
        description: '`wait=N`: how many seconds, at most 60, the caller waits for the end (RFC 7240).',
        param: { example: 'wait=10' },
      }),
  },
  ifMatch: { name: 'If-Match', schema: entityTags.optional().meta({ description: 'Else 412: `*` or entity tags.' }) },
  ifNoneMatch: {
    name: 'If-None-Match',
    schema: entityTags.optional().meta({
      description:
        '`*` or entity tags that must not be those of what is there: else 304 to a GET, and 412 to a change.',
    }),
  },
  range: {
    name: 'Range',
    schema: z
      .string()
      .optional()
      .meta({ description: 'One range of bytes (RFC 9110 section 14.2).', param: { example: 'bytes=0-1023' } }),
  },
  ifRange: {
    name: 'If-Range',
    schema: z.string().optional().meta({ description: 'The entity tag of which the range is a part.' }),
  },
};

/** Headers of answers, by the names that operations use. */
export const answerHeaders: Readonly<Record<AnswerHeader, { readonly name: string; readonly schema: z.ZodType }>> = {
  location: { name: 'Location', schema: z.string().meta({ description: 'Where it can be followed.' }) },
  operationLocation: { name: 'Operation-Location', schema: z.string().meta({ description: 'The same.' }) },
  preferenceApplied: { name: 'Preference-Applied', schema: z.string().meta({ description: 'As in `Prefer`.' }) },
  etag: { name: 'ETag', schema: z.string().meta({ description: 'Entity tag of this version.' }) },
  contentRange: {
    name: 'Content-Range',
    schema: z.string().meta({ description: 'Which part it is, and of how much.' }),
  },
  remoteContent: {
    name: 'X-Remote-Content',
    schema: z.string().meta({ description: 'Whether the body has images from elsewhere, and whether they are shown.' }),
  },
};
