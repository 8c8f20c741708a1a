import { describe, expect, it } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { dryRun } from './dry-run.ts';

/** Imports from a mailbox in memory. */

const signal = new AbortController().signal;

const messageIds = async (inbox: TestInbox) =>
  (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.messageId);

it.each([500, 501, 998])(
  'a mail whose Message-ID has %d characters is imported once, though the server gives new ids',
  async (length) => {
    const inbox = new TestInbox();
    const id = `<${'x'.repeat(length - 2)}>`;
    const bytes = Buffer.from(`From: a@example.net\r\nMessage-ID: ${id}\r\n\r\nText\r\n`);
    inbox.store.mails = [{ ...fakeMail(1), bytes }];
    expect(await importOnce(inbox)).toMatchObject({ imported: 1 });
    inbox.store.scopeName = 'INBOX;8';
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0 });
  },
);

const broken = { kind: 'broken', reason: 'notMail' } as const;

describe('a page', () => {
  it('leaves one ledger row and one event of each mail, and nothing open', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2, 3].map(fakeMail);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 3 });
    expect(await messageIds(inbox)).toEqual(['<1@example.net>', '<2@example.net>', '<3@example.net>']);
    expect(inbox.eventTypes()).toEqual(Array(3).fill('mailroom.mail.imported'));
    for (const prefix of [prefixes.inProgress, prefixes.unfinished, prefixes.pending]) {
      expect(await inbox.rowsOf(prefix)).toEqual([]);
    }
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 0 });
    expect(inbox.events).toHaveLength(3);
  });

  it('that is larger than a transaction is committed in several, each with its checkpoint', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = Array.from({ length: 50 }, (_, n) => fakeMail(n + 1));
    const checkpoints: number[] = [];
    inbox.rows.onWrite = (_, writes) => {
      expect(writes.length).toBeLessThanOrEqual(100);
      if (writes.some(({ key }) => key.startsWith(prefixes.checkpoint))) {
        checkpoints.push(writes.filter(({ kind, key }) => kind === 'insert' && key.startsWith(prefixes.ledger)).length);
      }
    };
    expect(await importOnce(inbox)).toMatchObject({ imported: 50 });
    expect(checkpoints).toEqual([23, 23, 4]);
  });

  it('tells with its commit how far the run is, and costs no write for it', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = Array.from({ length: 50 }, (_, n) => fakeMail(n + 1));
    const told: unknown[] = [];
    inbox.rows.onWrite = (_, writes) => {
      for (const write of writes)
        if (write.kind === 'merge' && write.key.startsWith(prefixes.run))
          told.push([write.columns.imported, writes.some(({ key }) => key.startsWith(prefixes.checkpoint))]);
    };
    await importOnce(inbox);
    expect(told).toEqual([
      [23, true],
      [46, true],
      [50, true],
    ]);
  });

  it('whose commit is refused by storage is imported by the next run, and no event comes before its row', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
    inbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ key }) => key.startsWith(prefixes.ledger))) throw new Error('storage is away');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 0 });
    expect([inbox.events, await messageIds(inbox)]).toEqual([[], []]);
    inbox.rows.onWrite = () => undefined;
    // The lease was given back; the page of the failed run counts as an attempt of its only mail.
    await importOnce(inbox);
    inbox.now += 10 * 60_000;
    await importOnce(inbox);
    expect(await messageIds(inbox)).toEqual(['<1@example.net>']);
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.imported']);
  });

  it('of a run that was overtaken is not committed', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
    let overtaken = false;
    inbox.store.content = () => {
      overtaken = true;
      return undefined;
    };
    inbox.rows.onWrite = async (partition, writes) => {
      if (!overtaken || !writes.some(({ kind }) => kind === 'insert')) return;
      overtaken = false;
      // Another run has ended the page in progress.
      for (const { key } of await inbox.rowsOf(prefixes.inProgress)) {
        await inbox.rows.write(partition, [{ kind: 'delete', key }]);
      }
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 0 });
    expect([inbox.events, await messageIds(inbox)]).toEqual([[], []]);
  });
});

