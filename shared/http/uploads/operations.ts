import { bytes, json, type Operation } from '../openapi/operation.ts';
import { uploadSchema } from './answers.ts';

/** What can be done with large attachments. */
export const uploadOperations = {
  'upload-create': {
    route: 'POST /uploads',
    needs: 'Mailroom.Send',
    summary: 'Keep the bytes of a large attachment',
    description: 'The body is the file, at most 150 MiB. Its type and name are given in the mail.',
    body: { content: bytes('*/*', 'The file.') },
    answers: {
      201: {
        description: 'It is kept for a day.',
        content: json(uploadSchema, {
          id: '0123456789abcdef0123456789abcdef01234567',
          size: 52_428_800,
          sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
          expiresAt: '2026-03-03T08:00:00.000Z',
        }),
      },
    },
    problems: [413],
  },
} as const satisfies Readonly<Record<string, Operation>>;
