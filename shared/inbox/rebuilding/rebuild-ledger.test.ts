import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { assetPaths } from '../../assets/asset.ts';
import { accountId } from '../../platform/ids.ts';
import type { Row } from '../../platform/rows.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { leaseHolder } from '../session/lease.ts';
import { readTurn } from '../session/turn-row.ts';
import { rebuildLedger } from './rebuild-ledger.ts';

const options = { signal: new AbortController().signal };

/** An inbox with assets, and rows from which it is built again. */
async function imported(count = 2, rule: Readonly<Record<string, unknown>> = {}) {
  const inbox = new TestInbox(rule);
  inbox.store.mails = Array.from({ length: count }, (_, n) => fakeMail(n + 1));
  await runImport(inbox.context, inbox.name, {});
  const ledger = await inbox.rowsOf(prefixes.ledger);
  const ids = ledger.map(({ columns }) => accountId(inbox.name, String(columns.asset)));
  const rebuild = (rows = inbox.rows) => rebuildLedger({ rows, assets: inbox.context.assets }, inbox.name, options);
  return { inbox, ids, rebuild };
}

const restoredPrefixes = [prefixes.ledger, 'a:', 'f:', prefixes.scope];

async function rowsOf(rows: MemoryRows, account: string, prefix: string): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rows.prefix(account, prefix)) found.push(row);
  return found;
}

const contents = async (rows: MemoryRows, account: string, prefix: string) =>
  (await rowsOf(rows, account, prefix)).map(({ key, columns }) => ({ key, columns }));

async function remove({ rows, name }: TestInbox, prefix: string): Promise<void> {
  for (const key of rows.keys(name, prefix)) await rows.write(name, [{ kind: 'delete', key }]);
}

describe('from the descriptions of its assets', () => {
  it('an account has the rows again that imports and listings go by', async () => {
    const { inbox, rebuild } = await imported();
    const rows = new MemoryRows();
    expect(await rebuild(rows)).toEqual({ restored: 2, known: 0, unreadable: [] });
    for (const prefix of ['a:', 'f:']) {
      expect(await contents(rows, inbox.name, prefix)).toEqual(await contents(inbox.rows, inbox.name, prefix));
    }
    const before = await contents(inbox.rows, inbox.name, prefixes.ledger);
    const after = await contents(rows, inbox.name, prefixes.ledger);
    expect(after.map(({ key }) => key)).toEqual(before.map(({ key }) => key));
    for (const [n, { columns }] of after.entries()) {
      // What its server had counted is not said, nor what was being done with its original.
      const { listedSize: _, disposing: __, ...known } = before[n]?.columns ?? {};
      expect(columns).toEqual(known);
    }
    expect((await rowsOf(rows, inbox.name, prefixes.scope)).map(({ columns }) => columns)).toEqual([
      { store: 'imap:fake', scope: 'INBOX;7', folder: 'INBOX', seenAt: inbox.now },
    ]);
  });

  it('imports nothing twice', async () => {
    const { inbox, rebuild } = await imported();
    for (const prefix of [...restoredPrefixes, prefixes.checkpoint]) await remove(inbox, prefix);
    await rebuild();
    await runImport(inbox.context, inbox.name, {});
    expect(inbox.eventTypes()).toHaveLength(2);
    expect(await inbox.rowsOf(prefixes.ledger)).toHaveLength(2);
  });

  it('leaves originals alone, also those that were to be deleted', async () => {
    const { inbox, rebuild } = await imported(1, { delete: { afterDays: 3 } });
    const rows = new MemoryRows();
    await rebuild(rows);
    expect(rows.keys(inbox.name, prefixes.due)).toEqual([]);
    expect((await rowsOf(rows, inbox.name, prefixes.ledger))[0]?.columns).toMatchObject({
      todoEvent: false,
      todoDispose: false,
    });
  });

  it.each([
    ['is oversize', { flags: { oversize: true } }, true],
    ['is of a size that differs', { defects: ['size-differs'] }, true],
    ['has another Message-ID', { defects: ['message-id-differs'] }, true],
    ['stands in for its mail', { defects: ['substitute'] }, true],
    ['has a defect beside others', { defects: ['invalid-date', 'substitute'] }, true],
    ['has a defect of its own', { defects: ['invalid-date'] }, undefined],
  ])('whether the original of one is never deleted that %s', async (_, change, keepOriginal) => {
    const { inbox, ids, rebuild } = await imported(1);
    const { description } = assetPaths(inbox.name, ids[0] ?? '');
    const asset = JSON.parse(inbox.assets.text(description) ?? '');
    const { flags, ...others } = { flags: {}, ...change };
    inbox.assets.put(description, JSON.stringify({ ...asset, ...others, flags: { ...asset.flags, ...flags } }));
    const rows = new MemoryRows();
    await rebuild(rows);
    expect((await rowsOf(rows, inbox.name, prefixes.ledger))[0]?.columns.keepOriginal).toBe(keepOriginal);
  });
});

