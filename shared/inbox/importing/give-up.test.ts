import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { BrokenMail, type MailContent } from '../../adapters/mail-content.ts';
import { type ListedMail, StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { changeSession, fakeMail, TestInbox } from '../inbox.test-support.ts';
import { assetLocalId, prefixes } from '../keys.ts';
import { maxAttempts, pendingRow, quarantinePath, readPending } from '../ledger/pending.ts';
import { listRuns } from '../ledger/runs.ts';
import { withSession } from '../session/with-session.ts';
import { giveUp } from './give-up.ts';
import { runImport } from './run.ts';

const signal = new AbortController().signal;
const own = fakeMail(1);

/** An inbox with one mail that has failed so often. */
async function failed(attempts = maxAttempts) {
  const inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
  inbox.store.mails = [own];
  const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item: own.item };
  const mail: ListedMail = { source, folder: 'INBOX', size: own.bytes.length, receivedAt: own.receivedAt };
  const reason = 'x'.repeat(400);
  await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts, reason, now: 0 })]);
  const path = quarantinePath(inbox.name, assetLocalId(inbox.name, source));
  return { inbox, mail, path };
}

async function importNow(inbox: TestInbox) {
  inbox.now += 60_000;
  await runImport(inbox.context, inbox.name, {});
  return (await listRuns(inbox.context, inbox.name, { signal, top: 1 }))[0];
}

/** Begins to come, and breaks off by the mail's own fault. */
const breaksOff = (): MailContent => ({
  kind: 'stream',
  stream: Readable.from(
    (async function* () {
      yield own.bytes.subarray(0, 9);
      throw new BrokenMail('wentAway');
    })(),
  ),
});

const sha256 = createHash('sha256').update(own.bytes).digest('hex');

