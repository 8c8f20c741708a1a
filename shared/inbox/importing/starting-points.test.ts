import { describe, expect, it } from 'vitest';
import { type FolderEnd, type ListedMail, StoreError, type StoreSession } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { changeSession, fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { Checkpoints } from '../ledger/checkpoints.ts';
import { readHeld, readStartingPoint } from '../ledger/starting-point.ts';
import type { ImportContext } from '../session/import-context.ts';
import { withSession } from '../session/with-session.ts';
import { runImport } from './run.ts';
import { StartingPoints } from './starting-points.ts';

/** `since: "now"`, on a mailbox in memory. */

const signal = new AbortController().signal;

const importNow = async (inbox: TestInbox) => {
  inbox.now += 60_000;
  await runImport(inbox.context, inbox.name, {});
};

const imported = async (inbox: TestInbox) =>
  (await inbox.rowsOf(prefixes.ledger))
    .filter(({ columns }) => columns.state === 'imported')
    .map(({ columns }) => columns.messageId);

/** `sinceId`: which `since: "now"` it is; `session`: what its server can do besides. */
function inboxSince(sinceId: string, session: (inbox: TestInbox) => Partial<StoreSession> = () => ({})): TestInbox {
  const inbox = new TestInbox();
  inbox.account = { ...inbox.account, sinceId };
  changeSession(inbox, () => session(inbox));
  return inbox;
}

/** A server whose items sort by arrival. */
const ordered = (inbox: TestInbox): Partial<StoreSession> => ({
  end: async (): Promise<FolderEnd> => {
    const last = inbox.store.mails.at(-1);
    const end = { scope: inbox.store.scopeName, item: last?.item ?? '' };
    return last ? { ...end, newestAt: last.receivedAt } : end;
  },
});

/** Uses the starting points as a round of an import does. */
async function within<T>(
  inbox: TestInbox,
  use: (starts: StartingPoints, context: ImportContext) => Promise<T>,
): Promise<T> {
  inbox.now += 1_000;
  const session = { runId: newestFirstId(inbox.now), purpose: 'import' as const, budgetMs: 60_000, signal };
  const result = await withSession(inbox.context, inbox.name, session, async (context) =>
    use(new StartingPoints(context, await Checkpoints.read(context)), context),
  );
  if (result.kind !== 'done') throw new Error(result.kind);
  return result.result;
}

const listed = (inbox: TestInbox, item: string, receivedAt?: number, scope = inbox.store.scopeName): ListedMail => ({
  source: { store: inbox.store.identity, scope, item },
  folder: 'INBOX',
  ...(receivedAt === undefined ? {} : { receivedAt }),
});

/** Which of these the folder held already. */
const heldOf = (inbox: TestInbox, mails: readonly ListedMail[], idsChanged = false) =>
  within(inbox, async (starts) => [...(await starts.held(mails, idsChanged))].map(({ source }) => source.item));

describe.each([
  ['whose items sort by arrival', ordered],
  ['whose items do not', () => ({})],
])('a server %s', (_, session) => {
  it('leaves out what the folder held at the first contact, and brings what came later', async () => {
    const inbox = inboxSince('first', session);
    inbox.store.mails = [1, 2].map(fakeMail);
    await importNow(inbox);
    expect(await imported(inbox)).toEqual([]);
    inbox.store.mails.push(fakeMail(3));
    await importNow(inbox);
    expect(await imported(inbox)).toEqual(['<3@example.net>']);
  });

  it('of an empty folder leaves out nothing', async () => {
    const inbox = inboxSince('first', session);
    await importNow(inbox);
    inbox.store.mails = [fakeMail(1)];
    await importNow(inbox);
    expect(await imported(inbox)).toEqual(['<1@example.net>']);
  });

  it('begins anew where the account is told so anew', async () => {
    const inbox = inboxSince('first', session);
    inbox.store.mails = [fakeMail(1)];
    await importNow(inbox);
    inbox.account = { ...inbox.account, sinceId: 'second' };
    inbox.store.mails.push(fakeMail(2));
    await importNow(inbox);
    inbox.store.mails.push(fakeMail(3));
    await importNow(inbox);
    expect(await imported(inbox)).toEqual(['<3@example.net>']);
  });

  it('whose ids changed: the server’s own time decides', async () => {
    const inbox = inboxSince('first', session);
    inbox.store.mails = [1, 2].map(fakeMail);
    await importNow(inbox);
    const newest = fakeMail(2).receivedAt;
    const scope = 'INBOX;8';
    const mails = [
      listed(inbox, 'a', newest, scope),
      listed(inbox, 'b', newest + 1, scope),
      listed(inbox, 'c', undefined, scope),
    ];
    expect(await heldOf(inbox, mails, true)).toEqual(['a']);
  });

  it('imports nothing of a folder whose content cannot be noted', async () => {
    const inbox = inboxSince('first', session);
    inbox.store.mails = [fakeMail(1)];
    let scopes = 0;
    inbox.store.failure = () => {
      scopes += 1;
      // The scope is told, and the listing behind it fails.
      if (scopes > 1) throw new StoreError('connection', 'the line broke');
    };
    const open = inbox.store.open.bind(inbox.store);
    inbox.store.open = async () => {
      const opened = await open();
      const { end } = opened;
      if (!end) return opened;
      return {
        ...opened,
        end: async (...args: Parameters<NonNullable<StoreSession['end']>>) => {
          inbox.store.failure('INBOX');
          return await end(...args);
        },
      };
    };
    await importNow(inbox);
    expect(await inbox.rowsOf(prefixes.startingPoint)).toEqual([]);
    inbox.store.failure = () => undefined;
    inbox.store.mails.push(fakeMail(2));
    await importNow(inbox);
    expect(await imported(inbox)).toEqual([]);
    inbox.store.mails.push(fakeMail(3));
    await importNow(inbox);
    expect(await imported(inbox)).toEqual(['<3@example.net>']);
  });
});

describe('an order', () => {
  it('leaves out up to its last item, and nothing behind it', async () => {
    const inbox = inboxSince('first', ordered);
    inbox.store.mails = [1, 2].map(fakeMail);
    await importNow(inbox);
    const mails = [1, 2, 3].map((n) => listed(inbox, fakeMail(n).item));
    expect(await heldOf(inbox, mails)).toEqual([fakeMail(1).item, fakeMail(2).item]);
  });

  it('leaves out what lies before its last item, also what was not listed then', async () => {
    const inbox = inboxSince('first', ordered);
    inbox.store.mails = [fakeMail(2)];
    await importNow(inbox);
    expect(await heldOf(inbox, [listed(inbox, fakeMail(1).item)])).toEqual([fakeMail(1).item]);
  });
});

describe('a set', () => {
  it('knows each of many mails, in rows that an entity can hold', async () => {
    const inbox = inboxSince('first');
    inbox.store.mails = Array.from({ length: 5_100 }, (_, n) => fakeMail(n));
    await within(inbox, async (starts) => await starts.note('INBOX'));
    // The point, and hashes of 2,500 mails a row.
    expect(await inbox.rowsOf(prefixes.startingPoint)).toHaveLength(1 + 3);
    const some = [0, 2_499, 2_500, 5_099].map((n) => listed(inbox, fakeMail(n).item));
    expect(await heldOf(inbox, [...some, listed(inbox, fakeMail(5_100).item)])).toEqual(
      some.map(({ source }) => source.item),
    );
    const held = await within(inbox, async (_, context) => await readHeld(context, 'INBOX', 'first'));
    expect(held.size).toBe(5_100);
  });

  it('is noted in the form in which later versions look for it', async () => {
    const inbox = inboxSince('first');
    inbox.store.mails = [fakeMail(1)];
    await within(inbox, async (starts) => await starts.note('INBOX'));
    const held = await within(inbox, async (_, context) => await readHeld(context, 'INBOX', 'first'));
    expect([...held]).toEqual(['0HPdYgj3YXlC']);
  });

  it('is read once for all mails of a round', async () => {
    const inbox = inboxSince('first');
    inbox.store.mails = Array.from({ length: 20 }, (_, n) => fakeMail(n));
    await within(inbox, async (starts) => await starts.note('INBOX'));
    const mails = inbox.store.mails.map(({ item }) => listed(inbox, item));
    await within(inbox, async (starts) => {
      const requests = async (some: readonly ListedMail[]) => {
        const before = inbox.rows.requests;
        await starts.held(some, false);
        return inbox.rows.requests - before;
      };
      expect(await requests(mails.slice(0, 1))).toBeGreaterThan(0);
      expect(await requests(mails)).toBe(0);
    });
  });

  it('that was cut while it was noted is gone on with, and not begun again', async () => {
    let cut = true;
    const inbox = inboxSince('first', ({ store }) => ({
      changes: async function* (_, checkpoint) {
        const from = Number(checkpoint?.page ?? 0);
        pages.push(from);
        for (let page = from; page < 4; page += 1) {
          if (cut && page === 2) throw new StoreError('connection', 'the line broke');
          const mails = Array.from({ length: 2_500 }, (_, n) => ({
            source: { store: store.identity, scope: store.scopeName, item: `${page}-${n}` },
            folder: 'INBOX',
            receivedAt: page,
          }));
          yield { mails, checkpoint: { page: page + 1 } };
        }
      },
    }));
    const pages: number[] = [];
    await within(inbox, async (starts) => {
      await expect(starts.note('INBOX')).rejects.toThrow('the line broke');
      await expect(starts.note('INBOX')).rejects.toThrow('the line broke');
    });
    expect(await within(inbox, async (starts) => starts.isMissing('INBOX'))).toBe(true);
    cut = false;
    const point = await within(inbox, async (starts, context) => {
      await starts.note('INBOX');
      expect(starts.isMissing('INBOX')).toBe(false);
      return await readStartingPoint(context, 'INBOX');
    });
    expect(pages).toEqual([0, 2, 2]);
    expect(point).toMatchObject({ since: 'first', newestAt: 3, place: { kind: 'set', rows: 5 } });
    const some = ['0-0', '1-2499', '3-2499'].map((item) => listed(inbox, item));
    expect(await heldOf(inbox, [...some, listed(inbox, '4-0')])).toEqual(['0-0', '1-2499', '3-2499']);
  });

  it('of a listing without times asks for those of its last mails only', async () => {
    const asked: number[] = [];
    const inbox = inboxSince('first', ({ store }) => ({
      changes: async function* () {
        const mails = store.mails.map(({ item }) => ({
          source: { store: store.identity, scope: store.scopeName, item },
          folder: 'INBOX',
        }));
        yield { mails, checkpoint: { n: 1 } };
      },
      receivedTimes: async (mails) => {
        asked.push(mails.length);
        return new Map(mails.map((mail) => [mail, Number(mail.source.item)]));
      },
    }));
    inbox.store.mails = Array.from({ length: 50 }, (_, n) => fakeMail(n));
    const point = await within(inbox, async (starts, context) => {
      await starts.note('INBOX');
      return await readStartingPoint(context, 'INBOX');
    });
    expect(point?.newestAt).toBe(49);
    // Ids that the server gave anew: their times are asked for too, all at once.
    const anew = ['0048', '0049', '0050'].map((item) => listed(inbox, item));
    expect(await heldOf(inbox, anew, true)).toEqual(['0048', '0049']);
    expect(asked).toEqual([20, 3]);
    // Not of those whose listing says it.
    const known = [listed(inbox, '0051', 49), listed(inbox, '0052', 50)];
    expect(await heldOf(inbox, known, true)).toEqual(['0051']);
    expect(asked).toEqual([20, 3]);
    expect(await heldOf(inbox, [...known, listed(inbox, '0049')], true)).toEqual(['0051', '0049']);
    expect(asked).toEqual([20, 3, 1]);
  });

  it('of few mails, or of none, asks for the times of those', async () => {
    const asked: number[] = [];
    const inbox = inboxSince('first', (its) => ({
      changes: async function* () {
        const mails = its.store.mails.map(({ item }) => listed(its, item));
        yield { mails, checkpoint: { n: 1 } };
      },
      receivedTimes: async (mails) => {
        asked.push(mails.length);
        return new Map();
      },
    }));
    await within(inbox, async (starts) => await starts.note('INBOX'));
    inbox.account = { ...inbox.account, sinceId: 'second' };
    inbox.store.mails = [1, 2].map(fakeMail);
    await within(inbox, async (starts) => await starts.note('INBOX'));
    expect(asked).toEqual([0, 2]);
  });
});

describe('another store for the same account', () => {
  it('has nothing imported that came before the last mail of the first one', async () => {
    const inbox = inboxSince('first', ordered);
    inbox.store.mails = [fakeMail(1)];
    await importNow(inbox);
    inbox.store.mails.push(fakeMail(2));
    await importNow(inbox);
    Object.assign(inbox.store, { identity: 'imap:another' });
    // The new one holds copies of both, one that came meanwhile, and one that comes later.
    inbox.store.mails = [1, 2, 3].map(fakeMail);
    await importNow(inbox);
    inbox.store.mails.push(fakeMail(4));
    await importNow(inbox);
    expect(await imported(inbox)).toEqual(['<2@example.net>', '<3@example.net>', '<4@example.net>']);
  });

  it('has imported what comes after the first contact, however old it says it is', async () => {
    const inbox = inboxSince('first', ordered);
    await importNow(inbox);
    inbox.store.mails = [fakeMail(2)];
    await importNow(inbox);
    Object.assign(inbox.store, { identity: 'imap:another' });
    inbox.store.mails = [fakeMail(2)];
    await importNow(inbox);
    inbox.store.mails.push({ ...fakeMail(4), receivedAt: fakeMail(1).receivedAt });
    await importNow(inbox);
    expect(await imported(inbox)).toEqual(['<2@example.net>', '<4@example.net>']);
  });
});

describe('a folder of which nothing is noted', () => {
  it('is not known to have held anything, until it is noted', async () => {
    const inbox = inboxSince('first');
    inbox.store.mails = [fakeMail(1)];
    const mails = [listed(inbox, fakeMail(1).item)];
    await within(inbox, async (starts) => {
      expect([...(await starts.held(mails, false))]).toEqual([]);
      await starts.note('INBOX');
      expect([...(await starts.held(mails, false))]).toEqual(mails);
    });
  });

  it.each([
    ['by order', ordered],
    ['as a set', () => ({})],
  ])(
    'with a newer `since` of the account: what was noted under the older one no longer counts, %s',
    async (_, session) => {
      const inbox = inboxSince('first', session);
      inbox.store.mails = [fakeMail(1)];
      await importNow(inbox);
      inbox.account = { ...inbox.account, sinceId: 'second' };
      expect(await heldOf(inbox, [listed(inbox, fakeMail(1).item)])).toEqual([]);
    },
  );
});

it('an account that is told later to import everything goes on where it is', async () => {
  const inbox = inboxSince('first');
  inbox.store.mails = [fakeMail(1)];
  await importNow(inbox);
  inbox.account = { ...inbox.account, sinceId: undefined };
  inbox.store.mails.push(fakeMail(2));
  await importNow(inbox);
  expect(await imported(inbox)).toEqual(['<2@example.net>']);
});

it('an account that imports everything has no starting point', async () => {
  const inbox = new TestInbox();
  inbox.store.mails = [fakeMail(1)];
  const missing = await within(inbox, async (starts) => {
    await starts.note('INBOX');
    return starts.isMissing('INBOX');
  });
  expect([missing, await heldOf(inbox, [listed(inbox, fakeMail(1).item, 0)], true)]).toEqual([false, []]);
  expect(await inbox.rowsOf(prefixes.startingPoint)).toEqual([]);
});
