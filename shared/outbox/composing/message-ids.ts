import { randomUUID } from 'node:crypto';
import { z } from 'zod';

/** With its header's name it must stay under the 998 octets of a line, since an id cannot be folded. */
const maxMessageId = 900;

/** Real ids are looser than msg-id of RFC 5322 section 3.6.4: anything printable between the brackets is let through. */
const bracketed = /^<[\u0021-\u003b\u003d\u003f-\u007e]+>$/;

/** A new Message-ID, with its brackets, in the domain of `address`. */
export function newMessageId(address: string): string {
  return `<${randomUUID()}@${address.slice(address.lastIndexOf('@') + 1)}>`;
}

/** A Message-ID with its brackets from one with or without; undefined for any other text. */
export function normaliseMessageId(text: string): string | undefined {
  if (text.length > maxMessageId) return undefined;
  const id = text.startsWith('<') ? text : `<${text}>`;
  return bracketed.test(id) && id.length <= maxMessageId ? id : undefined;
}

/** Long threads; more is no thread but an attack on the header's size. */
const maxReferences = 200;

const notMessageId = 'must be a Message-ID: printable characters without spaces, with or without < and >';

/** A Message-ID with its brackets, which callers may leave out. */
export const messageIdSchema = z.string().transform((text, context) => {
  const id = normaliseMessageId(text);
  if (id !== undefined) return id;
  context.addIssue({ code: 'custom', message: notMessageId });
  return z.NEVER;
});

/** Message-IDs as a list, or as the References header writes them: with spaces between. */
export const messageIdsSchema = z.union([
  z
    .string()
    .max(maxReferences * maxMessageId)
    .transform((text, context): readonly string[] => {
      // Only spaces and tabs separate: a line break in here is an attempt to write another header.
      const parts = text.split(/[ \t]+/).filter((part) => part !== '');
      const ids = parts.map(normaliseMessageId).filter((id) => id !== undefined);
      if (ids.length < parts.length || /[\r\n]/.test(text)) context.addIssue({ code: 'custom', message: notMessageId });
      if (ids.length > maxReferences)
        context.addIssue({ code: 'custom', message: `must be at most ${maxReferences} Message-IDs` });
      return ids;
    }),
  z.array(messageIdSchema).max(maxReferences, `must be at most ${maxReferences} Message-IDs`),
]);
