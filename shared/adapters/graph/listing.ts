import { z } from 'zod';
import { type ChangesOptions, type ListedMail, StoreError } from '../store.ts';
import { graphPath, graphUrl, nextLink } from './addresses.ts';
import { isMissing, missing } from './folders.ts';
import { GraphError } from './graph-error.ts';
import { listedMail, type MailItem, mailItemSchema, selectFields } from './mail-items.ts';
import type { MailboxContext } from './mailbox.ts';
import { isContentFailure } from './store-errors.ts';

const pageSchema = z.object({ value: z.array(mailItemSchema), '@odata.nextLink': z.string().nullish() });

/** Mails asked for at once, whatever the caller's pages: fewer requests. Graph's own limit is 1,000. */
const leastAtOnce = 200;
const mostAtOnce = 1_000;

/** Single mails stepped over, and empty pages followed, in one listing. */
const maxBroken = 100;
const maxEmpty = 100;

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

async function* itemPages(
  context: MailboxContext,
  folderId: string,
  folder: string,
  options: ChangesOptions,
): AsyncGenerator<readonly MailItem[]> {
  const full = Math.min(mostAtOnce, Math.max(leastAtOnce, options.pageSize));
  const { place } = context.client;
  const path = graphPath('users', context.userId, 'mailFolders', folderId, 'messages');
  let since: string | undefined;
  let skip = 0;
  let seen = new Set<string>();
  let size = full;
  let broken = 0;
  let empty = 0;
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
    const last = page.value.at(-1);
    if (!last) {
      empty += 1;
      if (empty > maxEmpty) throw new StoreError('protocol', 'a listing of empty pages only', { code: 'ENDLESS' });
      link = nextLink(place, next);
      continue;
    }
    const reached = last.receivedDateTime ?? '';
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
