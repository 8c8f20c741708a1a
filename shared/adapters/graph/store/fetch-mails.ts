import type { MailContent } from '../../mail-content.ts';
import type { FetchedMail, FetchOptions, ListedMail } from '../../store.ts';
import type { MailboxContext } from '../mailbox.ts';
import { readContent } from './mail-content.ts';

/**
 * Contents under way at a time. One fewer than the session may ask for at once: what waits here for its reader keeps
 * its place, and the reader may want something else of the session before it reads on.
 */
const concurrency = 2;

/** `StoreSession.fetch`: contents in the order asked for, the next on its way while one is read. */
export async function* fetchMails(
  context: MailboxContext,
  mails: readonly ListedMail[],
  options: FetchOptions,
): AsyncGenerator<FetchedMail> {
  const cut = new AbortController();
  const signal = AbortSignal.any([options.signal, cut.signal, ...(options.limit ? [options.limit] : [])]);
  const ahead: { readonly mail: ListedMail; readonly content: Promise<MailContent> }[] = [];
  let next = 0;
  let current: MailContent | undefined;
  const start = () => {
    const mail = mails[next];
    if (mail === undefined) return;
    next += 1;
    // Not of this mailbox, so this mailbox does not have it.
    const content: Promise<MailContent> =
      mail.source.store === context.identity && mail.source.scope === ''
        ? readContent(context, mail, { ...options, signal })
        : Promise.resolve({ kind: 'gone' });
    // Its failure is seen when its turn comes; if the consumer leaves before, nobody needs it.
    content.catch(() => undefined);
    ahead.push({ mail, content });
  };
  try {
    while (ahead.length < concurrency && next < mails.length) start();
    for (let one = ahead.shift(); one !== undefined; one = ahead.shift()) {
      const content = await one.content;
      current = content;
      // A stream is one of the two until it has been read.
      if (content.kind !== 'stream') start();
      yield { mail: one.mail, content };
      if (content.kind === 'stream') {
        content.stream.destroy();
        start();
      }
    }
  } finally {
    if (current?.kind === 'stream') current.stream.destroy();
    cut.abort(new Error('the reader left'));
    for (const { content } of ahead) {
      content.then(
        (left) => left.kind === 'stream' && left.stream.destroy(),
        () => undefined,
      );
    }
  }
}