it('a mail without Message-ID and time has rows too', async () => {
  const { inbox, ids, rebuild } = await imported(1);
  const { description } = assetPaths(inbox.name, ids[0] ?? '');
  const asset = JSON.parse(inbox.assets.text(description) ?? '');
  inbox.assets.put(description, JSON.stringify({ ...asset, messageId: null, receivedAt: null }));
  const rows = new MemoryRows();
  expect(await rebuild(rows)).toMatchObject({ restored: 1 });
  const columns = (await rowsOf(rows, inbox.name, prefixes.ledger))[0]?.columns;
  expect([columns?.messageId, columns?.receivedAt]).toEqual([undefined, undefined]);
});

it.each([
  ['scopes', prefixes.scope],
  ['the ledger', prefixes.ledger],
])('rows of %s that storage does not take are no rows that are there', async (_, prefix) => {
  const { rebuild } = await imported(1);
  const rows = new MemoryRows();
  rows.onWrite = (__, writes) => {
    if (writes.some(({ key }) => key.startsWith(prefix))) throw new RestError('storage is away', { statusCode: 503 });
  };
  await expect(rebuild(rows)).rejects.toThrow('storage is away');
});

describe('beside rows that are there', () => {
  it('writes nothing', async () => {
    const { inbox, rebuild } = await imported();
    const before = await Promise.all(restoredPrefixes.map((prefix) => inbox.rowsOf(prefix)));
    expect(await rebuild()).toEqual({ restored: 0, known: 2, unreadable: [] });
    expect(await Promise.all(restoredPrefixes.map((prefix) => inbox.rowsOf(prefix)))).toEqual(before);
  });

  it.each([
    ['the ledger', prefixes.ledger],
    ['the index of assets', 'a:'],
  ])('%s alone is written where it is missing, and again in the next one nothing', async (_, prefix) => {
    const { inbox, rebuild } = await imported();
    const before = inbox.rows.keys(inbox.name, prefix);
    await remove(inbox, prefix);
    expect(await rebuild()).toMatchObject({ restored: 2, known: 0 });
    expect(inbox.rows.keys(inbox.name, prefix)).toEqual(before);
    expect(await rebuild()).toMatchObject({ restored: 0, known: 2 });
  });

  it.each(['deleted', 'quarantined'])('does not bring back a mail that is %s', async (state) => {
    const { inbox, rebuild } = await imported(1);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns: { state } }]);
    await remove(inbox, 'a:');
    expect(await rebuild()).toMatchObject({ restored: 0, known: 1 });
    expect(inbox.rows.keys(inbox.name, 'a:')).toEqual([]);
  });

  it('knows a mail that was met under another source id', async () => {
    const { inbox, rebuild } = await imported();
    inbox.store.scopeName = 'INBOX;8';
    await runImport(inbox.context, inbox.name, {});
    const before = inbox.rows.keys(inbox.name, prefixes.ledger);
    expect(await rebuild()).toMatchObject({ restored: 0, known: 2 });
    expect(inbox.rows.keys(inbox.name, prefixes.ledger)).toEqual(before);
  });
});

