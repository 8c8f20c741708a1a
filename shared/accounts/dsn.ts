import { z } from 'zod';

const notifyWhen = z.enum(['never', 'success', 'failure', 'delay']);

/** When a delivery status notification is asked for (RFC 3461 section 4.1). */
export const notifySchema = z
  .array(notifyWhen)
  .min(1, 'must not be empty')
  .refine((all) => !all.includes('never') || all.length === 1, 'never stands alone (RFC 3461 section 4.1)')
  .refine((all) => new Set(all).size === all.length, 'must not repeat');

/** How much of the mail a notification brings back (RFC 3461 section 4.3). */
export const retSchema = z.enum(['full', 'headers']);

/** The delivery status notifications that a mail asks for (RFC 3461). */
export interface Dsn {
  readonly notify?: readonly z.output<typeof notifyWhen>[];
  readonly ret?: z.output<typeof retSchema>;
  /** The sender's name for the mail, which notifications repeat (section 4.4). */
  readonly envid?: string;
}
