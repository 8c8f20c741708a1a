import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { accountId } from '../../platform/ids.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { acquireLease } from '../session/lease.ts';
import { publishCheckedIn } from './events.ts';
import { runAccountRetention, runRetention } from './retention.ts';

/** What an import has left when it ended: who publishes it, and what becomes of originals that somebody meant to remove. */

const options = { signal: new AbortController().signal };
const dayMs = 24 * 3_600_000;
const removes = { delete: 'immediately', deleteMode: 'permanent' };
const later = { delete: { afterDays: 1 }, deleteMode: 'permanent' };
let inbox: TestInbox;

beforeEach(() => {
  for (const level of ['info', 'warn', 'error'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
  inbox = new TestInbox(removes);
  inbox.store.mails = [1, 2].map(fakeMail);
});
afterEach(() => vi.restoreAllMocks());

async function importNow(context = inbox.context): Promise<void> {
  inbox.now += 60_000;
  await runImport(context, inbox.name, {});
}

const ledger = async () => (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns);
const open = async () => (await inbox.rowsOf(prefixes.unfinished)).length;

/** The process ends at its first event of a type. */
function endingAt(type: string): TestInbox['context'] {
  const publish: TestInbox['context']['events']['publish'] = async (event, how) => {
    if (event.type === type) throw new Error('the process ended');
    await inbox.context.events.publish(event, how);
  };
  return { ...inbox.context, events: { publish } };
}

describe('events that were not published', () => {
  it('are published by the next run, though its server is away, and their originals follow when it is back', async () => {
    await importNow(endingAt('mailroom.mail.imported'));
    expect([inbox.events, await open(), inbox.store.mails.length]).toEqual([[], 1, 2]);
    const { failure } = inbox.store;
    inbox.store.failure = () => {
      throw new StoreError('connection', 'no answer');
    };
    await importNow();
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.imported')).toHaveLength(2);
    expect([await open(), inbox.store.mails.length]).toEqual([1, 2]);
    inbox.store.failure = failure;
    await importNow();
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.imported')).toHaveLength(2);
    expect([await open(), inbox.store.mails.length]).toEqual([0, 0]);
  });

  it('tell of the mail, and when it was imported', async () => {
    await importNow(endingAt('mailroom.mail.disposed'));
    const [row] = await ledger();
    const assetId = accountId(inbox.name, String(row?.asset));
    expect(inbox.events[0]).toEqual({
      ...{ type: 'mailroom.mail.imported', account: inbox.name, subject: assetId, time: row?.importedAt },
      data: { assetId, size: fakeMail(1).bytes.length, sha256: row?.sha256 },
    });
  });

  it('of a mail that came whole later, and of one that was given up, say so', async () => {
    const row = {
      ...{ key: 'l:1', store: 's', scope: '', item: '1', folder: 'INBOX', size: 7, sha256: 'ab', asset: 'a1' },
      ...{ importedAt: 5, messageId: '', fingerprint: 'f', state: 'imported', todoEvent: true },
    } as unknown as Parameters<typeof publishCheckedIn>[1][number];
    const place = { inbox: inbox.context, account: inbox.name, ...options };
    await publishCheckedIn(place, [
      { ...row, completedAt: 9 },
      { ...row, state: 'quarantined' },
      { ...row, todoEvent: false },
    ]);
    const about = { account: inbox.name, subject: accountId(inbox.name, 'a1') };
    const assetId = about.subject;
    expect(inbox.events).toEqual([
      {
        ...{ ...about, type: 'mailroom.mail.imported', occasion: 'completed', time: 9 },
        data: { assetId, size: 7, sha256: 'ab' },
      },
      { ...about, type: 'mailroom.mail.quarantined', time: 5, data: { assetId } },
    ]);
  });
});

describe('an original that somebody meant to remove', () => {
  it('and whose end was not written down may have been removed: the rule of now is asked, and nobody knows', async () => {
    inbox.store.outcome = () => {
      throw new TypeError('the process ended');
    };
    await importNow();
    expect((await ledger()).map(({ disposing }) => disposing)).toEqual([true, true]);
    inbox.store.outcome = () => undefined;
    inbox.rule = { delete: 'never' };
    await importNow();
    expect(inbox.store.disposed).toEqual([]);
    expect((await ledger()).map(({ disposed, disposing }) => [disposed, disposing])).toEqual(
      Array(2).fill(['uncertain', false]),
    );
    const events = inbox.events.filter(({ type }) => type === 'mailroom.mail.disposed');
    expect(events.map(({ data }) => data)).toEqual(
      Array(2).fill(expect.objectContaining({ action: 'delete', outcome: 'uncertain' })),
    );
  });

  it('is left alone where the account was disabled a moment before', async () => {
    let reads = 0;
    const account: TestInbox['context']['account'] = async () => {
      reads += 1;
      const { account: now, ...rest } = inbox.account;
      return reads === 1 ? inbox.account : { ...rest, account: { ...now, enabled: false } };
    };
    await importNow({ ...inbox.context, account });
    expect([inbox.store.disposed, await open(), (await ledger()).map(({ disposed }) => disposed)]).toEqual([
      [],
      0,
      ['canceled', 'canceled'],
    ]);
    expect(inbox.eventTypes()).toEqual(Array(2).fill('mailroom.mail.imported'));
  });

  it('is left alone where the account was deleted a moment before', async () => {
    let reads = 0;
    const account: TestInbox['context']['account'] = async () => {
      reads += 1;
      return reads === 1 ? inbox.account : undefined;
    };
    await importNow({ ...inbox.context, account });
    expect([inbox.store.disposed, await open()]).toEqual([[], 0]);
  });

  it('once it was dropped, is told of under another id than when it is removed after all', async () => {
    inbox.store.mails = [fakeMail(1)];
    inbox.store.outcome = () => 'moved';
    await importNow();
    const [dropped] = inbox.events.filter(({ type }) => type === 'mailroom.mail.disposed');
    expect(dropped).toMatchObject({
      occasion: 'dropped',
      time: inbox.now,
      data: { outcome: 'dropped', reason: 'moved' },
    });
    inbox.store.outcome = () => undefined;
    inbox.store.mails = [fakeMail(2)];
    await importNow();
    const removed = inbox.events.filter(({ type }) => type === 'mailroom.mail.disposed').at(-1);
    expect(removed).not.toHaveProperty('occasion');
    expect(removed?.data).not.toHaveProperty('reason');
  });
});

describe('the retention', () => {
  async function due(): Promise<void> {
    inbox.rule = later;
    await importNow();
    inbox.now += dayMs;
  }
  const retain = () => runAccountRetention(inbox.context, inbox.name, options);

  it('of an account that is disabled forgets what was due or refused, and keeps what may have been done', async () => {
    await due();
    inbox.store.outcome = () => ({ refused: new StoreError('connection', 'no'), unanswered: true });
    await retain();
    expect(await inbox.rowsOf(prefixes.refused)).toHaveLength(2);
    inbox.now += dayMs;
    Object.assign(inbox.account.account, { enabled: false });
    expect(await retain()).toBe(0);
    expect([await inbox.rowsOf(prefixes.due), await inbox.rowsOf(prefixes.refused)]).toEqual([[], []]);
    expect((await ledger()).map(({ disposed, disposing, todoDispose }) => [disposed, disposing, todoDispose])).toEqual(
      Array(2).fill(['uncertain', false, false]),
    );
  });

  it('of an account that is gone forgets what was due, and asks no server', async () => {
    await due();
    const { sessions } = inbox.store;
    const gone = { ...inbox.context, account: async () => undefined };
    expect(await runAccountRetention(gone, inbox.name, options)).toBe(0);
    expect([await inbox.rowsOf(prefixes.due), inbox.store.sessions]).toEqual([[], sessions]);
    expect((await ledger()).map(({ disposed }) => disposed)).toEqual(['canceled', 'canceled']);
  });

  it('waits for whoever works on the account', async () => {
    await due();
    const lease = await acquireLease(inbox.context, inbox.name, { runId: 'other', purpose: 'import' });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    expect(await retain()).toBe('leased');
    await lease.release();
    expect(await retain()).toBe(2);
  });

  it('of an account without a store does nothing', async () => {
    await due();
    const without = { ...inbox.context, store: async () => undefined };
    expect(await runAccountRetention(without, inbox.name, options)).toBe(0);
    expect(await inbox.rowsOf(prefixes.due)).toHaveLength(2);
  });

  it('finishes what a run has left, also where nothing is due', async () => {
    await importNow(endingAt('mailroom.mail.disposed'));
    expect(await open()).toBe(1);
    await retain();
    expect([await open(), inbox.store.mails]).toEqual([0, []]);
  });

  it('of all accounts goes on where one fails', async () => {
    await due();
    const { account } = inbox.account;
    const other = { ...inbox.account, account: { ...account, name: 'broken' } };
    const context: TestInbox['context'] = {
      ...inbox.context,
      accounts: async () => [other, inbox.account, other],
      account: async (name) => {
        if (name === 'broken') throw new Error('storage is away');
        return inbox.account;
      },
    };
    await runRetention(context, options);
    expect(inbox.store.mails).toEqual([]);
  });

  it('tells why originals cannot be removed, at the third refusal', async () => {
    inbox.store.mails = [fakeMail(1)];
    inbox.store.outcome = () => ({ refused: new StoreError('protocol', 'no', { code: 'NOPERM', hint: 'Look.' }) });
    await importNow();
    for (let n = 0; n < 3; n += 1) {
      inbox.now += dayMs;
      await retain();
    }
    const failing = inbox.events.filter(({ type }) => type === 'mailroom.account.failing');
    expect(failing.map(({ data }) => data)).toEqual([
      expect.objectContaining({ side: 'originals', code: 'NOPERM', hint: 'Look.' }),
    ]);
  });
});
