import { describe, expect, it } from 'vitest';
import { type DisposalOutcome, type DisposalTarget, StoreError } from '../../adapters/store.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { runAccountRetention } from './retention.ts';

/** What is written and published of an original, by what its server answers and what the account's rule says. */

const options = { signal: new AbortController().signal };
const dayMs = 24 * 3_600_000;
const item = fakeMail(1).item;
const removes = { delete: 'immediately', deleteMode: 'permanent' };
const trashes = { markRead: true, delete: 'immediately', deleteMode: 'trash' };
const moves = { markRead: true, moveTo: 'Done' };
const marks = { markRead: true };
const later = { delete: { afterDays: 1 }, deleteMode: 'trash' };

async function withMail(rule: Readonly<Record<string, unknown>>, count = 1): Promise<TestInbox> {
  const inbox = new TestInbox(rule);
  inbox.store.mails = Array.from({ length: count }, (_, n) => fakeMail(n + 1));
  return inbox;
}

const importNow = (inbox: TestInbox) => runImport(inbox.context, inbox.name, {});
const retain = (inbox: TestInbox) => runAccountRetention(inbox.context, inbox.name, options);
const disposedEvents = ({ events }: TestInbox) =>
  events.flatMap(({ type, data }) => {
    const { action, outcome, reason } = data as Record<string, unknown>;
    return type === 'mailroom.mail.disposed'
      ? [[action, outcome, ...(reason === undefined ? [] : [reason])].join(' ')]
      : [];
  });
const ledger = async (inbox: TestInbox) => (await inbox.rowsOf(prefixes.ledger))[0]?.columns ?? {};
const keysOf = async (inbox: TestInbox, prefix: string) => (await inbox.rowsOf(prefix)).length;
const lastRun = async (inbox: TestInbox) => (await inbox.rowsOf(prefixes.run))[0]?.columns ?? {};

describe('what a server answers', () => {
  it.each<[DisposalOutcome, object, string[], string | undefined, number]>([
    ['done', marks, [], undefined, 0],
    ['done', removes, ['delete done'], 'done', 1],
    ['done', trashes, ['delete done'], 'done', 1],
    ['done', moves, ['move done'], 'done', 1],
    ['markedOnly', marks, [], undefined, 0],
    ['markedOnly', removes, ['delete markedOnly'], 'markedOnly', 1],
    // Found gone by the first step: the second is not asked for.
    ['gone', marks, [], 'gone', 0],
    ['moved', marks, [], undefined, 0],
    ['moved', removes, ['delete dropped moved'], 'moved', 0],
    ['moved', moves, ['move dropped moved'], 'moved', 0],
    ['mismatch', marks, [], undefined, 0],
    ['mismatch', removes, ['delete dropped mismatch'], 'mismatch', 0],
    ['mismatch', moves, ['move dropped mismatch'], 'mismatch', 0],
  ])('%j to the rule %j: events %j, in the ledger %j', async (outcome, rule, events, disposed, count) => {
    const inbox = await withMail({ markRead: false, ...rule });
    inbox.store.outcome = () => outcome;
    await importNow(inbox);
    expect(disposedEvents(inbox)).toEqual(events);
    expect(await ledger(inbox)).toMatchObject({ todoEvent: false, todoDispose: false, disposing: false });
    expect((await ledger(inbox)).disposed).toBe(disposed);
    expect((await lastRun(inbox)).disposed).toBe(count);
    expect([await keysOf(inbox, prefixes.unfinished), await keysOf(inbox, prefixes.refused)]).toEqual([0, 0]);
    expect(await keysOf(inbox, prefixes.dropped)).toBe(events.some((event) => event.includes('dropped')) ? 1 : 0);
  });

  it('to each step is heard: one that was refused is not followed by the next', async () => {
    const inbox = await withMail(moves);
    const asked: string[] = [];
    inbox.store.outcome = (_, { action }) => {
      asked.push(action);
      return action === 'markRead' ? { refused: new StoreError('permission', 'read only') } : undefined;
    };
    await importNow(inbox);
    expect(asked).toEqual(['markRead']);
    expect(await ledger(inbox)).toMatchObject({ todoEvent: false, todoDispose: true, disposing: false });
    expect((await inbox.rowsOf(prefixes.refused))[0]?.columns).toMatchObject({
      attempts: 1,
      alone: false,
      wanted: 'now',
      code: 'permission',
      reason: 'read only',
    });
    expect((await lastRun(inbox)).error).toContain('markRead: read only');
  });

  it('without an answer keeps the note that it may have been done', async () => {
    const inbox = await withMail(removes);
    const error = new StoreError('connection', 'no answer', { code: 'ECONNRESET', hint: 'Wait.' });
    inbox.store.outcome = () => ({ refused: error, unanswered: true, copiedTo: '7;9' });
    await importNow(inbox);
    expect(await ledger(inbox)).toMatchObject({ disposing: true, copiedTo: '7;9' });
    expect((await inbox.rowsOf(prefixes.refused))[0]?.columns).toMatchObject({
      alone: true,
      code: 'ECONNRESET',
      hint: 'Wait.',
    });
  });
});

