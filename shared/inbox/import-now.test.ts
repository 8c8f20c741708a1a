import { beforeEach, describe, expect, it } from 'vitest';
import { refusalOf } from '../../test/support/refusal-of.ts';
import { newestFirstId } from '../platform/ids.ts';
import { importNow } from './import-now.ts';
import { runImport } from './importing/run.ts';
import { fakeMail, TestInbox } from './inbox.test-support.ts';
import { getRun } from './ledger/runs.ts';
import { acquireLease } from './session/lease.ts';

const signal = new AbortController().signal;
let inbox: TestInbox;
let queued: { readonly runId?: string; readonly folder?: string }[];

beforeEach(() => {
  inbox = new TestInbox({}, ['INBOX', 'Archive']);
  queued = [];
  Object.assign(inbox.context, {
    enqueue: async (_: string, asked: (typeof queued)[number]) => void queued.push(asked),
  });
});

const ask = (input?: unknown, waitMs = 0) => importNow(inbox.context, inbox.account, input, { waitMs, signal });

async function runOf(input?: unknown, waitMs?: number) {
  const result = await ask(input, waitMs);
  return result.kind === 'run' ? result.run : expect.fail('a dry run');
}

describe('an import that a caller asks for', () => {
  it('is queued with the id that is answered, and can be looked up at once', async () => {
    const run = await runOf();
    expect(run).toMatchObject({ status: 'running', begun: false, startedAt: inbox.now });
    expect(queued).toEqual([{ runId: run.id }]);
    expect(await getRun(inbox.context, inbox.name, run.id, { signal })).toEqual(run);
  });

  it('of one folder is queued with it', async () => {
    const { id } = await runOf({ folder: 'Archive' });
    expect(queued).toEqual([{ runId: id, folder: 'Archive' }]);
  });

  it('is answered with its end, where the caller waits for that', async () => {
    inbox.store.mails = [fakeMail(1)];
    Object.assign(inbox.context, {
      enqueue: async (account: string, asked: { runId?: string }) => {
        void runImport(inbox.context, account, asked);
      },
    });
    expect(await runOf({}, 60_000)).toMatchObject({ status: 'done', begun: true, imported: 1 });
  });

  it('is answered as it is, where its end does not come in time', async () => {
    expect(await runOf({}, 300)).toMatchObject({ status: 'running', begun: false });
  });

  it('only described changes nothing', async () => {
    inbox.store.mails = [fakeMail(1)];
    const result = await ask({ dryRun: true, folder: 'Archive' });
    expect(result).toMatchObject({ kind: 'dryRun', items: [{ folder: 'Archive', action: 'import' }] });
    expect(queued).toEqual([]);
  });
});

describe('an import that is asked for while another is under way', () => {
  async function during(view: { purpose: string; folder?: string }, input?: unknown) {
    const id = newestFirstId(inbox.now - 1_000);
    const lease = await acquireLease(inbox.context, inbox.name, { runId: id, ...view });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    const run = await runOf(input);
    await lease.release();
    return { isOther: run.id === id, queued: queued.length };
  }

  it.each([
    ['an import of all folders', { purpose: 'import' }, {}, true],
    ['an import of all folders, for one', { purpose: 'import' }, { folder: 'INBOX' }, true],
    ['an import of the same folder', { purpose: 'import', folder: 'INBOX' }, { folder: 'INBOX' }, true],
    ['an import of another folder', { purpose: 'import', folder: 'INBOX' }, { folder: 'Archive' }, false],
    ['an import of one folder, for all', { purpose: 'import', folder: 'INBOX' }, {}, false],
    ['something else', { purpose: 'retention' }, {}, false],
  ])('%s', async (_, view, input, isOther) => {
    expect(await during(view, input)).toEqual({ isOther, queued: isOther ? 0 : 1 });
  });
});

describe('an import that cannot be', () => {
  it.each([
    ['of a folder that is not the account’s', { folder: 'Other' }, '/folder'],
    ['with a field that is none', { folders: ['INBOX'] }, '/folders'],
    ['with a folder that is no text', { folder: 7 }, '/folder'],
    ['with a dryRun that is none', { dryRun: 'yes' }, '/dryRun'],
  ])('%s is refused, with the field', async (_, input, pointer) => {
    const refusal = await refusalOf(ask(input));
    expect(refusal.reason).toBe('invalid');
    expect(refusal.mistakes?.map((mistake) => mistake.pointer)).toEqual([pointer]);
    expect(queued).toEqual([]);
  });

  it.each([
    ['is disabled', { enabled: false }, 'The account is disabled.'],
    ['has no store', { store: null }, 'The account has no store.'],
    ['is disabled and has no store', { enabled: false, store: null }, 'The account has no store.'],
  ])('of an account that %s is refused', async (_, change, message) => {
    Object.assign(inbox.account.account, change);
    expect(await refusalOf(ask())).toMatchObject({ reason: 'conflict', message });
    expect(queued).toEqual([]);
  });
});
