import { z } from 'zod';
import { type ChangesOptions, type ListedMail, StoreError } from '../../store.ts';
import { graphPath, graphUrl, nextLink } from '../addresses.ts';
import { isMissing, missing } from '../folders.ts';
import { GraphError } from '../graph-error.ts';
import type { MailboxContext } from '../mailbox.ts';
import { listedMail, type MailItem, mailItemSchema, receivedAtOf, selectFields } from './mail-items.ts';
import { isContentFailure } from './store-errors.ts';

const pageSchema = z.object({ value: z.array(mailItemSchema), '@odata.nextLink': z.string().nullish() });

/** Mails asked for at once, whatever the caller's pages: fewer requests. Graph's own limit is 1,000. */
const leastPage = 200;
const largestPage = 1_000;

/** Single mails stepped over, and pages without anything new followed, in one listing. */
const maxBroken = 100;
const maxFruitless = 100;

const endless = (what: string) =>
  new StoreError('protocol', `a listing that does not end: it ${what}`, {
    code: 'ENDLESS',
    hint: 'Graph answers nonsense for this folder. It may pass; if it lasts, ask Microsoft’s support.',
  });

/** An instant as it may stand in a filter. */
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/**
 * Everything in a folder, oldest first. Pages do not follow Graph's own links, which count mails from the beginning and
 * skip some when others are deleted meanwhile: each page begins at the received time where the one before ended. A mail
 * that fails the page that holds it is stepped over.
 */
export async function* listFolder(
  context: MailboxContext,
  folder: string,
  options: ChangesOptions,
): AsyncGenerator<readonly ListedMail[]> {
  const id = await context.folders.id(folder, options.signal);
  for await (const items of itemPages(context, id, folder, options)) {
    for (let from = 0; from < items.length; from += options.pageSize) {
      yield items.slice(from, from + options.pageSize).map((item) => listedMail(item, folder, context));
    }
  }
}

/**
 * Those of the mails with these ids that the folder lists. The listing is read as far as their received times ask for; of
 * an id without a time, as far as it goes.
 */
export async function findListed(
  context: MailboxContext,
  folder: string,
  wanted: readonly Pick<MailItem, 'id' | 'receivedDateTime'>[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, MailItem>> {
  const found = new Map<string, MailItem>();
  if (wanted.length === 0) return found;
  const ids = new Set(wanted.map(({ id }) => id));
  const times = wanted.map((item) => receivedAtOf(item) ?? Number.NaN);
  const first = Math.min(...times);
  const last = Math.max(...times);
  const from = Number.isNaN(first) ? undefined : new Date(Math.floor(first / 1_000) * 1_000).toISOString();
  const id = await context.folders.id(folder, signal);
  for await (const items of itemPages(context, id, folder, { signal, pageSize: largestPage, from })) {
    for (const item of items) if (ids.has(item.id)) found.set(item.id, item);
    const reached = receivedAtOf(items.at(-1) ?? {}) ?? Number.NaN;
    if (found.size === ids.size || reached > last) break;
  }
  return found;
}

/** `StoreSession.stillListed`. */
export async function stillListed(
  context: MailboxContext,
  mails: readonly ListedMail[],
  signal: AbortSignal,
): Promise<ReadonlySet<ListedMail>> {
  const there = new Set<ListedMail>();
  for (const folder of new Set(mails.map((mail) => mail.folder))) {
    const mine = mails.filter((mail) => mail.folder === folder && mail.source.store === context.identity);
    const wanted = mine.map(({ source, receivedAt }) => ({
      id: source.item,
      receivedDateTime: receivedAt === undefined ? null : new Date(receivedAt).toISOString(),
    }));
    const found = await findListed(context, folder, wanted, signal);
    for (const mail of mine) if (found.has(mail.source.item)) there.add(mail);
  }
  return there;
}

interface PagesOptions extends ChangesOptions {
  /** Received time to begin at. */
  readonly from?: string | undefined;
}

async function* itemPages(
  context: MailboxContext,
  folderId: string,
  folder: string,
  options: PagesOptions,
): AsyncGenerator<readonly MailItem[]> {
  const full = Math.min(largestPage, Math.max(leastPage, options.pageSize));
  const { place } = context.client;
  const path = graphPath('users', context.userId, 'mailFolders', folderId, 'messages');
  let since = options.from;
  let skip = 0;
  let seen = new Set<string>();
  let size = full;
  let broken = 0;
  let fruitless = 0;
  let link: URL | undefined;
  for (;;) {
    const url =
      link ??
      graphUrl(place, path, {
        $select: selectFields(options.details),
        $filter: since === undefined ? undefined : `receivedDateTime ge ${since}`,
        $orderby: 'receivedDateTime',
        $top: size,
        $skip: skip === 0 ? undefined : skip,
      });
    link = undefined;
    let page: z.output<typeof pageSchema>;
    try {
      page = await context.client.json({ method: 'GET', url, signal: options.signal }, pageSchema);
    } catch (error) {
      if (isMissing(error)) throw missing(folder, 'does not exist in the mailbox.');
      if (!(error instanceof GraphError) || !isContentFailure(error)) throw error;
      if (size === 1) {
        skip += 1;
        broken += 1;
        if (broken > maxBroken) throw error;
      } else {
        size = Math.max(1, Math.floor(size / 4));
      }
      continue;
    }
    size = Math.min(full, size * 4);
    const fresh = page.value.filter((item) => !seen.has(item.id));
    if (fresh.length > 0) yield fresh;
    const next = page['@odata.nextLink'];
    if (!next) return;
    fruitless = fresh.length > 0 ? 0 : fruitless + 1;
    // Mails of one second are passed one by one where pages are small: these bring nothing new either.
    if (fruitless > maxFruitless + seen.size) throw endless('brings no mails');
    const last = page.value.at(-1);
    if (!last) {
      link = nextLink(place, next);
      continue;
    }
    const reached = last.receivedDateTime ?? '';
    if (since !== undefined && Date.parse(reached) < Date.parse(since)) throw endless('goes back');
    if (instant.test(reached) && reached !== since) {
      since = reached;
      skip = 0;
      seen = new Set(page.value.filter((item) => item.receivedDateTime === reached).map((item) => item.id));
    } else {
      skip += page.value.length;
      for (const item of page.value) seen.add(item.id);
    }
  }
}
