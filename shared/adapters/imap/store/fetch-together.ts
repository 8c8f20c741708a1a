import { type JoinedFetch, JoinedFetches } from '../../joined-fetches.ts';
import type { MailContent } from '../../mail-content.ts';
import type { FetchedMail } from '../../store.ts';
import type { FetchRow } from '../answers.ts';
import { atom, bodyPeek, type CommandNode } from '../command-arguments.ts';
import type { Refusal } from '../mailbox.ts';
import { encodeScope, type LocatedMail, sameFolder } from '../source-id.ts';
import { type SessionFetches, sizeOf } from './fetch-mails.ts';
import type { ListingContext } from './listing.ts';
import { expectedSize, smallContent, withheld } from './mail-content.ts';

/** Longest header section kept of a mail too large to import. */
const MAX_HEADER = 1024 * 1024;

const wholeMail: readonly CommandNode[] = [atom('UID'), bodyPeek([])];
const headerOnly: readonly CommandNode[] = [atom('UID'), bodyPeek([atom('HEADER')], [0, MAX_HEADER])];

type Fetch = JoinedFetch<LocatedMail, readonly FetchedMail[]>;

/** The fetches of a session: mails of one folder, and of several fetches, by one command. */
export function sessionFetches(context: ListingContext): SessionFetches {
  return new JoinedFetches<undefined, LocatedMail, readonly FetchedMail[]>({
    nothing: [],
    exclusive: (signal, work) => context.connection.exclusive(signal, () => work(undefined)),
    run: (_, fetches) => fetchTogether(context, fetches),
    sizeOf,
    together: (one, other) => encodeScope(one.scope) === encodeScope(other.scope),
  });
}

async function fetchTogether({ connection, mailbox }: ListingContext, fetches: readonly Fetch[]): Promise<void> {
  const { scope, options } = placeOf(fetches);
  if (scope === undefined || options === undefined) return;
  const { signal, headersOnly } = options;
  const opened = await mailbox.select(scope.folder, signal);
  if (!sameFolder(opened, scope)) {
    for (const one of fetches) one.answer(one.mails.map(({ subject }) => ({ mail: subject, content: gone })));
    return;
  }
  const uids = fetches.flatMap(({ mails }) => mails.map(({ uid }) => uid));
  const rows = new Map<number, FetchRow>();
  const contentOf = ({ uid, subject }: LocatedMail, refusal: Refusal | undefined, isThere: boolean): MailContent => {
    const body = rows.get(uid)?.body;
    if (body === undefined) return isThere ? withheld(refusal) : gone;
    const expected = headersOnly ? undefined : expectedSize(connection.serverName, subject.size);
    return smallContent(body, subject.size, expected);
  };
  const answer = (one: Fetch, refused: ReadonlyMap<number, Refusal>, still: ReadonlySet<number>) =>
    one.answer(
      one.mails.map((mail) => ({
        mail: mail.subject,
        content: contentOf(mail, refused.get(mail.uid), still.has(mail.uid)),
      })),
    );
  const isMissing = (uid: number) => rows.get(uid)?.body === undefined;
  try {
    const { refused } = await mailbox.fetchRows(uids, headersOnly ? headerOnly : wholeMail, signal, rows);
    const missing = uids.filter(isMissing);
    const still = missing.length === 0 ? new Set<number>() : await mailbox.existing(missing, signal);
    for (const one of fetches) answer(one, refused, still);
  } catch (error) {
    // Mails that came whole before the line broke are nobody's trouble: the fetch that it broke in fails.
    for (const one of fetches) {
      if (!one.mails.some(({ uid }) => isMissing(uid))) answer(one, new Map(), new Set());
    }
    throw error;
  }
}

const gone: MailContent = { kind: 'gone' };

/** Where the first fetch is, which is where all of them are. */
function placeOf([first]: readonly Fetch[]) {
  return { scope: first?.mails[0]?.scope, options: first?.options };
}
