import { z } from 'zod';

/**
 * What an attempt leaves for the next: `making` before it makes a draft (`whole` by one request, or in `parts`, so that
 * it may be incomplete), then the id of the draft that only has to be sent.
 */
const noteSchema = z.discriminatedUnion('state', [
  z.object({ graph: z.string(), state: z.literal('making'), kind: z.enum(['whole', 'parts']) }),
  z.object({ graph: z.string(), state: z.literal('made'), draft: z.string().min(1) }),
]);

export type AttemptNote = z.output<typeof noteSchema>;

export function noteText(note: AttemptNote): string {
  return JSON.stringify(note);
}

/** The note of an earlier attempt, where it is of this mailbox: the account may have pointed elsewhere then. */
export function readNote(text: string | undefined, identity: string): AttemptNote | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = noteSchema.safeParse(value);
  return parsed.success && parsed.data.graph === identity ? parsed.data : undefined;
}
