import { describe, expect, it } from 'vitest';
import { assetPaths } from '../../assets/asset.ts';
import { leftoverPrefix, leftoverRow } from '../../assets/leftover-row.ts';
import { accountId, newestFirstId } from '../../platform/ids.ts';
import { jsonColumns } from '../../platform/rows.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { assetLocalId, ledgerKey, pageKeys, prefixes } from '../keys.ts';
import { Superseded } from '../session/fence.ts';
import type { ImportContext } from '../session/import-context.ts';
import { removeFailed, removeLeftovers } from './leftovers.ts';
import { zombieMs } from './pages-in-progress.ts';
import { quarantinePath } from './pending.ts';

const options = { signal: new AbortController().signal };

/** A mail of the account, where its asset's blobs are, and the row by which they are left. */
function leftover(inbox: TestInbox, n = 1) {
  const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item: fakeMail(n).item };
  const ledger = ledgerKey(source);
  const localId = assetLocalId(inbox.name, source);
  const paths = assetPaths(inbox.name, accountId(inbox.name, localId));
  const quarantined = quarantinePath(inbox.name, localId);
  return {
    inbox,
    mail: { source, folder: 'INBOX' },
    ledger,
    paths,
    quarantined,
    putBlobs() {
      inbox.assets.put(paths.message, 'mail');
      inbox.assets.put(`${paths.folder}part`, 'part');
      inbox.quarantine.put(quarantined, 'mail');
    },
    blobs: () => [inbox.assets.names(paths.folder).length, inbox.quarantine.names(quarantined).length],
    left: (from = inbox.now) =>
      inbox.rows.write(inbox.name, [leftoverRow(`run:${n}`, [{ asset: localId, ledger }], from)]),
    setState: (state: string) => inbox.rows.write(inbox.name, [{ kind: 'merge', key: ledger, columns: { state } }]),
  };
}

type Leftover = ReturnType<typeof leftover>;

/** Begins a page of these mails. */
async function begin(inbox: TestInbox, mails: readonly Leftover[]): Promise<string> {
  const { inProgress } = pageKeys(newestFirstId(inbox.now), 1);
  const columns = jsonColumns(mails.map(({ mail }) => mail));
  await inbox.rows.write(inbox.name, [{ kind: 'put', key: inProgress, columns }]);
  return inProgress;
}

async function imported() {
  const inbox = new TestInbox();
  inbox.store.mails = [fakeMail(1)];
  await runImport(inbox.context, inbox.name, {});
  const own = leftover(inbox);
  inbox.quarantine.put(own.quarantined, 'mail');
  return { inbox, own };
}

const remove = (inbox: TestInbox) => removeLeftovers(inbox.context, options);

describe('what a check-in left that was never committed', () => {
  it('is removed, once nobody can write it any more, and its row with it', async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    own.putBlobs();
    await own.left(inbox.now + 1);
    await remove(inbox);
    expect(own.blobs()).toEqual([2, 1]);
    inbox.now += 1;
    await remove(inbox);
    expect(own.blobs()).toEqual([0, 0]);
    expect(await inbox.rowsOf(leftoverPrefix)).toEqual([]);
  });

  it.each<[string, (own: Leftover) => void]>([
    ['of its asset', ({ inbox, paths }) => inbox.assets.put(paths.message, 'mail')],
    ['in quarantine', ({ inbox, quarantined }) => inbox.quarantine.put(quarantined, 'mail')],
    [
      'of both',
      ({ inbox, paths, quarantined }) => {
        inbox.assets.put(paths.message, 'mail');
        inbox.quarantine.put(quarantined, 'mail');
      },
    ],
  ])('is removed where it is no more than one blob %s', async (_, put) => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    put(own);
    await own.left();
    await remove(inbox);
    expect(own.blobs()).toEqual([0, 0]);
  });

  it('is a page in progress’s own', async () => {
    const inbox = new TestInbox();
    const [own, other] = [leftover(inbox, 1), leftover(inbox, 2)];
    own.putBlobs();
    other.putBlobs();
    await own.left();
    await other.left();
    await begin(inbox, [leftover(inbox, 3), own]);
    await remove(inbox);
    expect([own.blobs(), other.blobs()]).toEqual([
      [2, 1],
      [0, 0],
    ]);
    // It has a row of its own for what it leaves.
    expect(await inbox.rowsOf(leftoverPrefix)).toEqual([]);
  });

  it('stays where it was written anew after it was listed, and may be gone by then', async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    own.putBlobs();
    await own.left();
    inbox.assets.onRequest = (method, path) => {
      if (method !== 'delete') return;
      if (path === own.paths.message) inbox.assets.put(path, 'another');
      else inbox.assets.remove(path);
    };
    await remove(inbox);
    expect(inbox.assets.names(own.paths.folder)).toEqual([own.paths.message]);
    expect(await inbox.rowsOf(leftoverPrefix)).toEqual([]);
  });

  it('keeps no other from being removed where nobody can tell whether it is committed', async () => {
    const inbox = new TestInbox();
    const [unreadable, own] = [leftover(inbox, 1), leftover(inbox, 2)];
    unreadable.putBlobs();
    inbox.assets.put(unreadable.paths.description, 'not what it was');
    own.putBlobs();
    await unreadable.left();
    await own.left();
    await remove(inbox);
    expect([unreadable.blobs()[0], own.blobs()]).toEqual([3, [0, 0]]);
    expect((await inbox.rowsOf(leftoverPrefix)).map(({ key }) => key)).toEqual([`${leftoverPrefix}run:1`]);
  });

  it('is tried again where the time is over while it is removed', async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    own.putBlobs();
    await own.left();
    const time = new AbortController();
    inbox.assets.onRequest = () => {
      time.abort(new Error('the time is over'));
      throw new Error('cut');
    };
    await expect(removeLeftovers(inbox.context, { signal: time.signal })).rejects.toThrow('the time is over');
    expect(await inbox.rowsOf(leftoverPrefix)).toHaveLength(1);
  });

  it('is tried again where storage is away, and other accounts have their turn', async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    own.putBlobs();
    await own.left();
    inbox.assets.onRequest = (method) => {
      if (method === 'delete') throw new Error('storage is away');
    };
    let names = 0;
    const context = {
      ...inbox.context,
      accountNames: async () => {
        names += 1;
        return [inbox.name, 'another'];
      },
    };
    await removeLeftovers(context, options);
    expect([await inbox.rowsOf(leftoverPrefix), names]).toEqual([[expect.anything()], 1]);
    await expect(removeLeftovers(context, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow(
      'stopped',
    );
  });
});

