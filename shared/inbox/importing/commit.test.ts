import { describe, expect, it } from 'vitest';
import { RowConflict } from '../../platform/rows.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { fingerprintPrefix, ledgerKey, pageKeys, prefixes, scopeKey } from '../keys.ts';
import { type LedgerRow, ledgerColumns } from '../ledger/ledger.ts';
import { Superseded } from '../session/fence.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { CheckedIn } from './check-in.ts';
import { type CommitOptions, commit } from './commit.ts';
import type { Quarantined } from './quarantine-mail.ts';

/** What a commit writes, with rows in memory. */

const now = 1_800_000_000_000;
const deletes = { delete: 'immediately', deleteMode: 'permanent' };
const sourceOf = (n: number) => ({ store: 'imap:fake', scope: 'INBOX;7', item: fakeMail(n).item });

/** A mail that only its commit is missing. */
function checkedIn(n: number, other: Partial<CheckedIn> = {}): CheckedIn {
  const { receivedAt } = fakeMail(n);
  return {
    mail: { source: sourceOf(n), folder: 'INBOX', size: 100 + n, receivedAt },
    localId: `asset-${n}`,
    importedAt: now,
    size: 100 + n,
    sha256: `hash ${n}`,
    messageId: `<${n}@example.net>`,
    ...{ keepOriginal: false, substitute: false, bounces: false },
    ...other,
  };
}

/** A mail that is given up. */
function givenUp(n: number, at: number): Quarantined {
  const key = ledgerKey(sourceOf(n));
  const entry: LedgerRow = {
    ...{ ...sourceOf(n), key, folder: 'INBOX', asset: `asset-${n}`, state: 'quarantined', importedAt: at },
    ...{ size: 1_000, sha256: '', keepOriginal: true, todoEvent: true },
  };
  return { entry, rows: [{ kind: 'insert', key, columns: ledgerColumns(entry) }] };
}

/** An account with a page in progress, whose run may be cut. */
async function stage(rule: Readonly<Record<string, unknown>> = {}) {
  const inbox = new TestInbox(rule);
  const cut = new AbortController();
  const { signal } = cut;
  const { account: stored, context: place, store, name: account } = inbox;
  const context = { inbox: place, account, store, stored, signal } as unknown as ImportContext;
  const keys = pageKeys('own', 1);
  const begin = ({ inProgress: key } = keys) => inbox.rows.write(account, [{ kind: 'put', key, columns: {} }]);
  const commitAll = (mails: readonly CheckedIn[], options: Partial<CommitOptions> = {}) =>
    commit(context, mails, { ...keys, quarantined: [], alongside: [], ...options });
  /** Another run has committed these mails. */
  const committedBefore = async (mails: readonly CheckedIn[]) => {
    const others = pageKeys('another', 1);
    await begin(others);
    await commitAll(mails, others);
  };
  const ledger = async () => (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns);
  /** Mails, octets and quarantined mails of each day. */
  const counted = async () => {
    const days = await place.dayCounts.read(account, '2027-01-01', { signal: new AbortController().signal });
    return [...days]
      .map(([day, { counts }]) => [day, counts.imported, counts.bytes, counts.quarantined])
      .toSorted(([a], [b]) => String(a).localeCompare(String(b)));
  };
  const open = async () => [...(await inbox.rowsOf(prefixes.inProgress)), ...(await inbox.rowsOf(prefixes.unfinished))];
  await begin();
  return { inbox, cut, keys, commitAll, committedBefore, ledger, counted, open };
}

const [first, second, third] = [checkedIn(1), checkedIn(2), checkedIn(3)];

describe('the commit of a mail', () => {
  it.each([
    ['nothing', {}, {}, false],
    ['something', deletes, {}, true],
    ['nothing of one that is kept', deletes, { keepOriginal: true }, false],
  ])('notes that there is %s to do with its original', async (_, rule, other, todoDispose) => {
    const { commitAll, ledger } = await stage(rule);
    await commitAll([checkedIn(1, other)]);
    expect(await ledger()).toMatchObject([{ state: 'imported', todoDispose, todoEvent: true }]);
  });

  it('keeps 500 characters of a Message-ID', async () => {
    const { commitAll, ledger } = await stage();
    const messageId = `<${'x'.repeat(600)}@example.net>`;
    await commitAll([checkedIn(1, { messageId })]);
    expect((await ledger())[0]?.messageId).toBe(messageId.slice(0, 500));
  });

  it.each([{ receivedAt: 1_790_000_000_000 }, {}])('makes it findable by what is known of it: %o', async (known) => {
    const { inbox, commitAll } = await stage();
    await commitAll([checkedIn(1, { mail: { source: sourceOf(1), folder: 'INBOX', ...known } })]);
    const found = await inbox.rowsOf(fingerprintPrefix('<1@example.net>'));
    const { size, sha256 } = first;
    expect(found.map(({ columns }) => columns)).toEqual([{ scope: scopeKey(sourceOf(1)), size, sha256, ...known }]);
  });
});

