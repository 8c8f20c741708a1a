import { z } from 'zod';
import { parseFolderName } from '../../accounts/graph-folder-name.ts';
import type { GraphStoreConfig } from '../../accounts/model.ts';
import type { StoreError } from '../store.ts';
import { graphPath, graphUrl, nextLink, odataText } from './addresses.ts';
import { graphPlace } from './cloud.ts';
import { Folders } from './folders.ts';
import { GraphClient } from './graph-client.ts';
import { GraphError } from './graph-error.ts';
import { graphSignIn } from './graph-sign-in.ts';
import type { GraphContext } from './store/graph-store.ts';
import { storeError } from './store/store-errors.ts';
import { validationError } from './subscription-errors.ts';

/** Whose mail is subscribed to, and as which app. */
export type GraphMailbox = Pick<GraphStoreConfig, 'protocol' | 'userId' | 'credential' | 'cloud'>;

/** What a subscription is to be. */
export interface SubscriptionWish {
  /** As the account names it. */
  readonly folder: string;
  /** Gets the notifications, and those of the subscription's own life. */
  readonly notificationUrl: string;
  /** At most 128 characters. */
  readonly clientState: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A subscription as Graph tells of it. */
export interface KnownSubscription {
  readonly id: string;
  readonly notificationUrl: string;
  readonly resource: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What became of a wish: `exists`: there is one of this app for the folder already. */
export type Created =
  | { readonly kind: 'created'; readonly subscription: KnownSubscription }
  | { readonly kind: 'exists'; readonly resource: string };

/**
 * The subscriptions of one app registration to mail. Every method throws StoreError. What is not said to be refused may
 * have been done.
 */
export interface Subscriptions {
  /** Graph calls the notification address before it answers. */
  create(wish: SubscriptionWish, signal: AbortSignal): Promise<Created>;
  /** Moves the end of one, and reauthorizes it; undefined where it is gone. */
  renew(id: string, expiresAt: number, signal: AbortSignal): Promise<KnownSubscription | undefined>;
  /** Ends one. One that is gone is ended. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  /** All of the app, in whatever mailbox, whoever made them. */
  list(signal: AbortSignal): Promise<readonly KnownSubscription[]>;
  close(): void;
}

const subscriptionSchema = z
  .object({
    id: z.string().min(1).max(100),
    resource: z.string().max(4_096),
    notificationUrl: z.string().max(4_096),
    expirationDateTime: z.iso.datetime({ offset: true }),
  })
  .transform(
    ({ expirationDateTime, ...rest }): KnownSubscription => ({ ...rest, expiresAt: Date.parse(expirationDateTime) }),
  );
const listSchema = z.object({ value: z.array(subscriptionSchema), '@odata.nextLink': z.string().nullish() });

/** Pages of a list at most: an app that has more subscriptions than fit on them has lost count of them. */
const maxPages = 500;

/** Waiting for Retry-After, all in all. */
const patienceMs = 10_000;

/** The subscriptions of an app to a mailbox's mail, by Microsoft Graph v1.0. Throws StoreError where it cannot sign in. */
export async function openSubscriptions(
  mailbox: GraphMailbox,
  context: GraphContext,
  signal: AbortSignal,
): Promise<Subscriptions> {
  const { userId } = mailbox;
  const place = graphPlace(mailbox.cloud, context.overrides);
  const limits = { signal, limitMs: context.limits?.signIn };
  const signIn = await asStoreError(signal, graphSignIn(mailbox.credential, place, context.secret, limits));
  const client = new GraphClient({
    place,
    signIn,
    userId,
    concurrency: 1,
    limits: context.limits,
    dialogue: context.dialogue?.(),
    patience: { leftMs: patienceMs },
  });
  const folders = new Folders(client, userId);
  const url = (...segments: readonly string[]) => graphUrl(place, graphPath('subscriptions', ...segments));
  return {
    create: async (wish, signal) => {
      const { notificationUrl, clientState, expiresAt } = wish;
      const body = {
        changeType: 'created',
        notificationUrl,
        lifecycleNotificationUrl: notificationUrl,
        resource: await asStoreError(signal, resourceOf(wish.folder, userId, folders, signal)),
        expirationDateTime: new Date(expiresAt).toISOString(),
        clientState,
      };
      try {
        const subscription = await client.json({ method: 'POST', url: url(), body, signal }, subscriptionSchema);
        return { kind: 'created', subscription };
      } catch (error) {
        if (error instanceof GraphError && error.status === 409) return { kind: 'exists', resource: body.resource };
        throw creationError(error, signal);
      }
    },
    renew: async (id, expiresAt, signal) => {
      const body = { expirationDateTime: new Date(expiresAt).toISOString() };
      try {
        return await client.json({ method: 'PATCH', url: url(id), body, signal }, subscriptionSchema);
      } catch (error) {
        if (isGone(error)) return undefined;
        throw storeError(error, signal);
      }
    },
    remove: async (id, signal) => {
      try {
        await client.done({ method: 'DELETE', url: url(id), signal });
      } catch (error) {
        if (!isGone(error)) throw storeError(error, signal);
      }
    },
    list: (signal) => asStoreError(signal, listAll(client, url(), signal)),
    close: () => client.close(),
  };
}

async function listAll(client: GraphClient, first: URL, signal: AbortSignal): Promise<readonly KnownSubscription[]> {
  const all: KnownSubscription[] = [];
  let url: URL | undefined = first;
  for (let page = 0; url && page < maxPages; page += 1) {
    const answer: z.output<typeof listSchema> = await client.json({ method: 'GET', url, signal }, listSchema);
    all.push(...answer.value);
    const link = answer['@odata.nextLink'];
    url = link ? nextLink(client.place, link) : undefined;
  }
  return all;
}

/**
 * A well-known folder goes by its name, any other by its id, which never changes. A name of the user that has an
 * apostrophe is refused by Graph; the account's warnings say so.
 */
async function resourceOf(folder: string, userId: string, folders: Folders, signal: AbortSignal): Promise<string> {
  const parsed = parseFolderName(folder);
  const id = parsed?.kind === 'wellKnown' ? parsed.name : await folders.id(folder, signal);
  return `users/${userId}/mailFolders(${odataText(id)})/messages`;
}

/** A failed handshake is said in words alone: its code is that of every other mistake in a subscription. */
function creationError(error: unknown, signal: AbortSignal): StoreError {
  if (error instanceof GraphError && error.status === 400 && /validation/i.test(`${error.code} ${error.words}`)) {
    return validationError();
  }
  return storeError(error, signal);
}

/** Subscriptions answer 404 for one that is not there; the mailbox is not asked for. */
function isGone(error: unknown): boolean {
  return error instanceof GraphError && error.status === 404;
}

async function asStoreError<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw storeError(error, signal);
  }
}
