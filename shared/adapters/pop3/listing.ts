import { readDetails } from '../header-details.ts';
import { type ChangePage, type ChangesOptions, type Checkpoint, type ListedMail, StoreError } from '../store.ts';
import { Progress } from './checkpoint.ts';
import { locate, readHeaders } from './headers.ts';
import type { Entry, Maildrop } from './maildrop.ts';
import type { MaildropContext } from './pop3-sessions.ts';
import { encodeItem, type MailName } from './source-id.ts';

/** Mails in a page, whatever the caller asks for: their headers may be read. */
const MAX_PAGE = 500;

/** POP3 has one folder, and it is INBOX in every letter case. */
export function inboxOnly(folder: string): void {
  if (folder.toUpperCase() === 'INBOX') return;
  throw new StoreError('folderMissing', `there is no folder ${JSON.stringify(folder)}`, {
    code: 'NO_FOLDERS',
    hint: 'POP3 has the folder INBOX alone.',
  });
}

/**
 * `StoreSession.changes`: the maildrop as it was at the sign-in, without what the checkpoint knows. Mails whose UIDL does
 * not name them alone come last, since their contents have to be read for it.
 */
export async function* listChanges(
  context: MaildropContext,
  folder: string,
  checkpoint: Checkpoint | undefined,
  options: ChangesOptions,
): AsyncGenerator<ChangePage> {
  inboxOnly(folder);
  const { signal } = options;
  const pageSize = Math.min(Math.max(Math.floor(options.pageSize), 1), MAX_PAGE);
  const { progress, sizes, plain, doubtful } = await context.sessions.exclusive(signal, async (maildrop) => {
    const progress = new Progress(maildrop.entries, (uidl) => !maildrop.isAmbiguous(uidl), checkpoint);
    const { todo } = progress;
    return {
      progress,
      sizes: await maildrop.sizes(
        todo.map(({ number }) => number),
        signal,
      ),
      plain: todo.filter(({ uidl }) => !maildrop.isAmbiguous(uidl)),
      doubtful: todo.filter(({ uidl }) => maildrop.isAmbiguous(uidl)),
    };
  });
  const page = async (names: readonly Named[], remaining: number): Promise<ChangePage> => {
    const mails = names.map((named) => listedMail(context.identity, folder, named));
    const listed = options.details ? await withDetails(context, mails, signal) : mails;
    return { mails: listed, checkpoint: progress.checkpoint(), remaining };
  };
  if (plain.length === 0 && doubtful.length === 0) yield await page([], 0);
  for (let at = 0; at < plain.length; at += pageSize) {
    const entries = plain.slice(at, at + pageSize);
    progress.pass(entries);
    const names = entries.map(({ number, uidl }) => ({ name: { uidl }, size: sizes.get(number) }));
    yield await page(names, plain.length - at - entries.length + doubtful.length);
  }
  if (doubtful.length === 0) return;
  const round = new DoubtfulRound(doubtful);
  for (let left = doubtful.length; ; ) {
    const names = await context.sessions.exclusive(signal, (maildrop) => round.next(maildrop, pageSize, signal));
    left = Math.max(0, left - names.length);
    if (names.length === 0) {
      if (round.complete) progress.pass(doubtful);
      yield await page([], 0);
      return;
    }
    yield await page(names, left);
  }
}

/** `StoreSession.list`. */
export async function* listAll(
  context: MaildropContext,
  folder: string,
  options: ChangesOptions,
): AsyncGenerator<readonly ListedMail[]> {
  for await (const { mails } of listChanges(context, folder, undefined, options)) if (mails.length > 0) yield mails;
}

/** `StoreSession.stillListed`: by a new session, since the one that was signed in to shows what was there then. */
export async function stillListed(
  { sessions, identity }: MaildropContext,
  mails: readonly ListedMail[],
  signal: AbortSignal,
): Promise<ReadonlySet<ListedMail>> {
  await sessions.renew(signal);
  const found = await sessions.exclusive(signal, (maildrop) => locate(maildrop, identity, mails, signal));
  return new Set(found.keys());
}

interface Named {
  readonly name: MailName;
  readonly size: number | undefined;
}

/** Names mails by their contents, as many as a page takes, in whatever session there is when the page is asked for. */
class DoubtfulRound {
  readonly #uidls: ReadonlySet<string>;
  readonly #named = new Set<string>();
  /** Names given out at most, one for each mail: some servers give other octets in each session, and so new names for ever. */
  readonly #most: number;
  /** False once a mail has got no name, because the server refuses to give it, say: it is looked at again next time. */
  complete = true;

  constructor(entries: readonly Entry[]) {
    this.#uidls = new Set(entries.map(({ uidl }) => uidl));
    this.#most = entries.length;
  }

  async next(maildrop: Maildrop, pageSize: number, signal: AbortSignal): Promise<readonly Named[]> {
    const entries = maildrop.entries.filter(({ uidl }) => this.#uidls.has(uidl));
    const sizes = await maildrop.sizes(
      entries.map(({ number }) => number),
      signal,
    );
    const page: Named[] = [];
    for (const { number, uidl } of entries) {
      const sha256 = await maildrop.hash(number, signal);
      if (sha256 === undefined) {
        this.complete = false;
        continue;
      }
      const name = { uidl, sha256 };
      const item = encodeItem(name);
      if (this.#named.has(item)) continue;
      if (this.#named.size >= this.#most) {
        // Others have come since, or contents are other ones in each session: they are looked at in the next round.
        this.complete = false;
        break;
      }
      this.#named.add(item);
      page.push({ name, size: sizes.get(number) });
      if (page.length === pageSize) break;
    }
    return page;
  }
}

function listedMail(store: string, folder: string, { name, size }: Named): ListedMail {
  return { source: { store, scope: '', item: encodeItem(name) }, folder, ...(size === undefined ? {} : { size }) };
}

async function withDetails(
  context: MaildropContext,
  mails: readonly ListedMail[],
  signal: AbortSignal,
): Promise<readonly ListedMail[]> {
  const headers = await readHeaders(context, mails, signal);
  return mails.map((mail) => {
    const header = headers.get(mail);
    return header ? { ...mail, ...readDetails(header) } : mail;
  });
}
