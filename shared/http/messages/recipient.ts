import { z } from 'zod';
import { AddressError, parseMailbox } from '../../accounts/address.ts';

/** The address of `a@b` or `Name <a@b>`, in a query. */
export const recipientSchema = z.string().transform((text, context) => {
  try {
    return parseMailbox(text).address;
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    // In a query a plus sign stands for a blank.
    const hint = text.includes(' ') && text.includes('@') ? ' (a + in an address is written %2B)' : '';
    context.addIssue({ code: 'custom', message: `${error.message}${hint}` });
    return z.NEVER;
  }
});
