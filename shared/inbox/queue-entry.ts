import { z } from 'zod';
import type { ImportOptions } from './run.ts';

const schema = z.object({ account: z.string(), runId: z.string().optional(), folder: z.string().optional() });

/** An entry of queue `mail-import`. Throws where it is none: the host then puts it on the poison queue. */
export function importEntry(entry: unknown): ImportOptions & { readonly account: string } {
  const { account, runId, folder } = schema.parse(entry);
  return {
    account,
    ...(runId === undefined ? {} : { runId }),
    ...(folder === undefined ? {} : { folder }),
  };
}
