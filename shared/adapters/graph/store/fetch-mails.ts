import type { MailContent } from '../../mail-content.ts';
import type { FetchedMail, FetchOptions, ListedMail } from '../../store.ts';
import type { MailboxContext } from '../mailbox.ts';
import type { ContentPlaces } from './content-places.ts';
import { readContent } from './mail-content.ts';

/**
 * `StoreSession.fetch`: contents in the order asked for, the next ones on their way while one is read. Once the last has
 * come, and none waits that is too large to be held, what is fetched next may be asked for.
 */
export async function* fetchMails(
  context: MailboxContext,
  places: ContentPlaces,
  mails: readonly ListedMail[],
  options: FetchOptions,
): AsyncGenerator<FetchedMail> {
  const cut = new AbortController();
  const signal = AbortSignal.any([options.signal, cut.signal, ...(options.limit ? [options.limit] : [])]);
  const read = async (mail: ListedMail): Promise<MailContent> =>
    // Not of this mailbox, so this mailbox does not have it.
    mail.source.store === context.identity && mail.source.scope === ''
      ? await readContent(context, mail, { ...options, signal })
      : { kind: 'gone' };
  const ahead: ContentAhead[] = [];
  let next = 0;
  /** The one whose turn it is, until its content is `current`. */
  let awaited: ContentAhead | undefined;
  let current: MailContent | undefined;
  const tellAsked = () => {
    const hasAll = next === mails.length && ahead.every(({ isHeld }) => isHeld) && (awaited?.isHeld ?? true);
    if (hasAll && current?.kind !== 'stream') options.asked?.();
  };
  const fill = () => {
    // A stream is one of them until it has been read.
    while (ahead.length + (current?.kind === 'stream' ? 1 : 0) < places.atOnce) {
      const mail = mails[next];
      if (mail === undefined) break;
      next += 1;
      const one = new ContentAhead(places, mail, read(mail));
      ahead.push(one);
      one.whenHeld(tellAsked);
    }
    tellAsked();
  };
  try {
    fill();
    for (awaited = ahead.shift(); awaited !== undefined; awaited = ahead.shift()) {
      const { mail } = awaited;
      current = (await awaited.take()) ?? (await read(mail));
      awaited = undefined;
      fill();
      yield { mail, content: current };
      if (current.kind === 'stream') current.stream.destroy();
      current = undefined;
      fill();
    }
  } finally {
    if (current?.kind === 'stream') current.stream.destroy();
    cut.abort(new Error('the reader left'));
    for (const one of ahead) one.drop();
  }
}

/** A content that was asked for before its turn. */
class ContentAhead {
  readonly mail: ListedMail;
  readonly #places: ContentPlaces;
  readonly #content: Promise<MailContent | undefined>;
  #isTaken = false;
  #waits = false;
  #isHeld = false;

  constructor(places: ContentPlaces, mail: ListedMail, content: Promise<MailContent>) {
    this.#places = places;
    this.mail = mail;
    this.#content = content.then((read) => this.#keep(read));
    // Its failure is seen when its turn comes; if the reader leaves before, nobody needs it.
    this.#content.catch(() => undefined);
  }

  /** It has come, and takes no place any more. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** `tell` is called once it is. */
  whenHeld(tell: () => void): void {
    this.#content.then(
      () => this.#isHeld && tell(),
      () => undefined,
    );
  }

  /** The content, whose turn it is; undefined: it could not wait, and is to be asked for again. */
  async take(): Promise<MailContent | undefined> {
    this.#isTaken = true;
    const content = await this.#content;
    this.#endWaiting();
    return content;
  }

  /** Nobody reads it. */
  drop(): void {
    this.#content.then(
      (left) => {
        if (left?.kind === 'stream') left.stream.destroy();
        this.#endWaiting();
      },
      () => undefined,
    );
  }

  #keep(content: MailContent): MailContent | undefined {
    if (content.kind !== 'stream') {
      this.#isHeld = true;
      this.#places.held();
      return content;
    }
    if (this.#isTaken) return content;
    this.#waits = this.#places.wait();
    if (this.#waits) return content;
    content.stream.destroy();
    return undefined;
  }

  #endWaiting(): void {
    if (this.#waits) this.#places.waited();
    this.#waits = false;
  }
}
