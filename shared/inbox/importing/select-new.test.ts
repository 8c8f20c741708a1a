import { describe, expect, it } from 'vitest';
import type { ListedMail } from '../../adapters/store.ts';
import { changeSession, fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { ledgerKey } from '../keys.ts';
import { listed, withRound } from './round.test-support.ts';
import { selectNew } from './select-new.ts';

/** Which of a page's mails are to be imported, on a mailbox in memory. */

const since = 1_790_000_000_000;
const nothing = new Set<string>();

/** An account that begins with mail of a time. `times`: what headers say, where they are read; `read`: whose were. */
function inboxSince(sinceAt: number | undefined, times?: Readonly<Record<number, number>>) {
  const inbox = new TestInbox();
  inbox.account = { ...inbox.account, sinceAt };
  const read: number[] = [];
  if (times) {
    const receivedTimes = async (mails: readonly ListedMail[]) => {
      read.push(...mails.map(({ source }) => Number(source.item)));
      return new Map(
        mails.flatMap((mail) =>
          Object.entries(times).flatMap(([n, at]) => (isItem(mail, n) ? [[mail, at] as const] : [])),
        ),
      );
    };
    changeSession(inbox, () => ({ receivedTimes }));
  }
  return { inbox, read };
}

const isItem = ({ source }: ListedMail, n: string) => Number(source.item) === Number(n);

/** What is selected of a page of these mails, by item; how many are skipped; items of rows that know an id otherwise. */
async function select(
  inbox: TestInbox,
  mails: readonly ListedMail[],
  {
    pendingKeys = nothing,
    retry = false,
  }: { readonly pendingKeys?: ReadonlySet<string>; readonly retry?: boolean } = {},
) {
  const found = { selected: [] as string[], skipped: 0, ambiguous: [] as string[] };
  await withRound(inbox, async ({ context, starts }) => {
    const { selected, ambiguousRows } = await selectNew(context, mails, {
      pendingKeys,
      retry,
      starts,
      idsChanged: false,
    });
    found.selected = selected.map(({ source }) => source.item);
    found.skipped = context.counts.skipped;
    found.ambiguous = ambiguousRows.map(({ item }) => item);
  });
  return found;
}

const items = (...numbers: readonly number[]) => numbers.map((n) => fakeMail(n).item);

describe('of an account that begins at a time', () => {
  it('mail of that very moment and later is selected, and what came before is skipped', async () => {
    const { inbox } = inboxSince(since);
    const mails = [since - 1, since, since + 1].map((receivedAt, n) => listed(inbox, n + 1, { receivedAt }));
    expect(await select(inbox, mails)).toEqual({ selected: items(2, 3), skipped: 1, ambiguous: [] });
  });

  it('headers decide where the listing does not say, and are read for no other mail', async () => {
    const { inbox, read } = inboxSince(since, { 1: since - 1, 2: since, 3: since - 1 });
    const mails = [listed(inbox, 1), listed(inbox, 2), listed(inbox, 3, { receivedAt: since }), listed(inbox, 4)];
    expect(await select(inbox, mails)).toEqual({ selected: items(2, 3, 4), skipped: 1, ambiguous: [] });
    expect(read).toEqual([1, 2, 4]);
  });

  it('mail that nobody can say the time of is selected', async () => {
    const { inbox } = inboxSince(since);
    expect(await select(inbox, [listed(inbox, 1)])).toEqual({ selected: items(1), skipped: 0, ambiguous: [] });
  });

  it('no header is read where the listing says it all', async () => {
    const { inbox, read } = inboxSince(since, {});
    expect((await select(inbox, [listed(inbox, 1, { receivedAt: since })])).selected).toEqual(items(1));
    let asked = false;
    changeSession(inbox, () => ({
      receivedTimes: async () => {
        asked = true;
        return new Map();
      },
    }));
    await select(inbox, [listed(inbox, 1, { receivedAt: since })]);
    expect([read, asked]).toEqual([[], false]);
  });

  it('a mail that is tried again is selected, whatever its header says', async () => {
    const { inbox } = inboxSince(since, { 1: since - 1 });
    expect((await select(inbox, [listed(inbox, 1)], { retry: true })).selected).toEqual(items(1));
  });

  it('a page of earlier mail and drafts alone is skipped', async () => {
    const { inbox } = inboxSince(since, {});
    const mails = [listed(inbox, 1, { receivedAt: since - 1 }), listed(inbox, 2, { draft: true, receivedAt: since })];
    expect(await select(inbox, mails)).toEqual({ selected: [], skipped: 2, ambiguous: [] });
  });
});

describe('of an account that begins with all mail', () => {
  it('all of it is selected, whenever it came, once, and no header is read', async () => {
    const { inbox, read } = inboxSince(undefined, { 1: 0 });
    const mails = [listed(inbox, 1), listed(inbox, 2, { receivedAt: 0 }), listed(inbox, 2, { receivedAt: 0 })];
    expect(await select(inbox, mails)).toEqual({ selected: items(1, 2), skipped: 0, ambiguous: [] });
    expect(read).toEqual([]);
  });

  it('a mail that waits to be tried again is left to that', async () => {
    const { inbox } = inboxSince(undefined);
    const mails = [listed(inbox, 1), listed(inbox, 2)];
    const pendingKeys = new Set(mails.slice(0, 1).map(({ source }) => ledgerKey(source)));
    expect((await select(inbox, mails, { pendingKeys })).selected).toEqual(items(2));
    expect((await select(inbox, mails.slice(0, 1), { pendingKeys, retry: true })).selected).toEqual(items(1));
  });
});

describe('a ledger row that knows the id of a mail with a content', () => {
  const withContent = `same ${'a'.repeat(64)}`;
  const at = (inbox: TestInbox, item: string): ListedMail => {
    const { source, ...mail } = listed(inbox, 1);
    return { ...mail, source: { ...source, item } };
  };

  /** An inbox that has imported such a mail, and another. */
  async function known(lastingIds: boolean) {
    const inbox = new TestInbox();
    inbox.store.abilities = { ...inbox.store.abilities, lastingIds };
    inbox.store.mails = [
      { ...fakeMail(1), item: withContent },
      { ...fakeMail(2), item: 'other' },
    ];
    expect(await importOnce(inbox)).toMatchObject({ imported: 2 });
    return inbox;
  }

  it('may be of that mail where ids do not last', async () => {
    const inbox = await known(false);
    const found = await select(inbox, [at(inbox, 'same'), at(inbox, 'other')]);
    expect(found).toMatchObject({ selected: ['same'], ambiguous: [withContent] });
  });

  it('is not where its own mail is listed beside it', async () => {
    const inbox = await known(false);
    const found = await select(inbox, [at(inbox, 'same'), at(inbox, withContent)]);
    expect(found).toMatchObject({ selected: ['same'], ambiguous: [] });
  });

  it('is not where ids last', async () => {
    const inbox = await known(true);
    expect(await select(inbox, [at(inbox, 'same')])).toMatchObject({ selected: ['same'], ambiguous: [] });
  });
});
