import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { turns } from '../../../test/support/turns.ts';
import { type ListedMail, StoreError } from '../../adapters/store.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { changeSession, fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { Checkpoints } from '../ledger/checkpoints.ts';
import { maxAttempts, pendingRow } from '../ledger/pending.ts';
import { withSession } from '../session/with-session.ts';
import { pipelineOf } from './after-commit.ts';
import { FolderFailures } from './folder-failures.ts';
import { PageImport } from './page.ts';
import { Reconciler } from './reconcile.ts';
import type { RoundContext } from './round-context.ts';
import { RunTime } from './run-time.ts';
import { ServerEvidence } from './server-evidence.ts';
import { StartingPoints } from './starting-points.ts';

/** One page of an import, on a mailbox in memory. */

const forever = new AbortController().signal;

const listed = ({ store }: TestInbox, n: number): ListedMail => {
  const { item, bytes, receivedAt } = fakeMail(n);
  const source = { store: store.identity, scope: store.scopeName, item };
  return { source, folder: 'INBOX', size: bytes.length, receivedAt };
};

/** Uses a page of these mails as a round of an import does. */
async function withPage(
  inbox: TestInbox,
  mails: readonly ListedMail[],
  use: (page: PageImport) => Promise<void>,
  signal = forever,
): Promise<void> {
  const session = {
    runId: newestFirstId(inbox.now),
    purpose: 'import' as const,
    budgetMs: inbox.context.budgetMs,
    signal,
  };
  await withSession(inbox.context, inbox.name, session, async (context) => {
    const checkpoints = await Checkpoints.read(context);
    const failures = new FolderFailures(context);
    const reconciler = await Reconciler.prepare(context, new Map(), { checkpoints, failures, known: [] });
    const others = { evidence: new ServerEvidence(context), starts: new StartingPoints(context, checkpoints) };
    const time = new RunTime(context);
    const round: RoundContext = { context, time, reconciler, failures, pipeline: pipelineOf(context), ...others };
    await use(new PageImport(round, mails, { pendingKeys: new Set(), checkpoint: () => [] }));
  });
}

/** A mail that begins to come, and stands still. */
function standStill(inbox: TestInbox): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  inbox.store.content = () => ({ kind: 'stream', stream: new Readable({ read: () => resolve() }) });
  return promise;
}

/** An inbox with one mail. */
function withOne(rule: Readonly<Record<string, unknown>> = {}): TestInbox {
  const inbox = new TestInbox(rule);
  inbox.store.mails = [fakeMail(1)];
  return inbox;
}

describe('a page', () => {
  it('without new mail is small, is not noted, and is left without a write', async () => {
    const inbox = withOne();
    await withPage(inbox, [{ ...listed(inbox, 1), draft: true }], async (page) => {
      await page.begin();
      expect([page.bytes, await inbox.rowsOf(prefixes.inProgress)]).toEqual([0, []]);
      let writes = 0;
      inbox.rows.onWrite = () => {
        writes += 1;
      };
      await page.abandon();
      expect(writes).toBe(0);
    });
  });

  it('is asked for and handed out when the server says so, and before it is fetched nobody waits for it', async () => {
    const inbox = withOne();
    const [asked, given] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    changeSession(inbox, ({ fetch }) => ({
      fetch: async function* (mails, how) {
        await asked.promise;
        how.asked?.();
        await given.promise;
        yield* fetch(mails, how);
      },
    }));
    await withPage(inbox, [listed(inbox, 1)], async (page) => {
      await page.begin();
      await Promise.all([page.asked(), page.handedOut()]);
      page.fetch();
      const told: string[] = [];
      const whenAsked = page.asked().then(() => told.push('asked for'));
      const whenGiven = page.handedOut().then(() => told.push('handed out'));
      await turns();
      expect(told).toEqual([]);
      asked.resolve();
      await whenAsked;
      await turns();
      expect(told).toEqual(['asked for']);
      given.resolve();
      await whenGiven;
      expect((await page.commit()).items).toHaveLength(1);
    });
  });

  it('that the line breaks at has failed, before anybody waits for it', async () => {
    const inbox = withOne();
    inbox.store.content = () => {
      throw new StoreError('connection', 'the line broke');
    };
    await withPage(inbox, [listed(inbox, 1)], async (page) => {
      await page.begin();
      expect(page.failed).toBe(false);
      page.fetch();
      await page.written();
      expect(page.failed).toBe(true);
      await expect(page.commit()).rejects.toThrow('the line broke');
    });
  });

  it('that is abandoned does not wait for a mail that stands still', async () => {
    const inbox = withOne();
    const still = standStill(inbox);
    await withPage(inbox, [listed(inbox, 1)], async (page) => {
      await page.begin();
      page.fetch();
      await still;
      await page.abandon();
    });
    expect([await inbox.rowsOf(prefixes.inProgress), await inbox.rowsOf(prefixes.pending)]).toEqual([[], []]);
    // What may have been written of it is removed one day.
    expect(await inbox.rowsOf(leftoverPrefix)).toHaveLength(1);
  });

  it('ends with its run, also where a mail stands still, which is then tried alone', async () => {
    const inbox = withOne();
    const still = standStill(inbox);
    const cut = new AbortController();
    const over = new Error('the run is over');
    await withPage(
      inbox,
      [listed(inbox, 1)],
      async (page) => {
        const run = page.run();
        await Promise.all([expect(run).rejects.toBe(over), still.then(() => cut.abort(over))]);
      },
      cut.signal,
    );
    expect((await inbox.rowsOf(prefixes.pending)).map(({ columns }) => columns.attempts)).toEqual([0]);
  });
});

