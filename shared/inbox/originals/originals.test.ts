import { describe, expect, it } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { runAccountRetention } from './retention.ts';

/** What becomes of originals, on a mailbox in memory. */

const options = { signal: new AbortController().signal };
const dayMs = 24 * 3_600_000;
const minuteMs = 60_000;
const first = fakeMail(1).item;
const second = fakeMail(2).item;
const third = fakeMail(3).item;

async function importNow(inbox: TestInbox): Promise<void> {
  inbox.now += 1_000;
  await runImport(inbox.context, inbox.name, {});
}

const retention = (inbox: TestInbox) => runAccountRetention(inbox.context, inbox.name, options);

async function withMails(rule: Readonly<Record<string, unknown>>): Promise<TestInbox> {
  const inbox = new TestInbox(rule);
  inbox.store.mails = [1, 2, 3].map(fakeMail);
  return inbox;
}

const disposedOf = async (inbox: TestInbox) =>
  (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.disposed);

const disposedEvents = (inbox: TestInbox) =>
  inbox.events.filter(({ type }) => type === 'mailroom.mail.disposed').map(({ data }) => data);

const permanently = { delete: 'immediately', deleteMode: 'permanent' };

describe('the rule', () => {
  it.each([
    ['never', { markRead: false }, []],
    ['mark read', { markRead: true }, [`markRead ${first}`, `markRead ${second}`, `markRead ${third}`]],
    ['delete', permanently, [`delete ${first}`, `delete ${second}`, `delete ${third}`]],
    ['move', { moveTo: 'Done' }, [`move ${first}`, `move ${second}`, `move ${third}`]],
  ])('%s decides what is done, once', async (_, rule, disposed) => {
    const inbox = await withMails(rule);
    await importNow(inbox);
    await importNow(inbox);
    expect(inbox.store.disposed.toSorted()).toEqual(disposed);
    expect(await inbox.rowsOf(prefixes.unfinished)).toEqual([]);
  });

  it('never deletes before the commit', async () => {
    const inbox = await withMails(permanently);
    const order: string[] = [];
    inbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ kind, key }) => kind === 'insert' && key.startsWith(prefixes.ledger))) order.push('commit');
    };
    inbox.store.onDispose = () => order.push('disposal');
    await importNow(inbox);
    expect(order).toEqual(['commit', 'disposal', 'disposal', 'disposal']);
  });

  it('is read again before a disposal: what was changed to never meanwhile is left alone', async () => {
    const inbox = await withMails(permanently);
    const { context } = inbox;
    let reads = 0;
    const account = async () => {
      reads += 1;
      // The first read is that of the session.
      if (reads > 1) inbox.rule = { delete: 'never' };
      return inbox.account;
    };
    await runImport({ ...context, account }, inbox.name, {});
    expect(inbox.store.disposed).toEqual([]);
    expect(await disposedOf(inbox)).toEqual([undefined, undefined, undefined]);
    expect(await inbox.rowsOf(prefixes.unfinished)).toEqual([]);
  });
});

describe('deletion N days after the check-in', () => {
  it('happens when the days are over, and not before', async () => {
    const inbox = await withMails({ delete: { afterDays: 3 }, deleteMode: 'permanent' });
    await importNow(inbox);
    inbox.now += 3 * dayMs - minuteMs;
    expect(await retention(inbox)).toBe(0);
    expect(inbox.store.disposed).toEqual([]);
    inbox.now += 2 * minuteMs;
    expect(await retention(inbox)).toBe(3);
    expect(inbox.store.mails).toEqual([]);
    expect(await disposedOf(inbox)).toEqual(['done', 'done', 'done']);
    expect(await inbox.rowsOf(prefixes.due)).toEqual([]);
  });

  it('opens no session while nothing is due', async () => {
    const inbox = await withMails({ delete: { afterDays: 3 } });
    await importNow(inbox);
    const before = inbox.store.sessions;
    await retention(inbox);
    expect(inbox.store.sessions).toBe(before);
  });

  it('is canceled by a rule that no longer wants it', async () => {
    const inbox = await withMails({ delete: { afterDays: 3 } });
    await importNow(inbox);
    inbox.rule = { delete: 'never' };
    inbox.now += 4 * dayMs;
    await retention(inbox);
    expect(inbox.store.disposed).toEqual([]);
    expect(await disposedOf(inbox)).toEqual(['canceled', 'canceled', 'canceled']);
    expect(await inbox.rowsOf(prefixes.due)).toEqual([]);
  });
});