describe('a mail that cannot be checked in', () => {
  it('keeps no other out, is tried after growing pauses, and is quarantined after the fifth attempt', async () => {
    const inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
    inbox.store.mails = [1, 2, 3].map(fakeMail);
    inbox.store.content = ({ item }) => (item.endsWith('2') ? broken : undefined);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 2, pending: 1 });
    const pauses: number[] = [];
    for (let attempt = 1; attempt < 5; attempt += 1) {
      const [row] = await inbox.rowsOf(prefixes.pending);
      const nextTryAt = Number(row?.columns.nextTryAt);
      pauses.push(Math.round((nextTryAt - inbox.now) / 60_000));
      inbox.now = nextTryAt - 5_000;
      expect((await importOnce(inbox)).pending).toBe(0);
      inbox.now = nextTryAt;
      await importOnce(inbox);
    }
    expect(pauses).toEqual([1, 4, 16, 64]);
    expect(await inbox.rowsOf(prefixes.pending)).toEqual([]);
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns.reason)).toEqual([
      'The server sent something else than a mail',
    ]);
    expect(inbox.store.mails.map(({ item }) => item)).toEqual([fakeMail(2).item]);
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.quarantined')).toHaveLength(1);
  });

  it('because the server refuses all of them is no attempt, and the account fails', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2].map(fakeMail);
    inbox.store.content = () => ({ kind: 'broken', reason: 'refused', refusal: 'unclear' });
    for (let run = 0; run < 6; run += 1) {
      expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 0 });
      inbox.now += 2 * 3_600_000;
    }
    expect(await inbox.rowsOf(prefixes.quarantine)).toEqual([]);
    expect(inbox.eventTypes()).toEqual(['mailroom.account.failing']);
    inbox.store.content = () => undefined;
    await importOnce(inbox);
    expect(await messageIds(inbox)).toHaveLength(2);
    expect(inbox.eventTypes()).toContain('mailroom.account.recovered');
  });

  it('because the line breaks is tried alone, so that the others come in', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2, 3].map(fakeMail);
    inbox.store.content = ({ item }) => {
      if (item.endsWith('2')) throw new StoreError('connection', 'the line broke');
      return undefined;
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed' });
    await importOnce(inbox);
    expect(await messageIds(inbox)).toEqual(['<1@example.net>', '<3@example.net>']);
    const [pending] = await inbox.rowsOf(prefixes.pending);
    expect(pending?.columns).toMatchObject({ attempts: 0, troubles: 1 });
  });

  it('that its server lists and says is not there stays pending; one that is no longer listed is gone', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2, 3].map(fakeMail);
    inbox.store.content = ({ item }) => {
      if (item.endsWith('1')) return { kind: 'gone' };
      if (!item.endsWith('2')) return undefined;
      inbox.store.mails = inbox.store.mails.filter((mail) => mail.item !== item);
      return { kind: 'gone' };
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, pending: 1, skipped: 1 });
  });
});

describe('ids that the server gives anew', () => {
  it('a new scope with the same mails is known by their content, and each row absorbs one', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    inbox.store.scopeName = 'INBOX;8';
    const twin = { ...fakeMail(1), item: fakeMail(9).item };
    inbox.store.mails = [...[1, 2].map(fakeMail), twin];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 2 });
    const ledger = await inbox.rowsOf(prefixes.ledger);
    expect(ledger.map(({ columns }) => columns.scope)).toEqual(Array(3).fill('INBOX;8'));
    expect(new Set(ledger.map(({ columns }) => columns.asset)).size).toBe(3);
  });

  it('the rule holds for a known mail under its new id again, in the same run', async () => {
    const inbox = new TestInbox({ markRead: true });
    inbox.store.mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    inbox.store.disposed.splice(0);
    inbox.store.scopeName = 'INBOX;8';
    await importOnce(inbox);
    expect(inbox.store.disposed.toSorted()).toEqual([`markRead ${fakeMail(1).item}`, `markRead ${fakeMail(2).item}`]);
  });

  it('other bytes with the same Message-ID, time and size are a new mail', async () => {
    const inbox = new TestInbox();
    const mail = fakeMail(1);
    inbox.store.mails = [mail];
    await importOnce(inbox);
    inbox.store.scopeName = 'INBOX;8';
    inbox.store.mails = [{ ...mail, bytes: Buffer.from(mail.bytes.toString().replace('Text', 'Tent')) }];
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, skipped: 0 });
  });
});

describe('folders', () => {
  it('fail each for themselves, in a run and in a dry run', async () => {
    const inbox = new TestInbox({}, ['Missing', 'INBOX']);
    inbox.store.mails = [fakeMail(1)];
    inbox.store.failure = (folder) => {
      if (folder === 'Missing') throw new StoreError('folderMissing', 'no such folder');
    };
    const preview = await dryRun(inbox.context, inbox.name, { signal });
    expect(preview).toMatchObject({ items: [{ action: 'import' }], error: 'folder "Missing": no such folder' });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, error: preview.error });
    expect(inbox.eventTypes()).toContain('mailroom.account.failing');
  });

  it('all of which fail are the failure of the run, and of the dry run', async () => {
    const inbox = new TestInbox({}, ['Missing', 'Gone']);
    inbox.store.failure = () => {
      throw new StoreError('folderMissing', 'no such folder');
    };
    await expect(dryRun(inbox.context, inbox.name, { signal })).rejects.toThrow('folder "Missing": no such folder');
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed' });
  });

  it('a checkpoint that is no longer good is forgotten, and the folder gone through against the ledger', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2].map(fakeMail);
    await importOnce(inbox);
    inbox.store.mails.push(fakeMail(3));
    let expired = false;
    inbox.store.resync = () => {
      if (expired) return;
      expired = true;
      throw new StoreError('resync', 'the token has expired');
    };
    const preview = await dryRun(inbox.context, inbox.name, { signal });
    expect(preview.items.map(({ action }) => action)).toEqual(['skip', 'skip', 'import']);
    expired = false;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
    expect(await messageIds(inbox)).toHaveLength(3);
  });
});
