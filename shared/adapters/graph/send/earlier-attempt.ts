import { z } from 'zod';
import { parseNote } from '../../attempt-note.ts';

/** Characters of a Message-ID that is kept: a note has 1,000, of which a draft's id may take most. */
export const maxRenamed = 200;

/**
 * What an attempt leaves for the next: `making` before it makes a draft (`whole` by one request, or in `parts`, so that
 * it may be incomplete), then the id of the draft that only has to be sent.
 */
const noteSchema = z.discriminatedUnion('state', [
  z.object({ graph: z.string(), state: z.literal('making'), kind: z.enum(['whole', 'parts']) }),
  z.object({
    graph: z.string(),
    state: z.literal('made'),
    draft: z.string().min(1),
    /** The Message-ID that Exchange has put in place of the mail's own. */
    renamed: z.string().max(maxRenamed).optional(),
  }),
]);

export type AttemptNote = z.output<typeof noteSchema>;

/** The note as it is kept with the message. */
export function noteText(note: AttemptNote): string {
  return JSON.stringify(note);
}

/** The note of an earlier attempt, where it is of this mailbox: the account may have pointed elsewhere then. */
export function readNote(text: string | undefined, identity: string): AttemptNote | undefined {
  const note = parseNote(text, noteSchema);
  return note?.graph === identity ? note : undefined;
}