describe('a mail that is tried again', () => {
  const broken = { kind: 'broken', reason: 'notMail' } as const;

  it('and given up by that is counted', async () => {
    const inbox = withOne();
    inbox.store.content = () => broken;
    const tried = { attempts: maxAttempts - 1, reason: '', now: 0 };
    await inbox.rows.write(inbox.name, [pendingRow(listed(inbox, 1), tried)]);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, quarantined: 1 });
  });

  it('is imported although the account begins with later mail by now', async () => {
    const inbox = withOne();
    inbox.store.content = () => broken;
    expect(await importOnce(inbox)).toMatchObject({ pending: 1 });
    inbox.account = { ...inbox.account, sinceId: 'now' };
    inbox.store.content = () => undefined;
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
  });

  it('is looked for before its original goes, which others are not', async () => {
    const inbox = withOne({ delete: 'immediately', deleteMode: 'permanent' });
    inbox.store.mails.push(fakeMail(2));
    const disposed: unknown[] = [];
    changeSession(inbox, ({ dispose }) => ({
      dispose: async (targets, disposal, how) => {
        for (const { source } of targets) disposed.push([source.item, how.verify]);
        return await dispose(targets, disposal, how);
      },
    }));
    inbox.store.content = ({ item }) => (item === fakeMail(2).item ? broken : undefined);
    await importOnce(inbox);
    inbox.store.content = () => undefined;
    inbox.now += 10 * 60_000;
    await importOnce(inbox);
    expect(disposed).toEqual([
      [fakeMail(1).item, false],
      [fakeMail(2).item, true],
    ]);
  });
});

describe('a server whose ids do not last, of an account that imports from now on', () => {
  /** The folder held two mails at first. */
  async function begun(vanished: () => readonly ListedMail[] = () => []) {
    const inbox = new TestInbox();
    inbox.account = { ...inbox.account, sinceId: 'now' };
    inbox.store.abilities = { ...inbox.store.abilities, lastingIds: false };
    inbox.store.mails = [1, 2].map(fakeMail);
    const missing = () => vanished().map(({ source }) => source);
    changeSession(inbox, () => ({ vanished: async () => ({ sampled: 1, missing: missing() }) }));
    expect(await importOnce(inbox)).toMatchObject({ imported: 0, skipped: 2 });
    return inbox;
  }

  it('brings none of the mails that it gives new ids', async () => {
    let gone: readonly ListedMail[] = [];
    const inbox = await begun(() => gone);
    inbox.store.mails.push(fakeMail(3));
    expect(await importOnce(inbox)).toMatchObject({ imported: 1 });
    gone = [listed(inbox, 3)];
    inbox.store.mails = [1, 2, 3].map((n) => ({ ...fakeMail(n), item: fakeMail(n + 10).item }));
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 3 });
  });

  it('brings an older mail that is put there later', async () => {
    const inbox = await begun();
    inbox.store.mails.push({ ...fakeMail(3), receivedAt: fakeMail(1).receivedAt });
    expect(await importOnce(inbox)).toMatchObject({ imported: 1 });
  });
});