describe('a refusal', () => {
  it('is its mail’s own, is tried again after growing pauses, and makes the account fail at the third', async () => {
    const inbox = await withMails(permanently);
    inbox.store.outcome = (item) =>
      item === second ? { refused: new StoreError('protocol', 'no', { code: 'NOPERM' }) } : undefined;
    await importNow(inbox);
    expect(inbox.store.disposed.toSorted()).toEqual([`delete ${first}`, `delete ${third}`]);
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const [row] = await inbox.rowsOf(prefixes.refused);
      expect(row?.columns).toMatchObject({ attempts: attempt, code: 'NOPERM' });
      const nextTryAt = Number(row?.key.split(':')[1]);
      pauses.push(Math.round((nextTryAt - inbox.now) / minuteMs));
      const failing = inbox.eventTypes().filter((type) => type === 'mailroom.account.failing').length;
      expect(failing).toBe(attempt < 3 ? 0 : 1);
      inbox.now = nextTryAt;
      await retention(inbox);
    }
    expect(pauses).toEqual([5, 30, 120]);
    inbox.store.outcome = () => undefined;
    inbox.now += dayMs;
    expect(await retention(inbox)).toBe(1);
    expect(await disposedOf(inbox)).toEqual(['done', 'done', 'done']);
    expect(inbox.eventTypes().at(-1)).toBe('mailroom.account.recovered');
  });

  it('of a removal after a copy is remembered, so that the next try only removes', async () => {
    const inbox = await withMails({ moveTo: 'Done' });
    const asked: unknown[] = [];
    inbox.store.onDispose = ({ copiedTo }) => asked.push(copiedTo);
    inbox.store.outcome = (item) =>
      item === first ? { refused: new StoreError('protocol', 'no'), copiedTo: 'Done' } : undefined;
    await importNow(inbox);
    expect(asked.splice(0)).toEqual([undefined, undefined, undefined]);
    inbox.now += 6 * minuteMs;
    await retention(inbox);
    expect(asked).toEqual(['Done']);
  });

  it('because the line broke is tried by itself, keeps the note, and a mail found gone was ours', async () => {
    const inbox = await withMails(permanently);
    inbox.store.outcome = () => {
      throw new StoreError('connection', 'the line broke');
    };
    await importNow(inbox);
    expect(disposedEvents(inbox)).toEqual([]);
    // The server had done it before the line broke.
    inbox.store.mails = [];
    inbox.store.outcome = () => undefined;
    inbox.now += 6 * minuteMs;
    await retention(inbox);
    expect(await disposedOf(inbox)).toEqual(['done', 'done', 'done']);
    expect(disposedEvents(inbox).map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done']);
  });
});

describe('an original that is not where it was', () => {
  it('gone by another hand is gone, without an event', async () => {
    const inbox = await withMails({ delete: { afterDays: 1 } });
    await importNow(inbox);
    inbox.store.mails = inbox.store.mails.slice(1);
    inbox.now += 2 * dayMs;
    expect(await retention(inbox)).toBe(2);
    expect(await disposedOf(inbox)).toEqual(['gone', 'done', 'done']);
    expect(disposedEvents(inbox)).toHaveLength(2);
  });

  it.each(['moved', 'mismatch'] as const)('%s is dropped, counted, and published with its reason', async (reason) => {
    const inbox = await withMails({ delete: { afterDays: 1 } });
    await importNow(inbox);
    inbox.store.outcome = (item) => (item === first ? reason : undefined);
    inbox.now += 2 * dayMs;
    expect(await retention(inbox)).toBe(2);
    expect(await inbox.rowsOf(prefixes.dropped)).toMatchObject([{ columns: { reason } }]);
    expect(disposedEvents(inbox)).toContainEqual(expect.objectContaining({ outcome: 'dropped', reason }));
  });

  it('at a server that the account has left is not looked for at the new one', async () => {
    const inbox = await withMails({ delete: { afterDays: 1 } });
    await importNow(inbox);
    Object.assign(inbox.store, { identity: 'imap:another' });
    inbox.now += 2 * dayMs;
    await retention(inbox);
    expect(inbox.store.disposed).toEqual([]);
    expect(await inbox.rowsOf(prefixes.dropped)).toMatchObject(Array(3).fill({ columns: { reason: 'elsewhere' } }));
  });
});

it('a process that ends between disposal and event leaves what makes the next one publish it', async () => {
  const inbox = await withMails(permanently);
  const { context } = inbox;
  let ended = true;
  const events = {
    publish: async (event: Parameters<typeof context.events.publish>[0]) => {
      if (ended && event.type === 'mailroom.mail.disposed') throw new Error('the process ended');
      await context.events.publish(event);
    },
  };
  await runImport({ ...context, events }, inbox.name, {});
  expect([inbox.store.mails, disposedEvents(inbox)]).toEqual([[], []]);
  ended = false;
  await importNow(inbox);
  expect(disposedEvents(inbox)).toHaveLength(3);
  expect(await disposedOf(inbox)).toEqual(['done', 'done', 'done']);
});
