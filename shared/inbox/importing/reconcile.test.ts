import { RestError } from '@azure/data-tables';
import { describe, expect, it } from 'vitest';
import { type DisposalTarget, type ListedMail, StoreError } from '../../adapters/store.ts';
import { AssetLibrary } from '../../assets/library.ts';
import { accountId } from '../../platform/ids.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { changeSession, FakeStore, fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { fingerprintPrefix, prefixes } from '../keys.ts';

/** Mail that is met under another source id: which is known, and which is not. On mailboxes in memory. */

const signal = new AbortController().signal;
const dayMs = 24 * 3_600_000;
const newScope = 'INBOX;8';

/** What listings say otherwise. */
function changeListing(inbox: TestInbox, change: (mail: ListedMail) => ListedMail): void {
  changeSession(inbox, ({ changes, list }) => ({
    changes: async function* (...args) {
      for await (const page of changes(...args)) yield { ...page, mails: page.mails.map(change) };
    },
    list: async function* (...args) {
      for await (const mails of list(...args)) yield mails.map(change);
    },
  }));
}

/** An inbox that has imported these mails. */
async function imported(numbers: readonly number[], rule: Readonly<Record<string, unknown>> = {}): Promise<TestInbox> {
  const inbox = new TestInbox(rule);
  inbox.store.mails = numbers.map(fakeMail);
  expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: numbers.length });
  return inbox;
}

/** What the ledger says of its mails, in order of their keys. */
const ledgerOf = async (inbox: TestInbox) => (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns);

/** The targets of disposals from now on. */
function targetsOf(inbox: TestInbox): DisposalTarget[] {
  const targets: DisposalTarget[] = [];
  inbox.store.onDispose = (target) => targets.push(target);
  return targets;
}

/** The same mail under another id. */
const renamed = (n: number, item: number) => ({ ...fakeMail(n), item: fakeMail(item).item });

const nothingNew = { status: 'done', imported: 0 };

