import { createHash } from 'node:crypto';
import { RestError } from '@azure/storage-blob';
import { beforeEach, describe, expect, it } from 'vitest';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import { accountId } from '../../platform/ids.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { assetLocalId, prefixes } from '../keys.ts';
import { removeLeftovers } from '../ledger/leftovers.ts';
import { maxAttempts, pendingRow, quarantinePath } from '../ledger/pending.ts';
import { QuarantinedMails } from './quarantined-mails.ts';

const options = { signal: new AbortController().signal };
const sha256Hex = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const noneOf = 'There is no mail with this id in the quarantine.';

let inbox: TestInbox;
let mails: QuarantinedMails;

beforeEach(() => {
  inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
  mails = new QuarantinedMails(inbox.context);
});

/** Puts mail `n` into the quarantine of an inbox; without its bytes, where the server gives none. Answers its id. */
async function quarantine(n: number, { kept = true, into = inbox } = {}): Promise<string> {
  const mail = fakeMail(n);
  into.store.mails.push(mail);
  const source = { store: into.store.identity, scope: into.store.scopeName, item: mail.item };
  const listed = { source, folder: 'INBOX', size: mail.bytes.length, receivedAt: mail.receivedAt };
  const row = pendingRow(listed, { attempts: maxAttempts, reason: `reason ${n}`, now: 0 });
  await into.rows.write(into.name, [row]);
  into.store.content = () => (kept ? undefined : { kind: 'broken', reason: 'noContent' });
  into.now += 1_000;
  await runImport(into.context, into.name, {});
  into.store.content = () => undefined;
  return accountId(into.name, assetLocalId(into.name, source));
}

const list = async (accounts: readonly string[], top: number, after?: string) =>
  await mails.list(accounts, { top, ...(after === undefined ? {} : { after }), ...options });

describe('a list', () => {
  it('has the newest first, and one more than is asked for', async () => {
    const ids = [await quarantine(1), await quarantine(2), await quarantine(3)];
    const [newest, second] = await list([inbox.name], 1);
    expect([newest?.mail.id, second?.mail.id]).toEqual([ids[2], ids[1]]);
    expect(newest?.mail).toEqual({
      ...{ id: ids[2], account: inbox.name, folder: 'INBOX', quarantinedAt: new Date(inbox.now).toISOString() },
      ...{ reason: 'reason 3', attempts: maxAttempts, hasMime: true },
    });
    const rest = await list([inbox.name], 10, newest?.key);
    expect(rest.map(({ mail }) => mail.id)).toEqual([ids[1], ids[0]]);
    expect(await list([inbox.name], 10, rest.at(-1)?.key)).toEqual([]);
  });

  it('has those of several accounts in one order, and none of others', async () => {
    const others = new TestInbox();
    const first = await quarantine(1);
    others.now = inbox.now + 10_000;
    const second = await quarantine(1, { into: others });
    // Rows of both in one table.
    for (const row of await others.rowsOf('')) {
      await inbox.rows.write(others.name, [{ kind: 'put', key: row.key, columns: row.columns }]);
    }
    const found = await list([inbox.name, others.name], 10);
    expect(found.map(({ mail }) => [mail.account, mail.id])).toEqual([
      [others.name, second],
      [inbox.name, first],
    ]);
    expect((await list([inbox.name], 10)).map(({ mail }) => mail.id)).toEqual([first]);
    expect(await list([], 10)).toEqual([]);
  });

  it('says how often a mail was tried since', async () => {
    await quarantine(1);
    const [row] = await inbox.rowsOf(prefixes.quarantine);
    const attempts = maxAttempts + 2;
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns: { attempts } }]);
    expect((await list([inbox.name], 1))[0]?.mail.attempts).toBe(attempts);
  });

  it('believes a row of an earlier version, which has no number of attempts', async () => {
    await quarantine(1);
    const [row] = await inbox.rowsOf(prefixes.quarantine);
    const { attempts: _, ...columns } = row?.columns ?? {};
    await inbox.rows.write(inbox.name, [{ kind: 'put', key: row?.key ?? '', columns }]);
    expect((await list([inbox.name], 1))[0]?.mail.attempts).toBe(maxAttempts);
  });
});

