import type { ListedMail, SourceId } from '../store.ts';
import type { Maildrop } from './maildrop.ts';
import type { MaildropContext } from './pop3-sessions.ts';
import { decodeItem, type MailName } from './source-id.ts';

/** Header sections held at once at most: of a mail's usual header that is some kilobytes each. */
const BATCH = 100;

/** The name of a mail or target of this store; undefined for another's. */
export function nameOf(source: SourceId, identity: string): MailName | undefined {
  return source.store === identity && source.scope === '' ? decodeItem(source.item) : undefined;
}

/** Header sections of mails, those of them that can be had: by TOP, or where the server has none by RETR. */
export async function readHeaders(
  { sessions, identity }: MaildropContext,
  mails: readonly ListedMail[],
  signal: AbortSignal,
): Promise<ReadonlyMap<ListedMail, Buffer>> {
  const headers = new Map<ListedMail, Buffer>();
  for (let at = 0; at < mails.length; at += BATCH) {
    const batch = mails.slice(at, at + BATCH);
    await sessions.exclusive(signal, async (maildrop) => {
      const found = await locate(maildrop, identity, batch, signal);
      if (!maildrop.mayTop) return;
      const tops = await maildrop.headers([...found.values()], signal);
      for (const [index, mail] of [...found.keys()].entries()) {
        const header = tops[index];
        if (header) headers.set(mail, header);
      }
    });
    // Each on its own: after a long mail, which is not read to its end, the session is another.
    for (const mail of batch.filter((each) => !headers.has(each))) {
      await sessions.exclusive(signal, async (maildrop) => {
        const number = (await locate(maildrop, identity, [mail], signal)).get(mail);
        const header = number === undefined ? undefined : await maildrop.headerOfWhole(number, signal);
        if (header) headers.set(mail, header);
      });
    }
  }
  return headers;
}

/** Numbers of mails in this session; those that are not there, or cannot be distinguished from others, are left out. */
export async function locate(
  maildrop: Maildrop,
  identity: string,
  mails: readonly ListedMail[],
  signal: AbortSignal,
): Promise<ReadonlyMap<ListedMail, number>> {
  const found = new Map<ListedMail, number>();
  for (const mail of mails) {
    const name = nameOf(mail.source, identity);
    const number = name && (await maildrop.find(name, mail.size, signal))?.[0];
    if (number !== undefined) found.set(mail, number);
  }
  return found;
}
