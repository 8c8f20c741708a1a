import { afterEach, describe, expect, it, vi } from 'vitest';
import { turns } from '../../../test/support/turns.ts';
import { BrokenMail } from '../../adapters/mail-content.ts';
import { type ListedMail, StoreError } from '../../adapters/store.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { pageSize } from './commit.ts';
import { timeMachine } from './pages.test-support.ts';

/** Pages of an import that are in work at the same time, on a mailbox and rows in memory. */

afterEach(() => vi.restoreAllMocks());

const pages = 6;
const mails = Array.from({ length: pages * pageSize }, (_, n) => fakeMail(n + 1));
const pageOf = (item: string) => Math.ceil(Number(item) / pageSize);

function filled(rule: Readonly<Record<string, unknown>> = {}): TestInbox {
  const inbox = new TestInbox(rule);
  inbox.store.mails = [...mails];
  return inbox;
}

const items = async (inbox: TestInbox) => (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.item);
const all = mails.map(({ item }) => item);
const isCommit = (writes: readonly RowWrite[]) =>
  writes.some(({ kind, key }) => kind === 'insert' && key.startsWith(prefixes.ledger));

/** Storage is away at the second commit, which fails once `behind` has come about. */
function failSecondCommit(inbox: TestInbox, behind: Promise<void>): void {
  let commits = 0;
  inbox.rows.onWrite = async (_, writes) => {
    if (!isCommit(writes)) return;
    commits += 1;
    if (commits !== 2) return;
    await behind;
    throw new Error('storage is away');
  };
}

/** The server says that every mail has so many octets; undefined: it says nothing of them. */
function listWithSize(inbox: TestInbox, size: number | undefined): void {
  const { open } = inbox.store;
  inbox.store.open = async (options) => {
    const session = await open.call(inbox.store, options);
    const { changes } = session;
    session.changes = async function* (...asked) {
      for await (const page of changes(...asked)) {
        yield { ...page, mails: page.mails.map(({ size: _, ...mail }) => ({ ...mail, ...(size ? { size } : {}) })) };
      }
    };
    return session;
  };
}

async function nothingOpen(inbox: TestInbox): Promise<void> {
  for (const prefix of [prefixes.inProgress, prefixes.unfinished, prefixes.pending]) {
    expect(await inbox.rowsOf(prefix)).toEqual([]);
  }
}

