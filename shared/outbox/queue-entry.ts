import { z } from 'zod';

const schema = z.object({
  id: z.string(),
  /** The message was sent; only its copy for \Sent is to be made. */
  copy: z.boolean().optional(),
});

/** An entry of queue `mail-send`. Throws where it is none: the host then puts it on the poison queue. */
export function sendEntry(entry: unknown): z.output<typeof schema> {
  return schema.parse(entry);
}
