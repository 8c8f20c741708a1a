import { z } from 'zod';
import { acceptBare, openBareMails, repeat } from './bare-mails.ts';
import { serve } from './child.ts';

/** The storage calls by which a mail is accepted, made bare, and how long each caller waits for them. */

export const bareAcceptInputSchema = z.object({
  connectionString: z.string(),
  callers: z.int(),
  /** Made first, not measured. */
  warmUp: z.int(),
  mails: z.int(),
  /** Bytes of the text, and characters of the record. */
  text: z.int(),
  record: z.int(),
});
export const bareAcceptResultSchema = z.object({
  /** Of each mail, in milliseconds. */
  took: z.array(z.number()),
});

serve(import.meta, bareAcceptInputSchema, async (input): Promise<z.input<typeof bareAcceptResultSchema>> => {
  const mails = await openBareMails(input.connectionString, 'accept');
  const text = Buffer.alloc(input.text, 'x');
  const record = 'x'.repeat(input.record);
  const took: number[] = [];
  const accept = async () => {
    const began = performance.now();
    await acceptBare(mails, text, record);
    took.push(performance.now() - began);
  };
  await repeat(input.warmUp, input.callers, accept);
  took.length = 0;
  await repeat(input.mails, input.callers, accept);
  return { took };
});
