import { z } from 'zod';
import { parseFolderName } from '../../accounts/graph-folder-name.ts';
import { StoreError } from '../store.ts';
import { graphPath, graphUrl, nextLink } from './addresses.ts';
import type { GraphClient } from './graph-client.ts';
import { GraphError } from './graph-error.ts';

const folderSchema = z.object({ id: z.string().min(1).max(1_024), displayName: z.string().nullish() });
const folderPageSchema = z.object({
  value: z.array(folderSchema),
  '@odata.nextLink': z.string().nullish(),
});

/** Folders of one parent a page, and pages at most: a parent has seldom more than some tens. */
const pageSize = 250;
const maxPages = 40;

/** The ids of a mailbox's folders, which never change. Asked for once a session at most. */
export class Folders {
  readonly #client: GraphClient;
  readonly #userId: string;
  readonly #known = new Map<string, string>();

  constructor(client: GraphClient, userId: string) {
    this.#client = client;
    this.#userId = userId;
  }

  /** Notes an id that came with something else. */
  note(name: string, id: string): void {
    this.#known.set(name, id);
  }

  forget(name: string): void {
    this.#known.delete(name);
  }

  /** The id of a folder as the account names it (see `parseFolderName`). Throws StoreError `folderMissing`, GraphError. */
  async id(name: string, signal: AbortSignal): Promise<string> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const id = await this.#find(name, signal);
    this.#known.set(name, id);
    return id;
  }

  async #find(name: string, signal: AbortSignal): Promise<string> {
    const parsed = parseFolderName(name);
    if (!parsed)
      throw missing(name, 'is no folder’s name. Within a name, write \\/ for a slash and \\\\ for a backslash.');
    if (parsed.kind === 'wellKnown') return await this.#get(parsed.name, name, signal);
    if (parsed.kind === 'id') return await this.#get(parsed.id, name, signal);
    let parent = parsed.root;
    for (const each of parsed.names) parent = await this.#child(parent, each, name, signal);
    return parent;
  }

  async #get(folder: string, name: string, signal: AbortSignal): Promise<string> {
    const url = graphUrl(this.#client.place, graphPath('users', this.#userId, 'mailFolders', folder), {
      $select: 'id',
    });
    try {
      return (await this.#client.json({ method: 'GET', url, signal }, folderSchema)).id;
    } catch (error) {
      throw isMissing(error) ? missing(name, 'does not exist in the mailbox.') : error;
    }
  }

  /** Exchange compares display names of one parent without regard to case. */
  async #child(parent: string, wanted: string, name: string, signal: AbortSignal): Promise<string> {
    const { place } = this.#client;
    let url: URL = graphUrl(place, graphPath('users', this.#userId, 'mailFolders', parent, 'childFolders'), {
      $select: 'id,displayName',
      $top: pageSize,
    });
    const same = (text: string) => text.normalize('NFC').toLowerCase();
    for (let page = 0; page < maxPages; page++) {
      const answer = await this.#page(url, name, signal);
      const found = answer.value.find(({ displayName }) => same(displayName ?? '') === same(wanted));
      if (found) return found.id;
      const next = answer['@odata.nextLink'];
      if (!next) break;
      url = nextLink(place, next);
    }
    throw missing(name, `does not exist in the mailbox: there is no "${wanted.slice(0, 60)}" at that place.`);
  }

  async #page(url: URL, name: string, signal: AbortSignal) {
    try {
      return await this.#client.json({ method: 'GET', url, signal }, folderPageSchema);
    } catch (error) {
      throw isMissing(error) ? missing(name, 'does not exist in the mailbox.') : error;
    }
  }
}

/** Graph's ways to say that a folder is not there; an id of the wrong form is one of them. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof GraphError) || error.origin !== 'answer') return false;
  return error.is('ErrorItemNotFound', 'ErrorFolderNotFound', 'ErrorSyncFolderNotFound', 'ErrorInvalidIdMalformed');
}

/** The StoreError `folderMissing` for a folder by its account's name; `what` goes on with the sentence that the name begins. */
export function missing(name: string, what: string): StoreError {
  return new StoreError('folderMissing', `the folder "${name.slice(0, 120)}" ${what}`, {
    code: 'FOLDER',
    hint: 'Name a well-known folder such as inbox, a path of display names such as inbox/Invoices, or id: with a folder’s id.',
  });
}
