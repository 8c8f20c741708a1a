import { z } from 'zod';
import { GraphRefusal } from './graph-error.ts';
import type { ChangeType } from './item.ts';
import type { Mailbox } from './mailbox.ts';
import { graphSegments } from './path.ts';
import type { Subscription } from './subscription.ts';

/** What a request to make or renew a subscription says, checked as Graph checks it. */

const minuteMs = 60_000;
/** Outlook messages ("Subscription lifetime"). */
const longestMs = 10_080 * minuteMs;
/** Less is raised to this. */
const shortestMs = 45 * minuteMs;
/** Characters ("subscription resource type"). */
const maxClientState = 128;

const inputSchema = z.looseObject({
  changeType: z.string(),
  resource: z.string(),
  notificationUrl: z.string(),
  lifecycleNotificationUrl: z.string().nullish(),
  clientState: z.string().nullish(),
  expirationDateTime: z.string(),
  includeResourceData: z.boolean().nullish(),
});

/** What its maker says of a subscription. */
export type SubscriptionInput = Omit<Subscription, 'id' | 'appId' | 'tenantId' | 'immutableIds' | 'paused' | 'missed'>;

/** Throws GraphRefusal at the first thing that is wrong. */
export function subscriptionInput(
  json: unknown,
  mailboxOf: (user: string) => Mailbox | undefined,
  now: number,
): SubscriptionInput {
  const parsed = inputSchema.safeParse(json);
  if (!parsed.success) {
    const name = String(parsed.error.issues[0]?.path[0] ?? 'body');
    throw invalid(`${name} is a required property for subscription creation.`);
  }
  const { changeType, resource, notificationUrl, lifecycleNotificationUrl, clientState } = parsed.data;
  if (parsed.data.includeResourceData === true) throw invalid('Resource data is not offered here.');
  if ((clientState ?? '').length > maxClientState)
    throw invalid(`clientState must have at most ${maxClientState} characters.`);
  return {
    changeTypes: changeTypesOf(changeType),
    resource,
    ...resourceOf(resource, mailboxOf),
    notificationUrl: callable(notificationUrl, 'notificationUrl'),
    lifecycleNotificationUrl: lifecycleNotificationUrl
      ? callable(lifecycleNotificationUrl, 'lifecycleNotificationUrl')
      : undefined,
    clientState: clientState ?? undefined,
    expiresAt: expiryOf(parsed.data.expirationDateTime, now),
  };
}

const renewalSchema = z.strictObject({ '@odata.type': z.string().optional(), expirationDateTime: z.string() });

/** The new end that a renewal asks for; nothing else of a subscription can be changed here. Throws GraphRefusal. */
export function renewalInput(json: unknown, now: number): number {
  const parsed = renewalSchema.safeParse(json);
  if (!parsed.success) throw invalid('Only expirationDateTime can be updated, and it must be there.');
  return expiryOf(parsed.data.expirationDateTime, now);
}

function expiryOf(text: string, now: number): number {
  const wanted = Date.parse(text);
  if (!(wanted > now)) throw invalid('Subscription expiration must be in the future.');
  if (wanted > now + longestMs)
    throw invalid(`Subscription expiration can only be ${longestMs / minuteMs} minutes in the future.`);
  return Math.max(wanted, now + shortestMs);
}

function changeTypesOf(text: string): readonly ChangeType[] {
  const types = text
    .toLowerCase()
    .split(',')
    .map((one) => one.trim());
  const known = types.filter((one): one is ChangeType => one === 'created' || one === 'updated' || one === 'deleted');
  if (known.length !== types.length) throw invalid('changeType has an unknown value.');
  return known;
}

/** `users/{id}/mailFolders('inbox')/messages`, with either way to write a key, or `users/{id}/messages`. */
function resourceOf(resource: string, mailboxOf: (user: string) => Mailbox | undefined) {
  if (resource.includes('?')) throw invalid('Query options in a resource are not offered here.');
  const segments = graphSegments(`/v1.0/${resource.replace(/^\//, '')}`) ?? [];
  const names = segments.map((one) => one.toLowerCase());
  const inFolder = names.length === 5 && names[2] === 'mailfolders' && names[4] === 'messages';
  const inMailbox = names.length === 3 && names[2] === 'messages';
  if (names[0] !== 'users' || !(inFolder || inMailbox)) throw invalid(`Invalid resource for a subscription.`);
  const user = segments[1] ?? '';
  // Microsoft Learn, "subscription resource type": such a name does not work here.
  if (user.includes("'")) throw invalid('The user principal name has an apostrophe.');
  const mailbox = mailboxOf(user);
  if (!mailbox) throw new GraphRefusal(404, 'ResourceNotFound', 'The resource could not be found.');
  return { mailbox, folder: inFolder ? mailbox.folder(segments[3] ?? '') : undefined };
}

/**
 * Graph calls https alone, with a certificate it can check. A service under test listens on this machine, and may do so
 * over http: there, and nowhere else, this stand-in calls http.
 */
function callable(text: string, name: string): string {
  const url = URL.parse(text);
  const isHere = url !== null && /^(localhost|127\.0\.0\.1)$/.test(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isHere)) return text;
  throw invalid(`${name} must be an https URL.`);
}

/** What subscriptions answer where `BadRequest` would be said of others. */
export function invalid(message: string): GraphRefusal {
  return new GraphRefusal(400, 'InvalidRequest', message);
}
