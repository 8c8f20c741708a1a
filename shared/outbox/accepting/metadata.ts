import { z } from 'zod';
import { controlCharacters } from '../../accounts/address.ts';

/** Strings of the caller's own that a mail can have (design section 3). */
const maxStrings = 20;

const maxName = 64;

/**
 * UTF-16 units of one string. All of them go with each event of the mail, and a queue message has 64 KiB (Microsoft:
 * "About Queue Storage"): 20 of these, in three octets each and in base64, are 43 KiB.
 */
const maxValue = 500;

const nameSchema = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${maxName - 1}}$`),
    `the name must be 1 to ${maxName} letters, digits, dots, hyphens and underscores, and begin with a letter or digit`,
  );

const valueSchema = z
  .string()
  .max(maxValue, `must be at most ${maxValue} characters`)
  .refine(
    (text) => !controlCharacters.test(text) && text.isWellFormed(),
    'must not contain line breaks or control characters',
  );

/** What the caller wants to have back in the record and in every event of the mail. It is never sent. */
export const metadataSchema = z
  .record(nameSchema, valueSchema)
  .refine((strings) => Object.keys(strings).length <= maxStrings, {
    error: `must be at most ${maxStrings} strings`,
    // Beside the mistakes in single strings.
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .meta({
    description: `Up to ${maxStrings} strings of the caller's own, given back in the record and in every event of the mail, and never sent.`,
    maxProperties: maxStrings,
  });
