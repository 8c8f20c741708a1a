import type {
  ChangePage,
  ChangesOptions,
  Checkpoint,
  Disposal,
  DisposalOutcome,
  DisposalTarget,
  DisposeOptions,
  FetchedMail,
  FetchOptions,
  ListedMail,
  StoreSession,
} from '../../store.ts';
import { StoreError } from '../../store.ts';
import type { StoreFolder } from '../../store-folder.ts';
import { abortedError } from '../../store-troubles.ts';
import type { MailboxContext } from '../mailbox.ts';
import { ContentPlaces } from './content-places.ts';
import { listChanges } from './delta.ts';
import { disposeMails } from './dispose.ts';
import { fetchMails } from './fetch-mails.ts';
import { listFolders } from './list-folders.ts';
import { listFolder, stillListed } from './listing.ts';
import { storeError } from './store-errors.ts';

/** A session on a mailbox. Graph knows none: it is a token, what was learned of folders, and requests under way. */
export class GraphSession implements StoreSession {
  readonly #context: MailboxContext;
  readonly #places: ContentPlaces;
  #closed = false;

  /** `concurrency`: requests at a time, as the client's. */
  constructor(context: MailboxContext, concurrency: number) {
    this.#context = context;
    this.#places = new ContentPlaces(concurrency);
  }

  /** Ids do not depend on the folder. Whether the folder is there shows when it is listed: an idle poll is one request. */
  async scope(_folder: string, signal: AbortSignal): Promise<string> {
    this.#check(signal);
    return '';
  }

  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions): AsyncIterable<ChangePage> {
    return this.#withStoreErrors(options.signal, () => listChanges(this.#context, folder, checkpoint, options));
  }

  list(folder: string, options: ChangesOptions): AsyncIterable<readonly ListedMail[]> {
    return this.#withStoreErrors(options.signal, () => listFolder(this.#context, folder, options));
  }

  async folders(selected: readonly string[], signal: AbortSignal): Promise<readonly StoreFolder[]> {
    this.#check(signal);
    try {
      return await listFolders(this.#context, selected, signal);
    } catch (error) {
      throw storeError(error, signal);
    }
  }

  async stillListed(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlySet<ListedMail>> {
    this.#check(signal);
    try {
      return await stillListed(this.#context, mails, signal);
    } catch (error) {
      throw storeError(error, signal);
    }
  }

  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail> {
    return this.#withStoreErrors(options.signal, () => fetchMails(this.#context, this.#places, mails, options));
  }

  async dispose(
    targets: readonly DisposalTarget[],
    disposal: Disposal,
    options: DisposeOptions,
  ): Promise<readonly DisposalOutcome[]> {
    this.#check(options.signal);
    try {
      return await disposeMails(this.#context, targets, disposal, options);
    } catch (error) {
      throw storeError(error, options.signal);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.client.close();
  }

  #check(signal: AbortSignal): void {
    if (this.#closed) throw new StoreError('connection', 'the session is closed', { code: 'CLOSED' });
    if (signal.aborted) throw abortedError(signal);
  }

  /** Every failure as a StoreError. */
  async *#withStoreErrors<T>(signal: AbortSignal, open: () => AsyncIterable<T>): AsyncGenerator<T> {
    this.#check(signal);
    try {
      yield* open();
    } catch (error) {
      throw storeError(error, signal);
    }
  }
}