describe('after a new UIDVALIDITY', () => {
  it('mail is compared for thirty days, and no longer', async () => {
    const inbox = await imported([1, 2, 3]);
    inbox.store.scopeName = newScope;
    inbox.store.mails = [1].map(fakeMail);
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    inbox.now += 29 * dayMs;
    inbox.store.mails = [1, 2].map(fakeMail);
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    inbox.now += 2 * dayMs;
    inbox.store.mails = [1, 2, 3].map(fakeMail);
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 0 });
  });

  it('a mail without Message-ID is known by its bytes', async () => {
    const inbox = new TestInbox();
    changeListing(inbox, ({ messageId: _, ...mail }) => mail);
    const bytes = (text: string) => Buffer.from(`From: a@example.net\r\nSubject: Note\r\n\r\n${text}\r\n`);
    inbox.store.mails = [{ ...fakeMail(1), bytes: bytes('One') }];
    await importOnce(inbox);
    inbox.store.scopeName = newScope;
    inbox.store.mails = [
      { ...fakeMail(1), bytes: bytes('One') },
      { ...fakeMail(2), bytes: bytes('Two') },
    ];
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 1 });
  });

  // A scanner's mailbox. The new ids sort before or behind the old ones, and in another order.
  it.each(
    ['INBOX;8', 'INBOX;10', 'INBOX;12', 'INBOX;13'].flatMap((scope) => [
      [scope, true],
      [scope, false],
    ]) as [string, boolean][],
  )('120 mails without Message-ID are known in %s (with times: %s)', async (scope, timed) => {
    const inbox = new TestInbox();
    changeListing(inbox, ({ messageId: _, receivedAt, ...mail }) =>
      timed && receivedAt !== undefined ? { ...mail, receivedAt } : mail,
    );
    const scan = (n: number) => Buffer.from(`From: scanner@example.net\r\nSubject: Scan\r\n\r\nText ${1_000 + n}\r\n`);
    const mails = Array.from({ length: 120 }, (_, n) => ({ ...fakeMail(n), bytes: scan(n) }));
    inbox.store.mails = mails;
    expect(await importOnce(inbox)).toMatchObject({ imported: 120 });
    inbox.store.scopeName = scope;
    inbox.store.mails = mails.toReversed().map(({ item: _, ...mail }, n) => ({ ...mail, item: fakeMail(n).item }));
    expect(await importOnce(inbox)).toMatchObject({ imported: 0, skipped: 120 });
  });

  it('what is known of many mails without Message-ID is read no more than twice a run', async () => {
    const inbox = new TestInbox();
    changeListing(inbox, ({ messageId: _, ...mail }) => mail);
    inbox.store.mails = Array.from({ length: 60 }, (_, n) => ({
      ...fakeMail(n),
      bytes: Buffer.from(`From: scanner@example.net\r\n\r\nText ${1_000 + n}\r\n`),
    }));
    await importOnce(inbox);
    inbox.store.scopeName = newScope;
    let read = 0;
    const prefix = inbox.rows.prefix.bind(inbox.rows);
    inbox.rows.prefix = (partition, begin, options) => {
      if (begin === fingerprintPrefix(undefined)) read += 1;
      return prefix(partition, begin, options);
    };
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 60 });
    // Twice where two mails ask at one time.
    expect(read).toBeGreaterThanOrEqual(1);
    expect(read).toBeLessThanOrEqual(2);
  });

  it.each([
    ['size', 'old'],
    ['size', 'new'],
    ['receivedAt', 'old'],
    ['receivedAt', 'new'],
  ] as const)('a mail is known whose %s the %s listing does not give', async (left, which) => {
    const inbox = new TestInbox();
    let listing = 'old';
    changeListing(inbox, (mail) => {
      if (listing !== which) return mail;
      const { [left]: _, ...others } = mail;
      return others;
    });
    inbox.store.mails = [fakeMail(1)];
    await importOnce(inbox);
    listing = 'new';
    inbox.store.scopeName = newScope;
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
  });

  it.each([
    ['the same', 'known', '', { imported: 0, skipped: 1 }],
    ['another', 'new', 'more', { imported: 1, skipped: 0 }],
  ])('an oversize mail with a known Message-ID and time and %s size is %s', async (_size, _known, more, counts) => {
    const inbox = await imported([1], { maxMessageSize: 50 });
    const { bytes, ...mail } = fakeMail(1);
    inbox.store.scopeName = newScope;
    inbox.store.mails = [{ ...mail, bytes: Buffer.concat([bytes, Buffer.from(more)]) }];
    expect(await importOnce(inbox)).toMatchObject(counts);
  });

  it('what finds a mail that the ledger has no more finds nothing', async () => {
    const inbox = await imported([1]);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    await inbox.rows.write(inbox.name, [{ kind: 'delete', key: row?.key ?? '' }]);
    inbox.store.scopeName = newScope;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
  });

  it('an asset is deleted by its new id, and its mail is not imported again', async () => {
    const inbox = await imported([1]);
    inbox.store.scopeName = newScope;
    await importOnce(inbox);
    const [row] = await ledgerOf(inbox);
    const library = new AssetLibrary(inbox.rows, inbox.context.assets);
    await library.delete(accountId(inbox.name, String(row?.asset)), { signal });
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: newScope, state: 'deleted' }]);
    inbox.store.scopeName = 'INBOX;9';
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: 'INBOX;9', state: 'deleted' }]);
  });
});

describe('a server that makes the bytes of its mails anew', () => {
  /** An inbox that has imported one mail, whose server has given it a new id and new bytes. */
  async function remade(later: number, strip = (text: string) => text) {
    const inbox = new TestInbox();
    inbox.store.abilities = { markRead: true, stableBytes: false, lastingIds: true };
    changeListing(inbox, ({ size: _, messageId, ...mail }) => (messageId ? { ...mail, messageId } : mail));
    const { bytes, ...mail } = fakeMail(1);
    const text = strip(bytes.toString());
    inbox.store.mails = [{ ...mail, bytes: Buffer.from(text) }];
    await importOnce(inbox);
    inbox.store.scopeName = newScope;
    const receivedAt = mail.receivedAt + later;
    inbox.store.mails = [{ ...mail, receivedAt, bytes: Buffer.from(text.replace('Text', 'Tent')) }];
    return inbox;
  }

  it('a mail is known by Message-ID and time, give or take two seconds', async () => {
    expect(await importOnce(await remade(2_000))).toMatchObject({ ...nothingNew, skipped: 1 });
  });

  it('another time is another mail', async () => {
    expect(await importOnce(await remade(2_001))).toMatchObject({ imported: 1, skipped: 0 });
  });

  it('a mail without Message-ID is never taken for another', async () => {
    const inbox = await remade(0, (text) => text.replace(/Message-ID: .*\r\n/, ''));
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 0 });
  });
});