describe('one mail', () => {
  it('is described with what the ledger knows, and read from any place of its bytes', async () => {
    const id = await quarantine(1);
    const { bytes, receivedAt, item } = fakeMail(1);
    expect(await mails.get(id, options)).toMatchObject({
      ...{ id, hasMime: true, size: bytes.length, sha256: sha256Hex(bytes) },
      ...{ sourceId: expect.stringContaining(item), receivedAt: new Date(receivedAt).toISOString() },
    });
    const content = await mails.mime(id, options);
    expect([content.size, content.sha256]).toEqual([bytes.length, sha256Hex(bytes)]);
    const read = async (offset: number, count: number) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of await content.open(offset, count)) pieces.push(piece);
      return Buffer.concat(pieces).toString();
    };
    expect([await read(0, bytes.length), await read(6, 13)]).toEqual([bytes.toString(), bytes.toString().slice(6, 19)]);
  });

  it('without its bytes has no size, no digest and nothing to read', async () => {
    const id = await quarantine(1, { kept: false });
    expect(await mails.get(id, options)).toMatchObject({ hasMime: false, size: null, sha256: null });
    expect(await refusalOf(mails.mime(id, options))).toMatchObject({
      ...{ reason: 'notFound', message: 'The server gave no bytes of this mail.' },
    });
  });

  it('whose time of arrival nobody knows has none', async () => {
    const id = await quarantine(1);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    const { receivedAt: _, ...columns } = row?.columns ?? {};
    await inbox.rows.write(inbox.name, [{ kind: 'put', key: row?.key ?? '', columns }]);
    expect((await mails.get(id, options)).receivedAt).toBeNull();
  });

  it('whose bytes go while they are read is not there', async () => {
    const id = await quarantine(1);
    const content = await mails.mime(id, options);
    await inbox.quarantine.client.deleteBlob(quarantinePath(inbox.name, id.slice(inbox.name.length + 1)));
    expect(await refusalOf((async () => await content.open(0, content.size))())).toMatchObject({ reason: 'notFound' });
  });

  it.each([
    ['is no id', () => 'nonsense'],
    ['is empty', () => ''],
    ['is of another mail', () => accountId(inbox.name, '0'.repeat(32))],
    ['is of another account', (id: string) => accountId('elsewhere', id.slice(inbox.name.length + 1))],
  ])('an id that %s is not found', async (_, other) => {
    const id = await quarantine(1);
    expect(await refusalOf(mails.get(other(id), options))).toMatchObject({ reason: 'notFound', message: noneOf });
  });

  it.each([
    ['is imported', { state: 'imported' }],
    ['is dropped', { state: 'deleted' }],
    ['became another asset', { asset: 'other' }],
  ])('whose ledger row says that it %s is not found', async (_, columns) => {
    const id = await quarantine(1);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns }]);
    expect(await refusalOf(mails.get(id, options))).toMatchObject({ reason: 'notFound', message: noneOf });
  });

  it.each(['nonsense', '', 'account.', '.0123456789abcdef'])('is not looked for in storage by %j', async (id) => {
    await quarantine(1);
    const before = inbox.rows.requests;
    expect(await refusalOf(mails.get(id, options))).toMatchObject({ reason: 'notFound' });
    expect(inbox.rows.requests).toBe(before);
  });

  it('is found among others', async () => {
    const ids = [await quarantine(1), await quarantine(2), await quarantine(3)];
    for (const id of ids) expect((await mails.get(id, options)).id).toBe(id);
  });
});