describe('the turn of an account', () => {
  it('keeps nothing in mind of the rows before', async () => {
    const { inbox, rebuild } = await imported();
    const before = await readTurn(inbox.context, inbox.name);
    expect([before.works, before.quiet]).toEqual([true, expect.anything()]);
    await rebuild();
    const { works, quiet, last } = await readTurn(inbox.context, inbox.name);
    expect([works, quiet]).toEqual([false, undefined]);
    // What the last import came to is still told.
    expect(last).toEqual(before.last);
  });

  it('is taken from an import under way, which writes no more', async () => {
    const { inbox, rebuild } = await imported(1);
    const before = inbox.rows.keys(inbox.name, prefixes.ledger);
    inbox.now += 60_000;
    inbox.store.mails.push(fakeMail(2));
    let rebuilt: Promise<unknown> | undefined;
    const open = inbox.store.open.bind(inbox.store);
    inbox.store.open = async (given) => {
      const session = await open(given);
      rebuilt ??= rebuild();
      await rebuilt;
      return session;
    };
    await runImport(inbox.context, inbox.name, {}).catch(() => undefined);
    await expect(rebuilt).resolves.toMatchObject({ known: 1 });
    expect(inbox.rows.keys(inbox.name, prefixes.ledger)).toEqual(before);
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
    // It is known as one that did not end.
    expect((await readTurn(inbox.context, inbox.name)).died).toMatchObject({ startedAt: inbox.now });
    // The next one imports what that one did not.
    await runImport(inbox.context, inbox.name, {});
    expect(inbox.rows.keys(inbox.name, prefixes.ledger)).toHaveLength(2);
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.imported').length).toBe(2);
  });
});

it('the scope of many assets is written once', async () => {
  const { inbox, rebuild } = await imported(5);
  const rows = new MemoryRows();
  const written: string[] = [];
  rows.onWrite = (_, writes) => void written.push(...writes.map(({ key }) => key));
  await rebuild(rows);
  expect(written.filter((key) => key.startsWith(prefixes.scope))).toEqual(rows.keys(inbox.name, prefixes.scope));
});

it('what lies beside the folders of assets is no asset', async () => {
  const { inbox, rebuild } = await imported(1);
  inbox.assets.put(`${inbox.name}/note.txt`, 'a note');
  expect(await rebuild(new MemoryRows())).toEqual({ restored: 1, known: 0, unreadable: [] });
});

it('fails only when nothing of it is under way any more', async () => {
  const { inbox, rebuild } = await imported(20);
  const ends: string[] = [];
  let reads = 0;
  inbox.assets.onRequest = async () => {
    reads += 1;
    if (reads === 1) throw new RestError('storage is away', { statusCode: 503 });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    ends.push('read');
  };
  const failed = rebuild(new MemoryRows()).catch(() => void ends.push('failed'));
  await failed;
  expect(ends.length).toBeGreaterThan(2);
  expect(ends.at(-1)).toBe('failed');
});

describe('a description of which no row can be made', () => {
  it.each<[string, (asset: Record<string, unknown>) => string]>([
    ['is no JSON', () => '{'],
    ['is no asset', () => '{}'],
    ['is of another asset', (asset) => JSON.stringify({ ...asset, id: `${asset.account}.other` })],
    ['is of another account', (asset) => JSON.stringify({ ...asset, account: 'other' })],
    ['names a source that its id does not follow from', (asset) => JSON.stringify({ ...asset, sourceId: 'x;y;z' })],
    ['has no time', (asset) => JSON.stringify({ ...asset, importedAt: 'yesterday' })],
  ])('%s, and the others are restored', async (_, change) => {
    const { inbox, ids, rebuild } = await imported();
    const [first = ''] = ids;
    const { description } = assetPaths(inbox.name, first);
    inbox.assets.put(description, change(JSON.parse(inbox.assets.text(description) ?? '')));
    expect(await rebuild(new MemoryRows())).toEqual({ restored: 1, known: 0, unreadable: [first] });
  });

  it('is missing', async () => {
    const { inbox, ids, rebuild } = await imported(1);
    await inbox.assets.client.deleteBlob(assetPaths(inbox.name, ids[0] ?? '').description);
    expect(await rebuild()).toEqual({ restored: 0, known: 0, unreadable: ids });
  });

  it('is not one that storage could not give: then nothing is told', async () => {
    const { inbox, rebuild } = await imported();
    inbox.assets.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    await expect(rebuild()).rejects.toThrow('storage is away');
  });
});

it('reads more assets than it reads at one time', async () => {
  const { inbox, rebuild } = await imported(40);
  let under = 0;
  let most = 0;
  inbox.assets.onRequest = async () => {
    under += 1;
    most = Math.max(most, under);
    await new Promise((resolve) => setImmediate(resolve));
    under -= 1;
  };
  expect(await rebuild(new MemoryRows())).toMatchObject({ restored: 40 });
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(16);
});
