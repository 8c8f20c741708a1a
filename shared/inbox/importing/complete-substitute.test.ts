import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { bounceMail } from '../../../test/support/bounce-mail.ts';
import type { ContentDoubt, MailContent } from '../../adapters/mail-content.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import type { Bounce } from '../../outbox/bounces/mark-bounced.ts';
import type { RowWrite } from '../../platform/rows.ts';
import type { TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { removeLeftovers } from '../ledger/leftovers.ts';
import { readTurn } from '../session/turn-row.ts';
import {
  dayMs,
  imported,
  importLater,
  mail,
  minuteMs,
  readAsset,
  type Stage,
  text,
} from './substitute.test-support.ts';

/** The mail itself takes the place of a note: what comes with it, and what may go wrong meanwhile. */

const hourMs = 60 * minuteMs;
const deleted = { delete: 'immediately', deleteMode: 'permanent' };

type Given = Extract<MailContent, { kind: 'bytes' | 'stream' }>;

/** The content of a mail, in two pieces where it is a stream. */
function contentOf(kind: Given['kind'], bytes: Buffer, doubt?: () => ContentDoubt): Given {
  const doubtful = doubt ? { doubt } : {};
  return kind === 'bytes'
    ? { kind, bytes, ...doubtful }
    : { kind, stream: Readable.from([bytes.subarray(0, 100), bytes.subarray(100)]), ...doubtful };
}

/** The server gives one content after the other, and the last one from then on. */
function givesInTurn(inbox: TestInbox, ...contents: readonly (() => MailContent)[]): void {
  let asked = 0;
  inbox.store.content = () => {
    const content = contents[Math.min(asked, contents.length - 1)];
    asked += 1;
    return content?.();
  };
}

const lastRun = async ({ context, name }: TestInbox) => (await readTurn(context, name)).last;

const completes = (writes: readonly RowWrite[]) =>
  writes.some((write) => write.kind === 'merge' && 'completedAt' in write.columns);

/** Events are not taken, until this is called. */
function eventsAway({ context }: TestInbox): () => void {
  const { publish } = context.events;
  Object.assign(context.events, {
    publish: async () => {
      throw new Error('no event is taken');
    },
  });
  return () => Object.assign(context.events, { publish });
}

/** The asset is deleted, and a process that stood still meanwhile writes one more of its blobs: a day later that is gone. */
async function expectNothingToStay({ inbox, ledger, paths }: Stage): Promise<void> {
  const key = (await ledger())?.key ?? '';
  await inbox.rows.write(inbox.name, [{ kind: 'merge', key, columns: { state: 'deleted' } }]);
  for (const name of inbox.assets.names(paths.folder)) inbox.assets.remove(name);
  inbox.assets.put(`${paths.folder}replacement/message.eml`, 'written late');
  inbox.now += dayMs + hourMs;
  await removeLeftovers(inbox.context, { signal: new AbortController().signal });
  expect(inbox.assets.names(paths.folder)).toEqual([]);
}

describe('the mail itself', () => {
  it.each(['bytes', 'stream'] as const)(
    'replaces the note where it comes as %s, as large as the account takes',
    async (kind) => {
      const stage = await imported();
      Object.assign(stage.inbox.account.account.import, { maxMessageSize: mail.length });
      stage.inbox.store.content = () => contentOf(kind, mail);
      await importLater(stage.inbox);
      expect(await readAsset(stage)).toBe('mail');
      expect(await stage.pending()).toEqual([]);
    },
  );

  it('is passed on as a bounce where it is one', async () => {
    const { inbox, server } = await imported();
    const marked: Bounce[] = [];
    Object.assign(inbox.context.bounces, {
      find: async () => 'sender.0123456789abcdefghijklm',
      mark: async (bounce: Bounce) => {
        marked.push(bounce);
        return true;
      },
    });
    server.given = () => bounceMail({ messageId: '<sent@example.com>', recipient: 'anna@example.org' });
    await importLater(inbox);
    expect(marked).toMatchObject([{ messageId: '<sent@example.com>' }]);
  });

  it('that has no Message-ID replaces the note, and names no row twice in one transaction', async () => {
    const { inbox, server, ledger, describeAsset } = await imported();
    server.given = () => text(['From: sender@example.com', 'Date: Mon, 02 Mar 2026 03:04:05 +0100', '', 'words', '']);
    inbox.rows.onWrite = (_, writes) => {
      // As storage does.
      const keys = new Set(writes.map(({ key }) => key));
      if (keys.size < writes.length) throw new RestError('InvalidDuplicateRow', { statusCode: 400 });
    };
    await importLater(inbox);
    expect((await describeAsset())?.defects).not.toContain('substitute');
    expect((await ledger())?.columns.completedAt).toBe(inbox.now);
  });

  it('with an endless Message-ID replaces the note, and the ledger keeps the beginning of it', async () => {
    const { inbox, server, ledger } = await imported();
    const id = `<${'x'.repeat(900)}@example.com>`;
    server.given = () => text(['From: sender@example.com', `Message-ID: ${id}`, '', 'words', '']);
    await importLater(inbox);
    expect((await ledger())?.columns.messageId).toBe(id.slice(0, 500));
  });

  it.each([
    ['is out', {}, []],
    ['is out and its original is disposed of', deleted, ['delete 0000000001']],
  ])('has nothing left to do once its event %s', async (_, rule, disposed) => {
    const { inbox, server, ledger } = await imported(rule);
    server.given = () => mail;
    await importLater(inbox);
    expect((await ledger())?.columns).toMatchObject({ todoEvent: false, todoDispose: false });
    expect([inbox.store.disposed, await inbox.rowsOf(prefixes.unfinished)]).toEqual([disposed, []]);
  });

  it('is looked at once more before its original is deleted: an id of an earlier session may name another mail', async () => {
    const { inbox, server } = await imported(deleted);
    const verified = verifying(inbox);
    server.given = () => mail;
    await importLater(inbox);
    expect(verified).toEqual([true]);
  });
});

/** Whether originals are looked at before they are disposed of. */
function verifying(inbox: TestInbox): readonly boolean[] {
  const verified: boolean[] = [];
  const { open } = inbox.store;
  inbox.store.open = async (options) => {
    const session = await open.call(inbox.store, options);
    const { dispose } = session;
    session.dispose = async (targets, disposal, how) => {
      verified.push(how.verify);
      return await dispose(targets, disposal, how);
    };
    return session;
  };
  return verified;
}

describe('what does not replace a note', () => {
  it.each(['bytes', 'stream'] as const)(
    '%s that are too many, or in doubt: nothing of them is written',
    async (kind) => {
      const stage = await imported();
      const { inbox, paths } = stage;
      Object.assign(inbox.account.account.import, { maxMessageSize: mail.length - 1 });
      inbox.store.content = () => contentOf(kind, mail);
      await importLater(inbox);
      Object.assign(inbox.account.account.import, { maxMessageSize: mail.length });
      inbox.store.content = () => contentOf(kind, mail, () => 'cutShort');
      await importLater(inbox, hourMs);
      expect(await readAsset(stage)).toBe('note');
      expect((await stage.pending())[0]?.columns).toMatchObject({ cause: 'substitute', attempts: 3 });
      expect(inbox.assets.names(paths.folder)).toEqual([paths.description, paths.message]);
      expect(await inbox.rowsOf(leftoverPrefix)).toEqual([]);
    },
  );

  it('a mail that is gone when it is asked for', async () => {
    const stage = await imported();
    givesInTurn(stage.inbox, () => ({ kind: 'gone' }));
    await importLater(stage.inbox);
    expect(await readAsset(stage)).toBe('note');
    expect((await lastRun(stage.inbox))?.status).toBe('done');
    expect(await stage.pending()).toHaveLength(1);
  });

  it.each<readonly [string, () => MailContent]>([
    ['gone', () => ({ kind: 'gone' })],
    ['broken', () => ({ kind: 'broken', reason: 'cutShort' })],
    ['in doubt', () => contentOf('bytes', mail, () => 'cutShort')],
    ['in doubt, as a stream', () => contentOf('stream', mail, () => 'cutShort')],
  ])(
    'a mail that was whole at first, and is %s when it is to be kept: the run goes on, and nothing stays',
    async (_, then) => {
      const stage = await imported(deleted);
      const { inbox } = stage;
      givesInTurn(inbox, () => contentOf('bytes', mail), then);
      await importLater(inbox);
      expect(await readAsset(stage)).toBe('note');
      expect((await lastRun(inbox))?.status).toBe('done');
      expect([inbox.store.disposed, (await stage.pending()).length]).toEqual([[], 1]);
      await expectNothingToStay(stage);
    },
  );

  it('a mail for which storage is away: the run fails, and says so', async () => {
    const stage = await imported();
    const { inbox, server, paths } = stage;
    server.given = () => mail;
    inbox.assets.onRequest = (method, path) => {
      if (method === 'upload' && path.startsWith(`${paths.folder}replacement/`)) {
        throw new RestError('storage is away', { statusCode: 503 });
      }
    };
    await importLater(inbox);
    inbox.assets.onRequest = () => undefined;
    expect(await lastRun(inbox)).toMatchObject({ status: 'failed', error: expect.stringContaining('storage is away') });
    expect(await readAsset(stage)).toBe('note');
    await importLater(inbox, 2 * hourMs);
    expect(await readAsset(stage)).toBe('mail');
  });

  it('a mail of which nothing is known any more', async () => {
    const { inbox, server, ledger, pending } = await imported();
    await inbox.rows.write(inbox.name, [{ kind: 'delete', key: (await ledger())?.key ?? '' }]);
    server.given = () => expect.unreachable('fetched');
    await importLater(inbox);
    expect(await pending()).toEqual([]);
    expect((await lastRun(inbox))?.status).toBe('done');
  });

  it('a mail that another run has taken over meanwhile', async () => {
    const stage = await imported();
    const { inbox, server, paths, ledger } = stage;
    server.given = () => mail;
    let takenOver = false;
    inbox.assets.onRequest = async (method, path) => {
      if (method !== 'upload' || path !== paths.description) return;
      for (const { key } of await inbox.rowsOf(prefixes.inProgress)) {
        await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
        takenOver = true;
      }
    };
    await importLater(inbox);
    expect(takenOver).toBe(true);
    expect(await readAsset(stage)).toBe('note');
    expect((await ledger())?.columns.completedAt).toBeUndefined();
  });
});

describe('an end between two steps', () => {
  it('before its event is out: the next run publishes it, and disposes of the original', async () => {
    const { inbox, server } = await imported(deleted);
    server.given = () => mail;
    const eventsBack = eventsAway(inbox);
    await importLater(inbox);
    expect([inbox.eventTypes(), inbox.store.disposed]).toEqual([['mailroom.mail.imported'], []]);
    eventsBack();
    await importLater(inbox, 2 * hourMs);
    expect(inbox.eventTypes().slice(1)).toEqual(['mailroom.mail.imported', 'mailroom.mail.disposed']);
    expect(inbox.store.disposed).toEqual(['delete 0000000001']);
  });

  it('before its event is out: an original that the rule left alone stays, whatever the rule says later', async () => {
    const { inbox, server } = await imported();
    server.given = () => mail;
    const eventsBack = eventsAway(inbox);
    await importLater(inbox);
    eventsBack();
    inbox.rule = deleted;
    await importLater(inbox, 2 * hourMs);
    expect([inbox.eventTypes().length, inbox.store.disposed]).toEqual([2, []]);
  });

  it('before its blobs are moved, and its asset is deleted then: nothing is moved any more', async () => {
    const { inbox, server, ledger, paths, pending } = await imported();
    server.given = () => mail;
    inbox.assets.onRequest = (method, path) => {
      if (method === 'upload' && path === paths.message) throw new Error('ended');
    };
    await importLater(inbox);
    expect(await pending()).toHaveLength(1);
    const key = (await ledger())?.key ?? '';
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key, columns: { state: 'deleted' } }]);
    const before = inbox.assets.names();
    inbox.assets.onRequest = () => expect.unreachable('moved');
    await importLater(inbox);
    await importLater(inbox, 2 * hourMs);
    expect(inbox.assets.names()).toEqual(before);
    expect(await pending()).toEqual([]);
    expect((await lastRun(inbox))?.status).toBe('done');
  });

  it.each(['reads', 'moves', 'has moved'] as const)(
    'of a process that %s the mail: what it writes late does not stay',
    async (when) => {
      const stage = await imported();
      const { inbox, server, paths } = stage;
      server.given = () => mail;
      const dead = () => {
        throw new RestError('ended', { statusCode: 503 });
      };
      let died = false;
      const die = () => {
        died = true;
        inbox.rows.onWrite = dead;
        inbox.assets.onRequest = dead;
        dead();
      };
      if (when === 'reads') {
        inbox.rows.onWrite = (_, writes) => {
          if (completes(writes)) die();
        };
      }
      if (when === 'moves') {
        inbox.assets.onRequest = (method, path) => {
          if (method === 'upload' && path === paths.message) die();
        };
      }
      await importLater(inbox);
      expect(died).toBe(when !== 'has moved');
      inbox.rows.onWrite = () => undefined;
      inbox.assets.onRequest = () => undefined;
      const key = (await stage.ledger())?.key ?? '';
      await inbox.rows.write(inbox.name, [{ kind: 'merge', key, columns: { state: 'deleted' } }]);
      // The next run ends the page.
      await importLater(inbox);
      expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
      await expectNothingToStay(stage);
    },
  );
});