describe('at another server', () => {
  it('copies are known, also those with the very ids of the old one', async () => {
    const inbox = await imported([1, 2]);
    Object.assign(inbox.store, { identity: 'imap:another' });
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 2 });
    expect(await ledgerOf(inbox)).toMatchObject(Array(2).fill({ store: 'imap:another', scope: 'INBOX;7' }));
  });

  it.each([
    ['the same server', { scopeName: newScope }, 'Done'],
    ['another server', { identity: 'imap:another' }, undefined],
  ])('what an earlier move copied holds at %s or not', async (_, change, copiedTo) => {
    const inbox = new TestInbox({ moveTo: 'Done' });
    inbox.store.mails = [fakeMail(1)];
    inbox.store.outcome = () => ({ refused: new StoreError('permission', 'no'), copiedTo: 'Done' });
    await importOnce(inbox);
    Object.assign(inbox.store, change);
    inbox.store.outcome = () => undefined;
    const targets = targetsOf(inbox);
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    expect(targets.map((target) => target.copiedTo)).toEqual([copiedTo]);
  });
});

describe('the original of a known mail', () => {
  it('that is back is deleted again, and not imported again', async () => {
    const inbox = await imported([1], { delete: 'immediately' });
    expect(inbox.store.mails).toEqual([]);
    inbox.store.scopeName = newScope;
    inbox.store.mails = [fakeMail(1)];
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    expect(inbox.store.mails).toEqual([]);
  });

  it('that somebody else deletes is not said to be deleted by this service', async () => {
    const inbox = await imported([1]);
    inbox.rule = { delete: 'immediately' };
    inbox.store.scopeName = newScope;
    inbox.store.outcome = () => 'gone';
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.imported']);
    expect(await ledgerOf(inbox)).toMatchObject([{ disposed: 'gone' }]);
  });

  it.each([
    ['by its new listing', fakeMail(1).receivedAt + 1_000, fakeMail(1).receivedAt + 1_000],
    ['as before, where its new listing does not say', undefined, fakeMail(1).receivedAt],
  ])('is named with the time it came: %s', async (_, listed, named) => {
    const inbox = new TestInbox({ markRead: true });
    changeListing(inbox, ({ receivedAt, ...mail }) => {
      const at = inbox.store.scopeName === newScope ? listed : receivedAt;
      return at === undefined ? mail : { ...mail, receivedAt: at };
    });
    inbox.store.mails = [fakeMail(1)];
    await importOnce(inbox);
    inbox.store.scopeName = newScope;
    const targets = targetsOf(inbox);
    await importOnce(inbox);
    expect(targets.map(({ receivedAt }) => receivedAt)).toEqual([named]);
  });
});

