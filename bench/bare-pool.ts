import { z } from 'zod';
import { serve } from './child.ts';
import { openPool } from './pool.ts';

/** A bare nodemailer pool: what the sink and the library allow when nothing has to be kept or known. */

export const poolInputSchema = z.object({
  port: z.int(),
  connections: z.int(),
  /** Sent first, not measured. */
  warmUp: z.int(),
  mails: z.int(),
  from: z.string(),
  to: z.string(),
  raw: z.string(),
});
export const poolResultSchema = z.object({ milliseconds: z.number() });

serve(import.meta, poolInputSchema, async (input): Promise<z.input<typeof poolResultSchema>> => {
  const pool = openPool(input);
  const raw = Buffer.from(input.raw);
  const send = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => pool.sendMail({ envelope: { from: input.from, to: [input.to] }, raw })),
    );
  try {
    await send(input.warmUp);
    const started = performance.now();
    await send(input.mails);
    return { milliseconds: performance.now() - started };
  } finally {
    pool.close();
  }
});