describe('one that is dropped', () => {
  it('leaves with its bytes, is never imported, and its original stays', async () => {
    const id = await quarantine(1);
    const path = quarantinePath(inbox.name, id.slice(inbox.name.length + 1));
    expect(inbox.quarantine.text(path)).toBe(fakeMail(1).bytes.toString());
    const before = (await inbox.rowsOf(prefixes.ledger))[0]?.columns;
    await mails.delete(id, options);
    expect(await list([inbox.name], 10)).toEqual([]);
    expect(inbox.quarantine.text(path)).toBeUndefined();
    expect((await inbox.rowsOf(prefixes.ledger))[0]?.columns).toEqual({ ...before, state: 'deleted' });
    // Should the process have ended before the bytes were gone, somebody comes back for them.
    expect(await inbox.rowsOf(leftoverPrefix)).toHaveLength(1);
    expect(await refusalOf(mails.delete(id, options))).toMatchObject({ reason: 'notFound' });
    inbox.now += 60_000;
    await runImport(inbox.context, inbox.name, {});
    expect([inbox.store.disposed, inbox.eventTypes()]).toEqual([[], ['mailroom.mail.quarantined']]);
  });

  it('leaves also where its bytes cannot be removed now: they go later', async () => {
    const ids = [await quarantine(1), await quarantine(2)];
    inbox.quarantine.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    for (const id of ids) await expect(mails.delete(id, options)).rejects.toThrow('storage is away');
    expect(await list([inbox.name], 10)).toEqual([]);
    inbox.quarantine.onRequest = () => undefined;
    expect(inbox.quarantine.names()).toHaveLength(2);
    await removeLeftovers(inbox.context, options);
    expect(inbox.quarantine.names()).toEqual([]);
  });

  it('may have no bytes', async () => {
    const id = await quarantine(1, { kept: false });
    await mails.delete(id, options);
    expect(await list([inbox.name], 10)).toEqual([]);
  });

  it('stays while its quarantine is being published', async () => {
    const id = await quarantine(1);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns: { todoEvent: true } }]);
    expect(await refusalOf(mails.delete(id, options))).toMatchObject({ reason: 'conflict' });
    expect(await list([inbox.name], 10)).toHaveLength(1);
  });

  it('stays where it changed meanwhile, with its bytes', async () => {
    const id = await quarantine(1);
    inbox.rows.onWrite = async (partition, writes) => {
      if (!writes.some(({ kind }) => kind === 'delete')) return;
      inbox.rows.onWrite = () => undefined;
      const [row] = await inbox.rowsOf(prefixes.ledger);
      await inbox.rows.write(partition, [{ kind: 'merge', key: row?.key ?? '', columns: { size: 1 } }]);
    };
    expect(await refusalOf(mails.delete(id, options))).toMatchObject({ reason: 'conflict' });
    expect(await list([inbox.name], 10)).toHaveLength(1);
    expect(inbox.quarantine.text(quarantinePath(inbox.name, id.slice(inbox.name.length + 1)))).toBeDefined();
  });

  it('is not said to be changed where storage is away', async () => {
    const id = await quarantine(1);
    inbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(mails.delete(id, options)).rejects.toThrow('storage is away');
  });
});

describe('a caller who goes away', () => {
  const gone = AbortSignal.abort(new Error('the caller is gone'));

  it.each<[string, () => Promise<unknown>]>([
    ['a list', () => mails.list([inbox.name], { top: 1, signal: gone })],
    ['one mail', () => mails.get(accountId(inbox.name, '0'.repeat(32)), { signal: gone })],
  ])('has %s searched for no longer', async (_, call) => {
    await quarantine(1);
    await expect(call()).rejects.toThrow('the caller is gone');
  });

  it('while a mail is dropped has dropped it, and leaves its bytes for later', async () => {
    const id = await quarantine(1);
    const caller = new AbortController();
    inbox.rows.onWrite = () => caller.abort();
    await expect(mails.delete(id, { signal: caller.signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect([await list([inbox.name], 10), inbox.quarantine.names()]).toEqual([[], [expect.anything()]]);
  });
});
