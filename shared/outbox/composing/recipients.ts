import { z } from 'zod';
import { AddressError, type Mailbox, parseMailboxes, toMailbox } from '../../accounts/address.ts';

/** Exchange Online's default, and what the contract promises. RFC 5321 asks servers for at least 100. */
export const maxRecipients = 500;

function addressMistake(error: unknown): string {
  if (error instanceof AddressError) return error.message;
  throw error;
}

const textSchema = z.string().transform((text, context): readonly Mailbox[] => {
  try {
    return parseMailboxes(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: addressMistake(error) });
    return z.NEVER;
  }
});

const partsSchema = z
  .strictObject({ name: z.string().optional(), address: z.string() })
  .transform(({ name = '', address }, context): readonly Mailbox[] => {
    try {
      return [toMailbox(name, address)];
    } catch (error) {
      const message = addressMistake(error);
      context.addIssue({ code: 'custom', path: [message.startsWith('the name') ? 'name' : 'address'], message });
      return z.NEVER;
    }
  });

const entrySchema = z
  .union([textSchema, partsSchema])
  .meta({ id: 'Address', description: '"Name <a@b>" or { name, address }.' });

/** `"Name <a@b>"`, `"a@b, c@d"`, `{ name, address }`, or a list of these. */
export const mailboxesSchema = z
  .union([
    entrySchema,
    z
      .array(entrySchema)
      .max(maxRecipients, `must be at most ${maxRecipients} addresses`)
      .transform((all) => all.flat()),
  ])
  .meta({ id: 'Addresses', description: '"Name <a@b>" or { name, address }, or a list of these.' });

/** One mailbox in either form. */
export const mailboxSchema = entrySchema.transform((all, context): Mailbox => {
  const [mailbox, ...more] = all;
  if (mailbox !== undefined && more.length === 0) return mailbox;
  context.addIssue({ code: 'custom', message: 'must be one address' });
  return z.NEVER;
});