describe('folders', () => {
  /** A mailbox with folders; of what is asked for, `asked` tells. The account has those that `select` says. */
  function mailbox(names: readonly string[]) {
    const inbox = new TestInbox();
    const folders = new Map<string, FakeStore>();
    const asked: string[] = [];
    for (const name of names) {
      const folder = new FakeStore();
      folder.scopeName = `${name};1`;
      folders.set(name, folder);
    }
    const at = (name: string): FakeStore => {
      const folder = folders.get(name);
      if (!folder) throw new StoreError('folderMissing', 'no such folder');
      return folder;
    };
    changeSession(inbox, () => ({
      scope: async (folder, ...args) => await (await at(folder).open()).scope(folder, ...args),
      changes: async function* (folder, ...args) {
        yield* (await at(folder).open()).changes(folder, ...args);
      },
      list: async function* (folder, ...args) {
        asked.push(`list ${folder}`);
        yield* (await at(folder).open()).list(folder, ...args);
      },
      fetch: async function* (mails, how) {
        asked.push('contents');
        for (const mail of mails) yield* (await at(mail.folder).open()).fetch([mail], how);
      },
    }));
    const select = (...selected: readonly string[]) => {
      const { account } = new TestInbox({}, selected).account;
      inbox.account = { ...inbox.account, account: { ...account, name: inbox.name } };
    };
    return { inbox, folders, at, asked, select };
  }

  it('a copy of a mail that is still in a folder the account has left is a mail of its own', async () => {
    const { inbox, at, select } = mailbox(['Old', 'New']);
    select('Old');
    at('Old').mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    select('New');
    // One was moved there, of the other there is a copy.
    at('Old').mails = [fakeMail(2)];
    at('New').mails = [1, 2].map(fakeMail);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 1 });
    expect((await ledgerOf(inbox)).map(({ folder, messageId }) => `${folder} ${messageId}`).toSorted()).toEqual([
      'New <1@example.net>',
      'New <2@example.net>',
      'Old <2@example.net>',
    ]);
  });

  it('mail of a folder with a new name is known', async () => {
    const { inbox, folders, at, select } = mailbox(['Old', 'New']);
    select('Old');
    at('Old').mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    select('New');
    at('New').mails = [1, 2].map(fakeMail);
    folders.delete('Old');
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 2 });
  });

  it('where the old folder cannot be listed now, nothing is decided', async () => {
    const { inbox, at, select } = mailbox(['Old', 'New']);
    select('Old');
    at('Old').mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    select('New');
    at('Old').mails = [fakeMail(2)];
    at('New').mails = [1, 2].map(fakeMail);
    at('Old').failure = () => {
      throw new StoreError('permission', 'not allowed');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 0, skipped: 0 });
    expect(await ledgerOf(inbox)).toHaveLength(2);
    at('Old').failure = () => undefined;
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 1 });
  });

  it('mail of a folder that is out of reach is not taken for mail of another', async () => {
    const { inbox, at, select } = mailbox(['A', 'B']);
    select('A', 'B');
    at('A').mails = [fakeMail(1)];
    await importOnce(inbox);
    at('A').failure = () => {
      throw new StoreError('permission', 'not allowed');
    };
    at('B').scopeName = 'B;2';
    at('B').mails = [fakeMail(1)];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 0 });
  });

  it.each([
    ['has kept its ids', 4, []],
    ['got new ids long ago', 1, [1]],
  ])('what came in from one that %s is not taken for mail of a new one', async (_, sampled, gone) => {
    const { inbox, at, select } = mailbox(['A', 'B']);
    let missing: readonly number[] = gone;
    changeSession(inbox, () => ({
      vanished: async (folder) => ({
        sampled,
        missing: missing.map((n) => ({
          store: inbox.store.identity,
          scope: at(folder).scopeName,
          item: fakeMail(n).item,
        })),
      }),
    }));
    select('A');
    at('A').mails = [fakeMail(1)];
    await importOnce(inbox);
    at('A').mails = [];
    await importOnce(inbox);
    missing = [];
    inbox.now += 31 * dayMs;
    select('A', 'B');
    at('B').mails = [fakeMail(1)];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 0 });
  });

  it('are listed, all that may hold known mail, before contents are asked for', async () => {
    const { inbox, at, asked, select } = mailbox(['A', 'B', 'New']);
    select('A', 'B');
    at('A').mails = [fakeMail(1)];
    at('B').mails = [fakeMail(2)];
    await importOnce(inbox);
    asked.splice(0);
    select('New');
    at('A').mails = [];
    at('B').mails = [];
    at('New').mails = [1, 2].map(fakeMail);
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 2 });
    expect(asked).toEqual(['list A', 'list B', 'contents']);
  });
});

