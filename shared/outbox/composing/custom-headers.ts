import { z } from 'zod';
import { controlCharacters } from '../../accounts/address.ts';

/** A header of the caller's own. */
export interface Header {
  readonly name: string;
  readonly value: string;
}

/** Headers that a field of the request sets, that the composer sets, or that only servers on the way may set. */
const reserved: ReadonlySet<string> = new Set(
  `from to cc bcc subject date message-id mime-version sender reply-to in-reply-to references received return-path
  delivered-to dkim-signature domainkey-signature received-spf authentication-results importance x-priority
  x-msmail-priority`.split(/\s+/),
);
const reservedFamilies = /^(?:content-|resent-|arc-)/;

const maxHeaders = 50;
const maxNameLength = 76;
const maxValueLength = 2000;
/** A run without spaces cannot be folded and must fit a line of 998 octets with the name before it. */
const maxWordLength = 900;

function headerMistake(name: string, value: string): string | undefined {
  if (name.length > maxNameLength) return `the name is longer than ${maxNameLength} characters`;
  if (value.length > maxValueLength) return `must be at most ${maxValueLength} characters`;
  if (!/^[\u0021-\u0039\u003b-\u007e]+$/.test(name)) return 'is not a header name (RFC 5322 section 2.2)';
  const lower = name.toLowerCase();
  if (reserved.has(lower) || reservedFamilies.test(lower)) return 'cannot be set by the caller';
  if (controlCharacters.test(value) || !value.isWellFormed())
    return 'must not contain line breaks or control characters';
  if (value.trim() === '') return 'must not be empty';
  if (/^[\u0020-\u007e]*$/.test(value) && value.split(' ').some((word) => word.length > maxWordLength))
    return `must have a space at least every ${maxWordLength} characters`;
  return undefined;
}

/** Further headers by name; a list of values gives the header once for each. */
export const headersSchema = z
  .record(z.string(), z.union([z.string(), z.array(z.string()).max(maxHeaders)]))
  .transform((headers, context): readonly Header[] => {
    const all: Header[] = [];
    for (const [name, given] of Object.entries(headers)) {
      const values = typeof given === 'string' ? [given] : given;
      values.forEach((value, index) => {
        const message = headerMistake(name, value);
        const path = typeof given === 'string' ? [name] : [name, index];
        if (message !== undefined) context.addIssue({ code: 'custom', path, message });
        all.push({ name, value: value.trim() });
      });
    }
    if (all.length > maxHeaders) context.addIssue({ code: 'custom', message: `must be at most ${maxHeaders} headers` });
    return all;
  });
