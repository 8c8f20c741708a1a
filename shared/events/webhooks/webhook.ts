import { z } from 'zod';
import { eventTypes } from '../events.ts';

/** The longest target, in characters. */
const maxUrl = 2048;

/** More patterns than there are events say nothing new. */
const maxPatterns = 20;

/** All events: what a webhook gets that names none. */
const allEvents = 'mailroom.*';

const urlSchema = z
  .string()
  .max(maxUrl, `must be at most ${maxUrl} characters`)
  .superRefine((text, context) => {
    const mistake = urlMistake(text);
    if (mistake !== undefined) context.addIssue({ code: 'custom', message: mistake });
  });

const patternSchema = z
  .string()
  .max(100, 'must be at most 100 characters')
  .refine(
    (pattern) => eventTypes.some((type) => matches(pattern, type)),
    'is the type of no event; a * at the end stands for what may follow, as in mailroom.mail.*',
  );

/** What an account says of its webhook, but for the name of the secret. */
export const webhookFields = {
  url: urlSchema,
  events: z
    .array(patternSchema)
    .min(1, 'must name an event')
    .max(maxPatterns, `must be at most ${maxPatterns}`)
    .default([allEvents]),
};

/** Where an account's events are posted. */
export interface Webhook {
  readonly url: string;
  /** Name of the Key Vault secret that requests are signed with. */
  readonly secret: string;
  /** Types of events, or beginnings of them that end in `*`. */
  readonly events: readonly string[];
}

/** Whether an event is one that the webhook wants. */
export function wants(webhook: Webhook, type: string): boolean {
  return webhook.events.some((pattern) => matches(pattern, type));
}

function matches(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
}

/** Network and scheme are checked where it is known which networks are allowed (target-network.ts). */
function urlMistake(text: string): string | undefined {
  const url = /^\s|\s$/.test(text) ? null : URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) return 'must be an https URL';
  if (url.username !== '' || url.password !== '') return 'must contain no user and no password: it is shown and stored';
  if (url.hash !== '') return 'must contain no fragment, which is never sent';
  return undefined;
}
