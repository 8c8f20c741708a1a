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
  FolderEnd,
  ListedMail,
  StoreSession,
} from '../../store.ts';
import type { StoreFolder } from '../../store-folder.ts';
import type { ImapConnection } from '../connection.ts';
import { Mailbox } from '../mailbox.ts';
import { encodeScope } from '../source-id.ts';
import { findSpecialFolder } from '../special-folder.ts';
import { type DisposalContext, disposeMails } from './dispose.ts';
import { fetchMails, type SessionFetches } from './fetch-mails.ts';
import { sessionFetches } from './fetch-together.ts';
import { listFolders } from './list-folders.ts';
import { folderEnd, listAll, listChanges, openFolder, stillListed } from './listing.ts';

/** A signed-in IMAP session, kept from folder to folder. Calls may overlap; each command waits for those before it. */
export class ImapSession implements StoreSession {
  readonly #context: DisposalContext;
  readonly #fetches: SessionFetches;
  #trash: string | undefined;

  constructor(connection: ImapConnection, identity: string) {
    this.#context = {
      connection,
      identity,
      mailbox: new Mailbox(connection),
      trashFolder: async (signal) => {
        this.#trash ??= await findSpecialFolder(connection, '\\Trash', signal);
        return this.#trash;
      },
    };
    this.#fetches = sessionFetches(this.#context);
  }

  async scope(folder: string, signal: AbortSignal, checkpoint?: Checkpoint): Promise<string> {
    const context = this.#context;
    return encodeScope(
      await context.connection.exclusive(signal, () =>
        openFolder(context, folder, checkpoint, { signal, fresh: true }),
      ),
    );
  }

  end(folder: string, signal: AbortSignal): Promise<FolderEnd> {
    return folderEnd(this.#context, folder, signal);
  }

  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions): AsyncIterable<ChangePage> {
    return listChanges(this.#context, folder, checkpoint, options);
  }

  list(folder: string, options: ChangesOptions): AsyncIterable<readonly ListedMail[]> {
    return listAll(this.#context, folder, options);
  }

  folders(selected: readonly string[], signal: AbortSignal): Promise<readonly StoreFolder[]> {
    return listFolders(this.#context.connection, selected, signal);
  }

  stillListed(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlySet<ListedMail>> {
    return stillListed(this.#context, mails, signal);
  }

  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail> {
    return fetchMails(this.#context, this.#fetches, mails, options);
  }

  dispose(
    targets: readonly DisposalTarget[],
    disposal: Disposal,
    options: DisposeOptions,
  ): Promise<readonly DisposalOutcome[]> {
    return disposeMails(this.#context, targets, disposal, options);
  }

  close(): Promise<void> {
    return this.#context.connection.close();
  }
}
