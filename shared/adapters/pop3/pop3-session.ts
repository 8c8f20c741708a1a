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
import type { StoreFolder } from '../store-folder.ts';
import { sampleOf } from './checkpoint.ts';
import { disposeMails } from './dispose.ts';
import { fetchMails } from './fetch-mails.ts';
import { type SessionFetches, sessionFetches } from './fetch-together.ts';
import { readHeaders } from './headers.ts';
import { inboxOnly, listAll, listChanges, stillListed } from './listing.ts';
import type { MaildropContext, Pop3Sessions } from './pop3-sessions.ts';
import { receivedTime } from './received.ts';
import { encodeItem } from './source-id.ts';

/**
 * A signed-in POP3 session, which signs in again as often as its deletes ask for. Calls may overlap; each waits its
 * turn.
 */
export class Pop3Session implements StoreSession {
  readonly #context: MaildropContext;
  readonly #fetches: SessionFetches;
  #listed = false;

  constructor(sessions: Pop3Sessions, identity: string) {
    this.#context = { sessions, identity };
    this.#fetches = sessionFetches(this.#context);
  }

  /** Always ''. A session shows the maildrop as at its sign-in: for a round after the first there has to be a new one. */
  async scope(folder: string, signal: AbortSignal): Promise<string> {
    inboxOnly(folder);
    if (this.#listed) await this.#context.sessions.renew(signal);
    else await this.#context.sessions.exclusive(signal, async () => undefined);
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

  /** POP3 has one folder, and does not know whether a mail was read. */
  async folders(selected: readonly string[], signal: AbortSignal): Promise<readonly StoreFolder[]> {
    let total = 0;
    for await (const page of this.list('INBOX', { signal, pageSize: 1_000 })) total += page.length;
    return [{ name: 'INBOX', total, use: 'inbox', selected: selected.some((name) => name.toUpperCase() === 'INBOX') }];
  }

  stillListed(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlySet<ListedMail>> {
    return stillListed(this.#context, mails, signal);
  }

  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail> {
    return fetchMails(this.#context, this.#fetches, mails, options);
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
    const { sessions, identity } = this.#context;
    return sessions.exclusive(signal, async (maildrop) => {
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
    return this.#context.sessions.close();
  }
}