describe('the commit of a page', () => {
  it('ends it, and leaves a row by which it is finished', async () => {
    const { commitAll, ledger, keys, open } = await stage();
    const { imported, toFinish } = await commitAll([first, second], { quarantined: [givenUp(3, now)] });
    const [row, ...others] = await open();
    const rows = [1, 2, 3].map((n) => ({ key: ledgerKey(sourceOf(n)) }));
    expect([imported, toFinish]).toMatchObject([
      2,
      [{ holder: keys.unfinished, etag: row?.etag, rows, wanted: 'now' }],
    ]);
    expect([row?.key, row?.columns.keys, others]).toEqual([keys.unfinished, rows.map(({ key }) => key).join('\n'), []]);
    expect(await ledger()).toHaveLength(3);
  });

  it('of which nothing is imported leaves nothing to finish, and writes what goes with it', async () => {
    const { inbox, commitAll, open } = await stage();
    const alongside = [{ kind: 'put', key: 'c:checkpoint', columns: { n: 1 } }] as const;
    expect(await commitAll([], { alongside })).toEqual({ imported: 0, toFinish: [] });
    expect([await open(), (await inbox.rows.get(inbox.name, 'c:checkpoint'))?.columns]).toEqual([[], { n: 1 }]);
  });

  it('around midnight is counted for two days, what is given up by itself', async () => {
    const { commitAll, counted } = await stage();
    const midnight = Date.UTC(2027, 0, 16);
    const before = [1, 2].map((n) => checkedIn(n, { importedAt: midnight - 1 }));
    const quarantined = [givenUp(4, midnight), givenUp(5, midnight)];
    await commitAll([...before, checkedIn(3, { importedAt: midnight })], { quarantined });
    expect(await counted()).toEqual([
      ['2027-01-15', 2, 101 + 102, 0],
      ['2027-01-16', 1, 103, 2],
    ]);
  });
});

describe('a page some of whose mails are committed already', () => {
  it('has the others committed, and each counts once', async () => {
    const { commitAll, committedBefore, ledger, counted, keys } = await stage();
    await committedBefore([first, second]);
    const { imported, toFinish } = await commitAll([first, second, third]);
    const rows = [{ key: ledgerKey(sourceOf(3)) }];
    expect([imported, toFinish]).toMatchObject([1, [{ holder: keys.unfinished, rows }]]);
    expect((await ledger()).map(({ item }) => item)).toEqual([1, 2, 3].map((n) => fakeMail(n).item));
    expect(await counted()).toEqual([['2027-01-15', 3, 101 + 102 + 103, 0]]);
  });

  it('is ended where it has no others', async () => {
    const { inbox, commitAll, committedBefore } = await stage();
    await committedBefore([first]);
    expect(await commitAll([first])).toEqual({ imported: 0, toFinish: [] });
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
  });

  it('is not committed where storage fails', async () => {
    const { inbox, commitAll, committedBefore, ledger } = await stage();
    await committedBefore([first]);
    inbox.rows.onWrite = () => {
      inbox.rows.onWrite = () => undefined;
      throw new Error('storage is away');
    };
    await expect(commitAll([first, second])).rejects.toThrow('storage is away');
    expect(await ledger()).toHaveLength(1);
  });
});

describe('a page that cannot be committed', () => {
  it('since another run has taken over leaves nothing', async () => {
    const { inbox, keys, commitAll, ledger, counted } = await stage();
    await inbox.rows.write(inbox.name, [{ kind: 'delete', key: keys.inProgress }]);
    await expect(commitAll([first])).rejects.toBeInstanceOf(Superseded);
    expect([await ledger(), await counted()]).toEqual([[], []]);
  });

  it('since what goes with it is there already says so, and is not tried again', async () => {
    const { inbox, commitAll, ledger } = await stage();
    const row = { key: 'c:checkpoint', columns: {} };
    await inbox.rows.write(inbox.name, [{ kind: 'put', ...row }]);
    let tries = 0;
    inbox.rows.onWrite = () => {
      tries += 1;
      if (tries > 3) throw new Error('tried again and again');
    };
    await expect(commitAll([first], { alongside: [{ kind: 'insert', ...row }] })).rejects.toBeInstanceOf(RowConflict);
    expect([tries, await ledger()]).toEqual([1, []]);
  });

  describe('and whose run is over meanwhile', () => {
    const over = new Error('the time is over');

    it('does not look whether another has taken over', async () => {
      const { inbox, cut, keys, commitAll } = await stage();
      await inbox.rows.write(inbox.name, [{ kind: 'delete', key: keys.inProgress }]);
      inbox.rows.onWrite = () => cut.abort(over);
      await expect(commitAll([first])).rejects.toBe(over);
    });

    it('does not look what is committed already', async () => {
      const { inbox, cut, keys, commitAll, committedBefore, ledger } = await stage();
      await committedBefore([first]);
      const { rows } = inbox;
      const get = rows.get.bind(rows);
      rows.get = async (partition, key, options) => {
        const row = await get(partition, key, options);
        if (key === keys.inProgress) cut.abort(over);
        return row;
      };
      await expect(commitAll([first, second])).rejects.toBe(over);
      expect(await ledger()).toHaveLength(1);
    });
  });
});
