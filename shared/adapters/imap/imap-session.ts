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
} from '../store.ts';
import type { ImapConnection } from './connection.ts';
import { type DisposalContext, disposeMails } from './dispose.ts';
import { fetchMails } from './fetch-mails.ts';
import { listAll, listChanges } from './listing.ts';
import { Mailbox } from './mailbox.ts';
import { encodeScope } from './source-id.ts';
import { findSpecialFolder } from './special-folder.ts';

/** A signed-in IMAP session, kept from folder to folder. Calls may overlap; each command waits for those before it. */
export class ImapSession implements StoreSession {
  readonly #context: DisposalContext;
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
  }

  async scope(folder: string, signal: AbortSignal): Promise<string> {
    const { connection, mailbox } = this.#context;
    return encodeScope(await connection.exclusive(signal, () => mailbox.select(folder, signal, { fresh: true })));
  }

  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions): AsyncIterable<ChangePage> {
    return listChanges(this.#context, folder, checkpoint, options);
  }

  list(folder: string, options: ChangesOptions): AsyncIterable<readonly ListedMail[]> {
    return listAll(this.#context, folder, options);
  }

  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail> {
    return fetchMails(this.#context, mails, options);
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