describe('what is committed', () => {
  it('stays: the asset of an imported mail', async () => {
    const { inbox, own } = await imported();
    const [before] = own.blobs();
    await own.left();
    await remove(inbox);
    // What was kept of an earlier failure in the quarantine goes.
    expect(own.blobs()).toEqual([before, 0]);
    expect(await inbox.rowsOf(leftoverPrefix)).toEqual([]);
  });

  it('stays: the asset of an imported mail that no list names', async () => {
    const { inbox, own } = await imported();
    const [before] = own.blobs();
    for (const { key } of await inbox.rowsOf('a:')) await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
    await own.left();
    await remove(inbox);
    expect(own.blobs()[0]).toBe(before);
  });

  it('stays: the bytes of a mail in quarantine, not its asset', async () => {
    const { inbox, own } = await imported();
    await own.setState('quarantined');
    for (const { key } of await inbox.rowsOf('a:')) await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
    await own.left();
    await remove(inbox);
    expect(own.blobs()).toEqual([0, 1]);
  });

  it('stays: an asset that is listed, though its ledger row has gone to another source', async () => {
    const { inbox, own } = await imported();
    await inbox.rows.write(inbox.name, [{ kind: 'delete', key: own.ledger }]);
    await own.left();
    await remove(inbox);
    expect(own.blobs()[0]).toBeGreaterThan(0);
    for (const { key } of await inbox.rowsOf('a:')) await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
    await own.left();
    await remove(inbox);
    expect(own.blobs()).toEqual([0, 0]);
  });

  it('no longer is: an asset that was deleted', async () => {
    const { inbox, own } = await imported();
    await own.setState('deleted');
    for (const { key } of await inbox.rowsOf('a:')) await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
    await own.left();
    await remove(inbox);
    expect(own.blobs()).toEqual([0, 0]);
  });

  it('is another mail’s, where the row names one whose asset it is not', async () => {
    const { inbox, own } = await imported();
    const other = leftover(inbox, 2);
    other.putBlobs();
    await inbox.rows.write(inbox.name, [
      leftoverRow('x', [{ asset: assetLocalId(inbox.name, other.mail.source), ledger: own.ledger }], 0),
    ]);
    await remove(inbox);
    expect(other.blobs()).toEqual([0, 0]);
    expect(own.blobs()[0]).toBeGreaterThan(0);
  });
});

describe('a page that no later run has ended', () => {
  it('is ended a day later, and what it may have written is looked at a day after that', async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    own.putBlobs();
    const begun = inbox.now;
    await begin(inbox, [own]);
    inbox.now = begun + zombieMs - 1;
    await remove(inbox);
    expect(await inbox.rowsOf(prefixes.inProgress)).toHaveLength(1);
    inbox.now = begun + zombieMs;
    await remove(inbox);
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
    expect((await inbox.rowsOf(leftoverPrefix)).map(({ columns }) => columns.from)).toEqual([inbox.now + zombieMs]);
    inbox.now += zombieMs;
    await remove(inbox);
    expect(own.blobs()).toEqual([0, 0]);
  });

  it('keeps no other from being ended where nobody can read it', async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    const unreadable = await begin(inbox, []);
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: unreadable, columns: { json0: 'of another version' } }]);
    await begin(inbox, [own]);
    inbox.now += zombieMs;
    await remove(inbox);
    expect((await inbox.rowsOf(prefixes.inProgress)).map(({ key }) => key)).toEqual([unreadable]);
  });
});

describe('what a mail wrote that could not be imported', () => {
  const site = async () => {
    const inbox = new TestInbox();
    const own = leftover(inbox);
    const inProgress = await begin(inbox, [own]);
    const context = { inbox: inbox.context, account: inbox.name, ...options } as ImportContext;
    return { inbox, own, inProgress, removeOwn: () => removeFailed(context, own.mail, inProgress) };
  };

  it('is removed, but for its bytes in quarantine', async () => {
    const { own, removeOwn } = await site();
    own.putBlobs();
    await removeOwn();
    expect(own.blobs()).toEqual([0, 1]);
  });

  it('stays where another run has taken its page over', async () => {
    const { inbox, own, inProgress, removeOwn } = await site();
    await inbox.rows.write(inbox.name, [{ kind: 'delete', key: inProgress }]);
    await removeOwn();
    own.putBlobs();
    await expect(removeOwn()).rejects.toBeInstanceOf(Superseded);
    expect(own.blobs()).toEqual([2, 1]);
  });
});