describe('an original', () => {
  it('is named with what the ledger knows of it', async () => {
    const inbox = await withMail(removes);
    const targets: DisposalTarget[] = [];
    inbox.store.onDispose = (target) => targets.push(target);
    await importNow(inbox);
    const { size: _, ...mail } = { size: 0, ...fakeMail(1) };
    expect(targets).toEqual([
      {
        source: { store: inbox.store.identity, scope: inbox.store.scopeName, item },
        folder: 'INBOX',
        size: mail.bytes.length,
        receivedAt: mail.receivedAt,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
  });

  it('that was already noted, and that the rule no longer wants to be disposed of, may have been: nobody knows', async () => {
    const inbox = await withMail(removes);
    inbox.store.outcome = () => {
      throw new StoreError('connection', 'the line broke');
    };
    await importNow(inbox);
    inbox.rule = { delete: 'never' };
    inbox.now += dayMs;
    inbox.store.outcome = () => undefined;
    await importNow(inbox);
    expect(inbox.store.disposed).toEqual([]);
    expect(await ledger(inbox)).toMatchObject({ todoDispose: false, disposing: false });
    expect(await keysOf(inbox, prefixes.refused)).toBe(0);
  });

  it('is left alone while the account is disabled, and a deletion to come is canceled', async () => {
    const inbox = await withMail(later);
    await importNow(inbox);
    inbox.now += dayMs;
    Object.assign(inbox.account.account, { enabled: false });
    expect(await retain(inbox)).toBe(0);
    expect([await keysOf(inbox, prefixes.due), (await ledger(inbox)).disposed]).toEqual([0, 'canceled']);
    Object.assign(inbox.account.account, { enabled: true });
    await retain(inbox);
    expect([inbox.store.mails.length, disposedEvents(inbox)]).toEqual([1, []]);
  });

  it('of an oversize mail is kept, whatever the rule says, and may be marked', async () => {
    for (const rule of [trashes, moves, { ...later, markRead: true }]) {
      const inbox = await withMail({ ...rule, maxMessageSize: 1_024 });
      const [mail] = inbox.store.mails;
      if (mail) inbox.store.mails = [{ ...mail, bytes: Buffer.concat([mail.bytes, Buffer.alloc(2_000, 'x')]) }];
      await importNow(inbox);
      inbox.now += 2 * dayMs;
      await retain(inbox);
      expect(inbox.store.disposed).toEqual([`markRead ${item}`]);
      expect(disposedEvents(inbox)).toEqual([]);
    }
  });
});

describe('many originals', () => {
  it('due are deleted in groups, each with its event, and counted', async () => {
    const inbox = await withMail(later, 70);
    await importNow(inbox);
    inbox.now += dayMs;
    const groups: number[] = [];
    const open = inbox.store.open.bind(inbox.store);
    inbox.store.open = async () => {
      const session = await open();
      const dispose = session.dispose.bind(session);
      session.dispose = async (targets, disposal, how) => {
        groups.push(targets.length);
        expect([how.verify, how.signal.aborted]).toEqual([true, false]);
        return await dispose(targets, disposal, how);
      };
      return session;
    };
    expect(await retain(inbox)).toBe(70);
    expect(groups).toEqual([32, 32, 6]);
    expect(disposedEvents(inbox)).toEqual(Array(70).fill('delete done'));
    expect(await keysOf(inbox, prefixes.due)).toBe(0);
  });

  it.each(['connection', 'throttled', 'signIn', 'noConnection'] as const)(
    'are not asked for any more in this run after trouble of the connection (%s)',
    async (kind) => {
      const inbox = await withMail(later, 70);
      await importNow(inbox);
      inbox.now += dayMs;
      let asked = 0;
      inbox.store.outcome = () => {
        asked += 1;
        throw new StoreError(kind, 'no');
      };
      await retain(inbox);
      expect(asked).toBe(1);
      expect([await keysOf(inbox, prefixes.refused), await keysOf(inbox, prefixes.due)]).toEqual([32, 38]);
    },
  );

  it('are asked for on after an answer that makes no sense', async () => {
    const inbox = await withMail(later, 70);
    await importNow(inbox);
    inbox.now += dayMs;
    let asked = 0;
    inbox.store.outcome = () => {
      asked += 1;
      throw new StoreError('protocol', 'no');
    };
    await retain(inbox);
    expect(asked).toBe(3);
    expect(await keysOf(inbox, prefixes.due)).toBe(0);
  });

  it('that had no answer are tried again each by itself, until one ends the connection again', async () => {
    const inbox = await withMail(removes, 3);
    inbox.store.outcome = () => {
      throw new StoreError('connection', 'the line broke');
    };
    await importNow(inbox);
    expect(await keysOf(inbox, prefixes.refused)).toBe(3);
    inbox.now += 5 * 60_000;
    const asked: string[] = [];
    inbox.store.outcome = (which) => {
      asked.push(which);
      if (which === fakeMail(2).item) throw new StoreError('connection', 'the line broke');
      return undefined;
    };
    await retain(inbox);
    expect(asked).toEqual([fakeMail(1).item, fakeMail(2).item]);
    expect(await keysOf(inbox, prefixes.refused)).toBe(2);
    expect(inbox.store.mails.map((mail) => mail.item)).toEqual([fakeMail(2).item, fakeMail(3).item]);
  });

  it('are not touched by an error that is not the server’s', async () => {
    const inbox = await withMail(removes);
    inbox.store.outcome = () => {
      throw new TypeError('a fault of ours');
    };
    await importNow(inbox);
    expect(await keysOf(inbox, prefixes.unfinished)).toBe(1);
    expect(await keysOf(inbox, prefixes.refused)).toBe(0);
  });
});