describe('a server whose ids do not last', () => {
  /** An inbox on such a server. `sample`: items of which it is asked whether they are still listed. */
  function changing(rule: Readonly<Record<string, unknown>> = {}) {
    const inbox = new TestInbox(rule);
    const { store } = inbox;
    store.abilities = { markRead: true, stableBytes: true, lastingIds: false };
    const server = { inbox, store, sample: [] as readonly number[] };
    changeSession(inbox, ({ changes }) => ({
      changes: (folder, _, how) => changes(folder, undefined, how),
      vanished: async () => {
        const gone = server.sample
          .map((n) => fakeMail(n).item)
          .filter((id) => store.mails.every(({ item }) => item !== id));
        const missing = gone.map((item) => ({ store: store.identity, scope: store.scopeName, item }));
        return { sampled: server.sample.length, missing };
      },
    }));
    return server;
  }

  it.each([
    ['in mind', 0, 0],
    ['in storage, where a mail is left to be tried again', 1, 1],
  ])('new ids of half the mails are noticed, and that is kept %s', async (_, pending, scopesRead) => {
    const server = changing();
    const { inbox, store } = server;
    store.mails = [1, 2, 3, 4].map(fakeMail);
    await importOnce(inbox);
    server.sample = [1, 2, 3, 4];
    store.content = ({ item }) => (item === fakeMail(20).item ? { kind: 'broken', reason: 'notMail' } : undefined);
    const left = Array.from({ length: pending }, () => fakeMail(20));
    store.mails = [renamed(1, 11), ...[3, 4].map(fakeMail), ...left];
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1, pending });
    server.sample = [11, 3, 4];
    inbox.now += dayMs;
    // Mail 2 is there again, under a new id; of mail 3, which is still there, there is a copy.
    store.mails.push(renamed(2, 12), renamed(3, 13));
    let read = 0;
    const range = inbox.rows.range.bind(inbox.rows);
    inbox.rows.range = (partition, from, before, options) => {
      if (from === prefixes.scope) read += 1;
      return range(partition, from, before, options);
    };
    const written: RowWrite[] = [];
    inbox.rows.onWrite = (_account, writes) => {
      written.push(...writes.filter(({ key }) => key.startsWith(prefixes.scope)));
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 1 });
    expect((await ledgerOf(inbox)).map(({ item }) => Number(item))).toEqual([3, 4, 11, 12, 13]);
    expect([written, read]).toEqual([[], scopesRead]);
  });

  it('a mail that comes again after this service has deleted it is new', async () => {
    const server = changing({ delete: 'immediately' });
    const { inbox, store } = server;
    store.mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    server.sample = [1, 2];
    store.mails = [renamed(1, 11)];
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 0 });
  });

  it('so is one whose deletion had no answer', async () => {
    const server = changing({ delete: 'immediately' });
    const { inbox, store } = server;
    store.mails = [1, 2].map(fakeMail);
    store.outcome = () => ({ refused: new StoreError('protocol', 'no answer'), unanswered: true });
    await importOnce(inbox);
    server.sample = [1, 2];
    store.mails = [renamed(1, 11)];
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 0 });
  });

  it('so is one that somebody else had deleted beside those that this service deleted', async () => {
    const server = changing({ delete: 'immediately' });
    const { inbox, store } = server;
    store.mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    inbox.rule = {};
    store.mails = [3, 4].map(fakeMail);
    await importOnce(inbox);
    server.sample = [1, 2, 3, 4];
    store.mails = [fakeMail(4), renamed(3, 13)];
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 0 });
  });

  it('a mail whose deletion was called off is known under its new id', async () => {
    const server = changing();
    const { inbox, store } = server;
    store.mails = [fakeMail(1)];
    await importOnce(inbox);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns: { disposed: 'canceled' } }]);
    server.sample = [1];
    store.mails = [renamed(1, 11)];
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
  });

  it('of two mails with one id, the one that is left is known by its content', async () => {
    const { inbox, store } = changing();
    const [a, b] = [fakeMail(1), fakeMail(2)];
    store.mails = [
      { ...a, item: `same ${'a'.repeat(64)}` },
      { ...b, item: `same ${'b'.repeat(64)}` },
    ];
    await importOnce(inbox);
    store.mails = [{ ...b, item: 'same' }];
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    expect((await ledgerOf(inbox)).map(({ item, messageId }) => `${item} ${messageId}`).toSorted()).toEqual([
      'same <2@example.net>',
      `same ${'a'.repeat(64)} <1@example.net>`,
    ]);
  });
});

describe('while a known mail gets its new id', () => {
  /** `meddle` is called once, right before the write that does it. */
  async function meddled(meddle: (inbox: TestInbox, writes: readonly RowWrite[]) => Promise<void>) {
    const inbox = await imported([1]);
    inbox.store.scopeName = newScope;
    inbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind, key }) => kind === 'delete' && key.startsWith(prefixes.ledger))) return;
      inbox.rows.onWrite = () => undefined;
      await meddle(inbox, writes);
    };
    return inbox;
  }

  it('somebody else takes its row: it is a mail of its own', async () => {
    const inbox = await meddled(async ({ rows, name }, writes) => {
      const old = writes.filter(({ kind }) => kind === 'delete');
      await rows.write(name, old);
    });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 0 });
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: newScope }]);
  });

  it('somebody else gives it that id: it is not imported again', async () => {
    const inbox = await meddled(async ({ rows, name }, writes) => {
      await rows.write(name, writes);
    });
    expect(await importOnce(inbox)).toMatchObject({ ...nothingNew, skipped: 1 });
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: newScope }]);
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.imported']);
  });

  it('another run takes over: this one ends, and changes nothing', async () => {
    const inbox = await meddled(async ({ rows, name }) => {
      const pages = rows.keys(name, prefixes.inProgress);
      expect(pages).toHaveLength(1);
      await rows.write(
        name,
        pages.map((key) => ({ kind: 'delete', key })),
      );
    });
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 0 });
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: 'INBOX;7' }]);
  });

  it('storage is away: the run fails, and the next one knows the mail', async () => {
    const inbox = await meddled(async () => {
      throw new RestError('storage is away', { statusCode: 503 });
    });
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 0 });
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: 'INBOX;7' }]);
    // The page that was left counts as an attempt, and its mail waits a while.
    await importOnce(inbox);
    inbox.now += 10 * 60_000;
    await importOnce(inbox);
    expect(await ledgerOf(inbox)).toMatchObject([{ scope: newScope }]);
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.imported')).toHaveLength(1);
  });
});