describe('a mail that has failed too often', () => {
  it.each(['bytes', 'stream'] as const)('is quarantined with its %s, unread, and its original stays', async (kind) => {
    const { inbox, path } = await failed();
    inbox.store.content = () =>
      kind === 'bytes' ? undefined : { kind, stream: Readable.from([own.bytes.subarray(0, 9), own.bytes.subarray(9)]) };
    expect(await importNow(inbox)).toMatchObject({ status: 'done', imported: 0, quarantined: 1 });
    expect(inbox.quarantine.text(path)).toBe(own.bytes.toString());
    const { contentType } = await inbox.quarantine.client.getBlobClient(path).getProperties();
    expect(contentType).toBe('message/rfc822');
    expect((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns)).toMatchObject([
      { state: 'quarantined', size: own.bytes.length, sha256, keepOriginal: true, todoEvent: false },
    ]);
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns)).toMatchObject([
      { reason: 'x'.repeat(300), attempts: maxAttempts, hasMime: true, folder: 'INBOX', at: inbox.now },
    ]);
    for (const prefix of [prefixes.pending, prefixes.inProgress, prefixes.unfinished, 'a:']) {
      expect(await inbox.rowsOf(prefix)).toEqual([]);
    }
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.quarantined']);
    expect([inbox.store.mails, inbox.store.disposed]).toEqual([[own], []]);
  });

  it.each<[string, () => MailContent]>([
    ['gives nothing', () => ({ kind: 'gone' })],
    ['gives no mail', () => ({ kind: 'broken', reason: 'noContent' })],
    ['breaks off', breaksOff],
  ])('is quarantined without its bytes where the server %s', async (_, content) => {
    const { inbox, path } = await failed();
    inbox.store.content = content;
    expect(await importNow(inbox)).toMatchObject({ status: 'done', quarantined: 1 });
    expect(inbox.quarantine.text(path)).toBeUndefined();
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns.hasMime)).toEqual([false]);
    expect((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns)).toMatchObject([
      { size: 0, sha256: '', listedSize: own.bytes.length, receivedAt: own.receivedAt },
    ]);
  });

  it('stays pending where storage is away', async () => {
    const { inbox } = await failed();
    inbox.quarantine.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    expect(await importNow(inbox)).toMatchObject({ status: 'failed', quarantined: 0 });
    expect(await inbox.rowsOf(prefixes.quarantine)).toEqual([]);
    expect(await inbox.rowsOf(prefixes.pending)).toHaveLength(1);
  });

  it('and whose process ends when it is given up waits before it is given up again', async () => {
    const { inbox } = await failed();
    inbox.quarantine.onRequest = () => {
      throw new RestError('nothing more is written', { statusCode: 503 });
    };
    await importNow(inbox);
    expect(await importNow(inbox)).toMatchObject({ status: 'done', quarantined: 0 });
    inbox.quarantine.onRequest = () => undefined;
    inbox.now += 2 * 3_600_000;
    expect(await importNow(inbox)).toMatchObject({ quarantined: 1 });
  });

  it('and breaks the line when it is given up waits, and is given up once it can be read', async () => {
    const { inbox } = await failed();
    inbox.store.mails.push(fakeMail(2));
    let asked = 0;
    inbox.store.content = ({ item }) => {
      if (item !== own.item) return undefined;
      asked += 1;
      throw new StoreError('connection', 'the line broke');
    };
    const pending = async () => (await readPending(inbox.context, inbox.name, { signal }))[0];
    for (let n = 1; n <= 4; n += 1) {
      await importNow(inbox);
      // Once a run: the others go on.
      expect(asked).toBe(n);
      const { attempts, troubles, reason, nextTryAt = 0 } = (await pending()) ?? {};
      expect({ attempts, troubles, reason }).toEqual({
        attempts: maxAttempts,
        troubles: n,
        reason: 'x'.repeat(300),
      });
      expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
      expect(nextTryAt - inbox.now).toBeGreaterThan(60 * 60_000);
      inbox.now = nextTryAt;
    }
    expect(inbox.eventTypes()).toContain('mailroom.mail.imported');
    inbox.store.content = () => undefined;
    expect(await importNow(inbox)).toMatchObject({ quarantined: 1 });
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns.hasMime)).toEqual([true]);
  });

  it('is waited for until its time is over, then left, and given up without its bytes', async () => {
    const { inbox, path } = await failed();
    const limit = new AbortController();
    const over = new DOMException('The time is over', 'TimeoutError');
    const stream = new Readable({ read: () => limit.abort(over) });
    inbox.store.content = () => ({ kind: 'stream', stream });
    let told: AbortSignal | undefined;
    changeSession(inbox, (session) => ({
      fetch: (mails, how) => {
        told = how.limit;
        return session.fetch(mails, how);
      },
    }));
    const options = { runId: newestFirstId(inbox.now), purpose: 'import' as const, budgetMs: 3_600_000, signal };
    await withSession(inbox.context, inbox.name, options, async (context) => {
      const [pending] = await readPending(inbox.context, inbox.name, { signal });
      if (!pending) return expect.fail('nothing is pending');
      await giveUp({ context }, { pending, turn: 'first', limitMs: 60_000 }, { limit: limit.signal });
    });
    // The server need not go on with its answer, and the session is free for the next mail.
    expect([told?.aborted, stream.destroyed]).toEqual([true, true]);
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns.hasMime)).toEqual([false]);
    expect([inbox.quarantine.text(path), await inbox.rowsOf(prefixes.pending)]).toEqual([undefined, []]);
  });

  it('replaces what an earlier try has left in quarantine', async () => {
    const { inbox, path } = await failed();
    inbox.quarantine.put(path, 'half of the mail');
    expect(await importNow(inbox)).toMatchObject({ quarantined: 1 });
    expect(inbox.quarantine.text(path)).toBe(own.bytes.toString());
  });

  it('replaces nothing once another run has taken over', async () => {
    const { inbox, path } = await failed();
    inbox.quarantine.onRequest = async () => {
      inbox.quarantine.onRequest = () => undefined;
      inbox.quarantine.put(path, 'of the other run');
      for (const { key } of await inbox.rowsOf(prefixes.inProgress)) {
        await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
      }
    };
    expect(await importNow(inbox)).toMatchObject({ status: 'failed', quarantined: 0 });
    expect(inbox.quarantine.text(path)).toBe('of the other run');
    expect([await inbox.rowsOf(prefixes.quarantine), inbox.eventTypes()]).toEqual([[], []]);
  });

  it('is given up by its fifth try, whatever the server says at length, and also where it breaks off then', async () => {
    const { inbox } = await failed(maxAttempts - 1);
    inbox.now += 24 * 3_600_000;
    inbox.store.content = () => {
      inbox.store.content = breaksOff;
      return { kind: 'broken', reason: 'notMail', code: 'x'.repeat(400) };
    };
    expect(await importNow(inbox)).toMatchObject({ status: 'done', quarantined: 1 });
    const [row] = await inbox.rowsOf(prefixes.quarantine);
    expect(row?.columns).toMatchObject({ attempts: maxAttempts, hasMime: false });
    expect(row?.columns.reason).toHaveLength(300);
  });

  it('waits where the line breaks while its bytes are kept after its fifth try', async () => {
    const { inbox } = await failed(maxAttempts - 1);
    inbox.now += 24 * 3_600_000;
    inbox.store.content = () => {
      inbox.store.content = () => {
        throw new StoreError('connection', 'the line broke');
      };
      return { kind: 'broken', reason: 'notMail' };
    };
    expect(await importNow(inbox)).toMatchObject({ quarantined: 0 });
    const [pending] = await readPending(inbox.context, inbox.name, { signal });
    expect(pending).toMatchObject({ troubles: 1, reason: 'StoreError: the line broke' });
    expect(pending?.nextTryAt).toBeGreaterThan(inbox.now);
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
  });

  it('that is an asset by now is not: its pending row goes', async () => {
    const { inbox, mail } = await failed(0);
    expect(await importNow(inbox)).toMatchObject({ imported: 1 });
    await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: maxAttempts, reason: '', now: 0 })]);
    inbox.store.content = () => expect.unreachable('fetched');
    expect(await importNow(inbox)).toMatchObject({ status: 'done', imported: 0, quarantined: 0 });
    expect([await inbox.rowsOf(prefixes.pending), await inbox.rowsOf(prefixes.quarantine)]).toEqual([[], []]);
  });

  it('is one that failed five times, and no fewer', async () => {
    const { inbox } = await failed(maxAttempts - 1);
    expect(await importNow(inbox)).toMatchObject({ imported: 1, quarantined: 0 });
  });

  it('whose event could not be published has it published by the next run', async () => {
    const { inbox } = await failed();
    const publish = inbox.context.events.publish;
    let away = true;
    const events = {
      publish: async (...args: Parameters<typeof publish>) => {
        if (away) throw new Error('the queue is away');
        await publish(...args);
      },
    };
    await runImport({ ...inbox.context, events }, inbox.name, {});
    expect(await inbox.rowsOf(prefixes.unfinished)).toHaveLength(1);
    away = false;
    await importNow(inbox);
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.quarantined')).toHaveLength(1);
    expect(await inbox.rowsOf(prefixes.unfinished)).toEqual([]);
  });
});
