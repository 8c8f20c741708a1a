import { expect, it } from 'vitest';
import { bounceMail } from '../../../test/support/bounce-mail.ts';
import type { Bounce } from '../../outbox/bounces/mark-bounced.ts';
import type { BounceReport } from '../../outbox/bounces/report.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';

/** How an import passes bounces on, on a mailbox in memory. */

const messageId = '<sent@example.com>';
const message = 'sender.0123456789abcdefghijklm';
const deleted = { delete: 'immediately', deleteMode: 'permanent' };

/** An account with a bounce and an ordinary mail in its mailbox, and who takes bounces. */
function withBounce(bytes = bounceMail({ messageId, recipient: 'anna@example.org' })) {
  const inbox = new TestInbox(deleted);
  inbox.store.mails = [{ ...fakeMail(1), bytes }, fakeMail(2)];
  const asked: BounceReport[] = [];
  const marked: Bounce[] = [];
  const receiver: {
    known: boolean;
    taken: boolean;
    readonly asked: readonly BounceReport[];
    readonly marked: readonly Bounce[];
    onMark: () => void;
  } = {
    known: true,
    taken: true,
    asked,
    marked,
    onMark: () => undefined,
  };
  const context = {
    ...inbox.context,
    bounces: {
      find: async (report: BounceReport) => {
        asked.push(report);
        return receiver.known && report.failed.length > 0 ? message : undefined;
      },
      mark: async (bounce: Bounce) => {
        receiver.onMark();
        marked.push(bounce);
        return receiver.taken;
      },
    },
  };
  const importNow = async () => {
    inbox.now += 1_000;
    return await runImport(context, inbox.name, {});
  };
  return { inbox, receiver, importNow };
}

const ledgerTodo = async (inbox: TestInbox) =>
  (await inbox.rowsOf(prefixes.ledger)).filter(({ columns }) => columns.todoBounce === true).length;

it('a bounce of a mail that was sent here is passed on once, and its original goes after that', async () => {
  const { inbox, receiver, importNow } = withBounce();
  receiver.onMark = () => {
    expect(inbox.store.disposed).toEqual([]);
    // Who hears of an asset may delete it.
    expect(inbox.events).toEqual([]);
  };
  await importNow();
  await importNow();
  const failed = [{ address: 'anna@example.org', status: '5.1.1', diagnostic: '550 5.1.1 There is no such user' }];
  expect(receiver.asked).toEqual([{ messageId, failed }]);
  expect(receiver.marked).toMatchObject([{ messageId, failed, messageRecord: message }]);
  const imported = inbox.events.filter(({ type }) => type === 'mailroom.mail.imported');
  expect(imported.map(({ subject }) => subject)).toContain(receiver.marked[0]?.asset);
  expect(inbox.store.disposed).toHaveLength(2);
  expect(await ledgerTodo(inbox)).toBe(0);
});

it('a report that a mail is late asks for nobody, and passes nothing on', async () => {
  const { receiver, inbox, importNow } = withBounce(
    bounceMail({ messageId, recipient: 'anna@example.org', action: 'delayed' }),
  );
  await importNow();
  expect(receiver.asked).toEqual([{ messageId, failed: [] }]);
  expect(receiver.marked).toEqual([]);
  expect(await ledgerTodo(inbox)).toBe(0);
  expect(inbox.store.disposed).toHaveLength(2);
});

it('a bounce of somebody else’s mail is an asset and no more', async () => {
  const { inbox, receiver, importNow } = withBounce();
  receiver.known = false;
  await importNow();
  expect(receiver.marked).toEqual([]);
  expect(await ledgerTodo(inbox)).toBe(0);
  expect(inbox.store.disposed).toHaveLength(2);
});

it('one whose message is being delivered is passed on later, by an import that is queued', async () => {
  const { inbox, receiver, importNow } = withBounce();
  receiver.taken = false;
  await importNow();
  expect(inbox.queued).toContain(inbox.name);
  expect(await ledgerTodo(inbox)).toBe(1);
  expect(await inbox.rowsOf(prefixes.unfinished)).toHaveLength(1);
  receiver.taken = true;
  await importNow();
  expect(await ledgerTodo(inbox)).toBe(0);
  expect(await inbox.rowsOf(prefixes.unfinished)).toEqual([]);
  expect(inbox.store.disposed).toHaveLength(2);
  expect(new Set(receiver.marked.map(({ asset }) => asset)).size).toBe(1);
});

it('one that could not be passed on, since storage was away, is passed on by the next import', async () => {
  const { inbox, receiver, importNow } = withBounce();
  receiver.onMark = () => {
    throw new Error('storage is away');
  };
  await importNow().catch(() => undefined);
  expect(receiver.marked).toEqual([]);
  expect(await ledgerTodo(inbox)).toBe(1);
  receiver.onMark = () => undefined;
  inbox.now += 600_000;
  await importNow();
  expect(receiver.marked).toHaveLength(1);
  expect(await ledgerTodo(inbox)).toBe(0);
});
