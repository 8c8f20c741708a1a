import { afterEach, describe, expect, it } from 'vitest';
import type { ListedMail } from '../../adapters/store.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { jsonOf } from '../../platform/rows.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { pageKeys, prefixes, refusedKey } from '../keys.ts';
import { Superseded } from '../session/fence.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type AccountLease, acquireLease } from '../session/lease.ts';
import { leaseMs } from '../session/turn-row.ts';
import { readTurnAndOpen } from './open-rows.ts';
import {
  beginPage,
  begunAt,
  checkInProgress,
  interruptRows,
  mailsInProgress,
  recoverInterrupted,
  stillInProgress,
  zombieMs,
} from './pages-in-progress.ts';
import { type PendingState, pendingRow, readPending } from './pending.ts';

const signal = new AbortController().signal;

const mail = (item: string): ListedMail => ({
  source: { store: 'imap:fake', scope: 'INBOX;7', item },
  folder: 'INBOX',
  size: 5,
});

const held: AccountLease[] = [];
afterEach(async () => {
  for (const lease of held.splice(0)) await lease.release();
});

async function leaseOf({ context, name }: TestInbox, runId: string): Promise<AccountLease> {
  const lease = await acquireLease(context, name, { runId, purpose: 'import' });
  if (!('release' in lease)) return expect.fail('the lease is not free');
  held.push(lease);
  return lease;
}

const openRows = async (context: ImportContext) => (await readTurnAndOpen(context)).open;

async function site() {
  const inbox = new TestInbox();
  const runId = newestFirstId(inbox.now);
  const { fence } = await leaseOf(inbox, runId);
  const context = { inbox: inbox.context, account: inbox.name, fence, signal } as ImportContext;
  const { inProgress } = pageKeys(runId, 1);
  return {
    inbox,
    context,
    inProgress,
    pending: async () =>
      (await readPending(inbox.context, inbox.name, { signal })).map(({ mail: { source }, attempts, cause }) => [
        source.item,
        attempts,
        cause.kind,
      ]),
    put: (item: string, state: Omit<PendingState, 'reason' | 'now'>) =>
      inbox.rows.write(inbox.name, [pendingRow(mail(item), { ...state, reason: 'why', now: inbox.now })]),
    recover: async () => await recoverInterrupted(context, (await openRows(context)).interrupted),
  };
}

describe('a page in progress', () => {
  it('names its mails, without what no table may hold, and when it was begun', async () => {
    const { inbox, context, inProgress } = await site();
    await beginPage(context, inProgress, [{ ...mail('a'), subject: 'private' }, mail('b')]);
    const [row] = await inbox.rowsOf(prefixes.inProgress);
    expect(row && mailsInProgress(row)).toEqual([mail('a'), mail('b')]);
    expect(begunAt(inProgress)).toBe(inbox.now);
  });

  it('is nobody’s once it was ended', async () => {
    const { inbox, context, inProgress } = await site();
    await beginPage(context, inProgress, [mail('a')]);
    await checkInProgress(context, inProgress);
    await inbox.rows.write(inbox.name, [stillInProgress(inProgress)]);
    expect((await inbox.rowsOf(prefixes.inProgress)).map(mailsInProgress)).toEqual([[mail('a')]]);
    await inbox.rows.write(inbox.name, interruptRows(context, inProgress, [mail('a')]));
    await expect(checkInProgress(context, inProgress)).rejects.toBeInstanceOf(Superseded);
    await expect(inbox.rows.write(inbox.name, [stillInProgress(inProgress)])).rejects.toMatchObject({
      reason: 'missing',
    });
  });

  it('that is ended leaves a row for what may still be written of it, for a day', async () => {
    const { inbox, context, inProgress } = await site();
    await inbox.rows.write(inbox.name, [{ kind: 'put', key: inProgress, columns: {} }]);
    expect((await inbox.rowsOf(prefixes.inProgress)).map(mailsInProgress)).toEqual([[]]);
    await inbox.rows.write(inbox.name, interruptRows(context, inProgress, [mail('a'), mail('b')]));
    const [left] = await inbox.rowsOf(leftoverPrefix);
    expect(left?.columns.from).toBe(inbox.now + zombieMs);
    expect(left && jsonOf(left)).toHaveLength(2);
  });
});

describe('a page whose process ended', () => {
  it('of one mail counts as an attempt of it', async () => {
    const { inbox, context, inProgress, put, recover, pending } = await site();
    await put('a', { attempts: 2, cause: { kind: 'slow' } });
    await beginPage(context, inProgress, [mail('a')]);
    await recover();
    expect(await pending()).toEqual([['a', 3, 'failed']]);
    const reason = 'The process ended while the mail was imported';
    expect(await readPending(inbox.context, inbox.name, { signal })).toMatchObject([{ reason }]);
    expect((await openRows(context)).interrupted).toEqual([]);
  });

  it('of several counts for none of them, and each keeps its attempts', async () => {
    const { context, inProgress, put, recover, pending } = await site();
    await put('b', { attempts: 3 });
    await beginPage(context, inProgress, ['a', 'b', 'c'].map(mail));
    await recover();
    expect(await pending()).toEqual([
      ['a', 0, 'failed'],
      ['b', 3, 'failed'],
      ['c', 0, 'failed'],
    ]);
  });

  it('of a substitute goes on asking for the mail itself', async () => {
    const { context, inProgress, put, recover, pending } = await site();
    await put('a', { attempts: 1, cause: { kind: 'substitute' } });
    await beginPage(context, inProgress, [mail('a')]);
    await recover();
    expect(await pending()).toEqual([['a', 2, 'substitute']]);
  });

  it('that commits at this moment is left to it, and the others are ended', async () => {
    const { inbox, context, inProgress, recover, pending } = await site();
    await beginPage(context, inProgress, [mail('a')]);
    const second = pageKeys(newestFirstId(inbox.now), 2).inProgress;
    await beginPage(context, second, [mail('b')]);
    inbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind, key }) => kind === 'delete' && key === inProgress)) return;
      inbox.rows.onWrite = () => undefined;
      await inbox.rows.write(inbox.name, [{ kind: 'delete', key: inProgress }]);
    };
    await recover();
    // Two were in progress: nobody can say which mail ended the process.
    expect(await pending()).toEqual([['b', 0, 'failed']]);
  });

  it('is met again where storage fails, or where it is another’s turn', async () => {
    const { inbox, context, inProgress, recover } = await site();
    await beginPage(context, inProgress, [mail('a')]);
    inbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(recover()).rejects.toThrow('storage is away');
    inbox.rows.onWrite = () => undefined;
    inbox.now += leaseMs + 1;
    await leaseOf(inbox, 'another');
    await expect(recover()).rejects.toBeInstanceOf(Superseded);
    expect((await openRows(context)).interrupted).toHaveLength(1);
  });
});

describe('what earlier runs left open', () => {
  it('is read by one query: pages of both kinds, and whether a refused disposal is due', async () => {
    const { inbox, context, inProgress } = await site();
    const write = (key: string) => inbox.rows.write(inbox.name, [{ kind: 'put', key, columns: {} }]);
    expect(await openRows(context)).toEqual({ interrupted: [], unfinished: [], refused: false });
    await write(inProgress);
    await write(`${prefixes.unfinished}run:1`);
    await write(`${prefixes.unfinished}run:2`);
    await write(refusedKey(inbox.now + 1, 'l:x'));
    const open = await openRows(context);
    expect([open.interrupted.length, open.unfinished.length, open.refused]).toEqual([1, 2, false]);
    inbox.now += 1;
    expect(await openRows(context)).toMatchObject({ ...open, refused: true });
  });
});
