import { z } from 'zod';

/** An instant in ms since the epoch, from its text with a zone (RFC 3339). */
export const instantSchema = z.iso
  .datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' })
  .transform((text) => Date.parse(text));
