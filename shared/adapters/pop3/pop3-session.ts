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
  Vanished,
} from '../store.ts';
import { sampleOf } from './checkpoint.ts';
import { disposeMails } from './dispose.ts';
import { fetchMails } from './fetch-mails.ts';
import { readHeaders } from './headers.ts';
import { inboxOnly, type ListingContext, listAll, listChanges } from './listing.ts';
import type { Maildrops } from './maildrops.ts';
import { receivedTime } from './received.ts';
import { encodeItem } from './source-id.ts';

/** A signed-in POP3 session, which signs in anew as often as its deletes ask for. Calls may overlap; each waits its turn. */
export class Pop3Session implements StoreSession {
  readonly #context: ListingContext;
  #listed = false;

  constructor(maildrops: Maildrops, identity: string) {
    this.#context = { maildrops, identity };
  }

  /** Always ''. A session shows the maildrop as at its sign-in: for a round after the first there has to be a new one. */
  async scope(folder: string, signal: AbortSignal): Promise<string> {
    inboxOnly(folder);
    if (this.#listed) await this.#context.maildrops.renew(signal);
    else await this.#context.maildrops.exclusive(signal, async () => undefined);
    this.#listed = false;
    return '';
  }

  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions): AsyncIterable<ChangePage> {
    this.#listed = true;
    return listChanges(this.#context, folder, checkpoint, options);
  }

  list(folder: string, options: ChangesOptions): AsyncIterable<readonly ListedMail[]> {
    return listAll(this.#context, folder, options);
  }

  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail> {
    return fetchMails(this.#context, mails, options);
  }

  async receivedTimes(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlyMap<ListedMail, number>> {
    const times = new Map<ListedMail, number>();
    for (const [mail, header] of await readHeaders(this.#context, mails, signal)) {
      const time = receivedTime(header);
      if (time !== undefined) times.set(mail, time);
    }
    return times;
  }

  async vanished(folder: string, checkpoint: Checkpoint, signal: AbortSignal): Promise<Vanished> {
    inboxOnly(folder);
    const { maildrops, identity } = this.#context;
    return maildrops.exclusive(signal, async (maildrop) => {
      const sample = sampleOf(checkpoint);
      const missing = sample.filter((uidl) => maildrop.numbersOf(uidl).length === 0);
      return {
        sampled: sample.length,
        missing: missing.map((uidl) => ({ store: identity, scope: '', item: encodeItem({ uidl }) })),
      };
    });
  }

  dispose(
    targets: readonly DisposalTarget[],
    disposal: Disposal,
    options: DisposeOptions,
  ): Promise<readonly DisposalOutcome[]> {
    return disposeMails(this.#context, targets, disposal, options);
  }

  close(): Promise<void> {
    return this.#context.maildrops.close();
  }
}