describe('a page', () => {
  it('is fetched while the one before it is committed, and committed after it', async () => {
    const inbox = filled();
    const fetched = Promise.withResolvers<void>();
    inbox.store.content = ({ item }) => {
      if (pageOf(item) === 2) fetched.resolve();
      return undefined;
    };
    const checkpoints: number[] = [];
    let first = true;
    inbox.rows.onWrite = async (_, writes) => {
      if (!isCommit(writes)) return;
      if (first) {
        first = false;
        await fetched.promise;
      }
      const saved = writes.find(({ key }) => key.startsWith(prefixes.checkpoint));
      if (saved?.kind === 'put') checkpoints.push(pageOf(JSON.parse(String(saved.columns.json0)).item));
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length });
    expect(checkpoints).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await items(inbox)).toEqual(all);
    await nothingOpen(inbox);
  });

  it('is asked for while the answer to the one before it is read', async () => {
    const inbox = filled();
    const { open } = inbox.store;
    const second = Promise.withResolvers<void>();
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { fetch } = session;
      session.fetch = async function* (asked, how) {
        if (pageOf(asked[0]?.source.item ?? '') === 2) second.resolve();
        for await (const one of fetch(asked, how)) {
          // The first page is asked for, and nothing of it has come.
          await second.promise;
          yield one;
        }
      };
      return session;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length });
    expect(await items(inbox)).toEqual(all);
    await nothingOpen(inbox);
  });

  it.each([
    { what: 'while two before it are written, where all of them are small', size: 10_000, waits: false },
    { what: 'when the first of two before it is written, where they are large', size: 400_000, waits: true },
    {
      what: 'when the first of two before it is written, where nobody knows their sizes',
      size: undefined,
      waits: true,
    },
  ])('is asked for $what', async ({ size, waits }) => {
    const inbox = filled();
    listWithSize(inbox, size);
    const { open } = inbox.store;
    const third = Promise.withResolvers<void>();
    let held = true;
    let came: boolean | undefined;
    /** The contents of the first two pages come when the third is asked for, or when it could have been for long. */
    const hold = async () => {
      await Promise.race([third.promise, turns(200)]);
      held = false;
    };
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { fetch } = session;
      session.fetch = async function* (asked, how) {
        const page = pageOf(asked[0]?.source.item ?? '');
        if (page === 3) {
          came = held;
          third.resolve();
        }
        for await (const one of fetch(asked, how)) {
          if (page < 3 && held) await hold();
          yield one;
        }
      };
      return session;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length });
    expect(came).toBe(!waits);
    await nothingOpen(inbox);
  });

  it('is noted when no more than eleven before it are not committed', async () => {
    const inbox = filled();
    inbox.store.mails = Array.from({ length: 16 * pageSize }, (_, n) => fakeMail(n + 1));
    const thirteenth = Promise.withResolvers<void>();
    const beside: number[] = [];
    inbox.rows.onWrite = async (_, writes) => {
      if (isCommit(writes)) {
        await Promise.race([thirteenth.promise, turns(200)]);
      } else if (writes.some(({ kind, key }) => kind === 'put' && key.startsWith(prefixes.inProgress))) {
        beside.push(inbox.rows.keys(inbox.name, prefixes.inProgress).length);
        if (beside.length === 13) thirteenth.resolve();
      }
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 16 * pageSize });
    expect(beside).toHaveLength(16);
    expect(Math.max(...beside)).toBe(11);
    await nothingOpen(inbox);
  });

  it('is compared with the ledger while the one before it is noted', async () => {
    const inbox = filled();
    const compared = Promise.withResolvers<void>();
    const { range } = inbox.rows;
    let reads = 0;
    inbox.rows.range = (...asked) => {
      if (asked[1].startsWith(prefixes.ledger)) reads += 1;
      if (reads === 2) compared.resolve();
      return range.apply(inbox.rows, asked);
    };
    inbox.rows.onWrite = async (_, writes) => {
      if (writes.some(({ kind, key }) => kind === 'put' && key.startsWith(prefixes.inProgress))) await compared.promise;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length });
    expect(await items(inbox)).toEqual(all);
    await nothingOpen(inbox);
  });

  it('is left behind the checkpoint, without blame, where the one before it could not be noted', async () => {
    const inbox = filled();
    let notes = 0;
    inbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind, key }) => kind === 'put' && key.startsWith(prefixes.inProgress))) return;
      notes += 1;
      if (notes === 2) throw new Error('storage is away');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: pageSize });
    expect(notes).toBeGreaterThan(2);
    expect(await items(inbox)).toEqual(all.slice(0, pageSize));
    await nothingOpen(inbox);
    inbox.rows.onWrite = () => undefined;
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length - pageSize });
    expect(await items(inbox)).toEqual(all);
  });

  it.each([
    {
      ...{ what: 'when the one before it was asked for', share: 0 },
      order: ['1 begins', '1 asked for', '2 begins', '1 given', '2 asked for', '2 given'],
    },
    {
      ...{ what: 'later in a run, when the one before it was given', share: 0.6 },
      order: ['1 begins', '1 asked for', '1 given', '2 begins', '2 asked for', '2 given'],
    },
  ])('is asked for $what, and no earlier', async ({ share, order }) => {
    const inbox = filled();
    inbox.store.mails = mails.slice(0, 2 * pageSize);
    const pass = timeMachine(inbox);
    const told: string[] = [];
    const { open } = inbox.store;
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { changes, fetch } = session;
      session.changes = async function* (...args) {
        pass(share);
        yield* changes(...args);
      };
      session.fetch = async function* (asked, how) {
        const page = pageOf(asked[0]?.source.item ?? '');
        told.push(`${page} begins`);
        await turns();
        told.push(`${page} asked for`);
        how.asked?.();
        yield* fetch(asked, { ...how, asked: () => undefined });
        told.push(`${page} given`);
      };
      return session;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 2 * pageSize });
    expect(told).toEqual(order);
  });

  it('that was not fetched for want of time is left to a run that follows at once, also where it is the last', async () => {
    const inbox = filled();
    inbox.store.mails = mails.slice(0, 3 * pageSize);
    listWithSize(inbox, undefined);
    const pass = timeMachine(inbox);
    inbox.store.content = ({ item }) => {
      if (Number(item) === 2 * pageSize) pass(0.85);
      return undefined;
    };
    expect(await importOnce(inbox)).toMatchObject({ imported: 2 * pageSize });
    expect(inbox.queued).toEqual([inbox.name]);
  });

  it('is committed while the events of the one before it are under way', async () => {
    const inbox = filled();
    const third = Promise.withResolvers<void>();
    let commits = 0;
    inbox.rows.onWrite = (_, writes) => {
      if (!isCommit(writes)) return;
      commits += 1;
      if (commits === 3) third.resolve();
    };
    const { publish } = inbox.context.events;
    inbox.context.events.publish = async (event) => {
      await third.promise;
      await publish(event);
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length });
    expect(inbox.events).toHaveLength(mails.length);
    await nothingOpen(inbox);
  });

  it('waits for one that has a mail in common with it', async () => {
    const inbox = filled();
    const { open } = inbox.store;
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { changes } = session;
      // What a server may do: the last mail of a page is the first of the next one again.
      session.changes = async function* (folder, checkpoint, how) {
        let last: readonly ListedMail[] = [];
        for await (const page of changes(folder, checkpoint, how)) {
          yield { ...page, mails: [...last, ...page.mails.slice(0, pageSize - last.length)] };
          const left = page.mails.slice(pageSize - last.length);
          last = page.mails.slice(-1);
          if (left.length > 0) yield { ...page, mails: left };
        }
      };
      return session;
    };
    const fetched: string[] = [];
    inbox.store.content = ({ item }) => {
      fetched.push(item);
      return undefined;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: mails.length });
    expect(fetched.sort()).toEqual(all);
    expect(inbox.events).toHaveLength(mails.length);
  });

  it('is left behind the checkpoint, without blame, where the one before it cannot be committed', async () => {
    const inbox = filled();
    const begun = Promise.withResolvers<void>();
    inbox.store.content = ({ item }) => {
      if (pageOf(item) === 3) begun.resolve();
      return undefined;
    };
    failSecondCommit(inbox, begun.promise);
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: pageSize });
    expect(await items(inbox)).toEqual(all.slice(0, pageSize));
    // The page that failed stands; of those behind it only what they may have written.
    expect(await inbox.rowsOf(prefixes.inProgress)).toHaveLength(1);
    inbox.rows.onWrite = () => undefined;
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done' });
    expect(await items(inbox)).toEqual(all);
    expect(new Set(inbox.events.map(({ subject }) => subject)).size).toBe(mails.length);
    expect(inbox.events).toHaveLength(mails.length);
    await nothingOpen(inbox);
  });

  it('is not begun any more once the events of one could not be published, however many there are', async () => {
    const inbox = filled();
    inbox.store.mails = Array.from({ length: 30 * pageSize }, (_, n) => fakeMail(n + 1));
    let noted = 0;
    inbox.rows.onWrite = (_, writes) => {
      noted += writes.filter(({ kind, key }) => kind === 'put' && key.startsWith(prefixes.inProgress)).length;
    };
    inbox.context.events.publish = async () => {
      throw new Error('the queue is away');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed' });
    // Those that were in work beside it, and what waits for its events.
    expect(noted).toBeLessThanOrEqual(17);
  });

  it('that is abandoned does not end the session, which other folders and disposals use', async () => {
    const inbox = filled();
    const fetching = Promise.withResolvers<void>();
    const aborted: boolean[] = [];
    const { open } = inbox.store;
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { fetch } = session;
      session.fetch = async function* (wanted, how) {
        for await (const one of fetch(wanted, how)) {
          if (pageOf(one.mail.source.item) === 3) fetching.resolve();
          yield one;
          aborted.push(how.signal.aborted);
        }
      };
      return session;
    };
    failSecondCommit(inbox, fetching.promise);
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: pageSize });
    expect(aborted).not.toContain(true);
  });

  it.each([
    { what: 'large', size: undefined, later: 0, fetched: 2 },
    // The first three are asked for together; then the time is over in which that is done.
    { what: 'small', size: 10_000, later: 0.6, fetched: 3 },
  ])(
    'of $what mail is not fetched where the time of the run ended while it waited: the next run lists it again',
    async ({ size, later, fetched }) => {
      const inbox = filled();
      listWithSize(inbox, size);
      const pass = timeMachine(inbox);
      inbox.store.content = ({ item }) => {
        if (item === mails[0]?.item) pass(later);
        // A page is noted and waits for this one, and the time goes in which another may begin.
        if (Number(item) === fetched * pageSize) pass(0.85 - later);
        return undefined;
      };
      expect((await importOnce(inbox)).imported).toBe(fetched * pageSize);
      expect(await inbox.rowsOf(prefixes.pending)).toEqual([]);
      expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
      inbox.store.content = () => undefined;
      inbox.now += 10 * 60_000;
      await importOnce(inbox);
      expect(await items(inbox)).toEqual(all);
      await nothingOpen(inbox);
    },
  );

  it('has its own time, which begins when the one before it has been handed out or set aside', async () => {
    const inbox = filled();
    Object.assign(inbox.context, { budgetMs: 3_000 });
    const stalled = Promise.withResolvers<void>();
    const { open } = inbox.store;
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { fetch } = session;
      session.fetch = async function* (wanted, how) {
        const page = pageOf(wanted[0]?.source.item ?? '');
        for await (const one of fetch(wanted, how)) {
          if (page === 1 && wanted.length > 1) {
            // The server stands still until nobody waits any more, and with it what is asked for behind.
            await new Promise<void>((resolve) => how.limit?.addEventListener('abort', () => resolve(), { once: true }));
            // It takes a moment to come back.
            setTimeout(stalled.resolve, 100);
            return;
          }
          await stalled.promise;
          yield one;
        }
      };
      return session;
    };
    inbox.rows.onWrite = (_, writes) => {
      for (const { key, kind } of writes) if (kind !== 'delete' && key.startsWith(prefixes.pending)) waited.push(key);
    };
    const waited: string[] = [];
    await importOnce(inbox);
    expect(new Set(waited).size).toBe(pageSize);
    await nothingOpen(inbox);
    expect((await items(inbox)).toSorted()).toEqual(all.toSorted());
  });

  it('during which the line breaks takes nothing from those before it, and those behind it are listed again', async () => {
    const inbox = filled();
    let broken = true;
    const { open } = inbox.store;
    inbox.store.open = async (options) => {
      const session = await open.call(inbox.store, options);
      const { fetch } = session;
      session.fetch = async function* (wanted, how) {
        if (broken && wanted.some(({ source }) => pageOf(source.item) === 3)) {
          throw new StoreError('connection', 'the line broke');
        }
        yield* fetch(wanted, how);
      };
      return session;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 2 * pageSize });
    expect(await items(inbox)).toEqual(all.slice(0, 2 * pageSize));
    const pending = await inbox.rowsOf(prefixes.pending);
    expect(pending.map(({ columns }) => columns.attempts)).toEqual(Array(pageSize).fill(0));
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
    broken = false;
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 4 * pageSize });
    expect(await items(inbox)).toEqual(all);
    await nothingOpen(inbox);
  });

  it('of one mail is not blamed for the end of the process where another page was in progress', async () => {
    const inbox = filled();
    inbox.store.mails = mails.slice(0, pageSize + 1);
    const begun = Promise.withResolvers<void>();
    inbox.store.content = ({ item }) => {
      if (pageOf(item) === 2) begun.resolve();
      return undefined;
    };
    let dead = false;
    inbox.rows.onWrite = async (_, writes) => {
      if (isCommit(writes) && !dead) {
        await begun.promise;
        dead = true;
      }
      // Nothing of a process that has ended is written any more.
      if (dead) throw new Error('ended');
    };
    await importOnce(inbox).catch(() => undefined);
    expect(await inbox.rowsOf(prefixes.inProgress)).toHaveLength(2);
    inbox.rows.onWrite = () => undefined;
    inbox.now += 10 * 60_000;
    inbox.store.content = () => ({ kind: 'broken', reason: new BrokenMail('notMail').reason });
    await importOnce(inbox);
    const attempts = (await inbox.rowsOf(prefixes.pending)).map(({ columns }) => columns.attempts);
    // Each was tried alone by now, and failed by itself: that is one attempt, and no other.
    expect(attempts).toEqual(Array(pageSize + 1).fill(1));
  });
});
