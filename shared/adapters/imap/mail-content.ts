import type { MailContent } from '../store.ts';

/** Never an empty mail where the server counts bytes: it would be stored as such, and its original deleted. */
export function smallContent(body: Buffer | null, size: number | undefined): MailContent {
  if (body === null || (body.length === 0 && size !== 0)) {
    return { kind: 'broken', reason: `the server sent an empty mail and counts ${size ?? 'unknown'} bytes` };
  }
  return { kind: 'bytes', bytes: body };
}
