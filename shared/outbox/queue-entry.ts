import { z } from 'zod';

const schema = z.object({ id: z.string() });

/** An entry of queue `mail-send`. Throws where it is none: the host then puts it on the poison queue. */
export function sendEntry(entry: unknown): z.output<typeof schema> {
  return schema.parse(entry);
}
