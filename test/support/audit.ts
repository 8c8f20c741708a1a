import { createHash } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { expect } from 'vitest';
import type { Mailroom } from './mailroom.ts';
import type { TestMail } from './mails.ts';

export interface InboxRow {
  readonly key: string;
  readonly columns: Readonly<Record<string, unknown>>;
}

/** An account's rows as they lie in storage, read without any of the product's code. */
export async function inboxRows(mailroom: Mailroom, account: string, prefix = ''): Promise<InboxRow[]> {
  const client = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'inbox', {
    allowInsecureConnection: true,
  });
  const rows: InboxRow[] = [];
  // Before the first import there is none; this makes no difference to the product, which makes it too.
  await client.createTable();
  for await (const entity of client.listEntities({ queryOptions: { filter: `PartitionKey eq '${account}'` } })) {
    const key = entity.rowKey ?? '';
    if (key.startsWith(prefix)) rows.push({ key, columns: entity });
  }
  return rows;
}

/** Takes a row away behind the product's back. */
export async function removeRow(mailroom: Mailroom, account: string, key: string): Promise<void> {
  const client = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'inbox', {
    allowInsecureConnection: true,
  });
  await client.deleteEntity(account, key);
}

export interface AuditOptions {
  /** Mails whose MIME is fetched and compared byte for byte; all by default. */
  readonly compare?: number;
  /** How many imports are counted: as many as there are mails, unless the counts were lost. */
  readonly counted?: number;
}

/**
 * Every mail exactly one asset and one ledger row, bytes as they were, counted once; nothing left in work, unfinished or
 * pending.
 */
export async function audit(
  mailroom: Mailroom,
  account: string,
  mails: readonly TestMail[],
  options: AuditOptions = {},
): Promise<void> {
  const assets = await mailroom.assets(account);
  const wanted = new Map(mails.map((mail) => [mail.messageId, mail]));
  const found = new Map<string, number>();
  for (const asset of assets) found.set(asset.messageId, (found.get(asset.messageId) ?? 0) + 1);
  expect({
    missing: mails.filter((mail) => !found.has(mail.messageId)).map((mail) => mail.messageId),
    twice: [...found].filter(([, count]) => count > 1).map(([id]) => id),
    unknown: [...found.keys()].filter((id) => !wanted.has(id)),
  }).toEqual({ missing: [], twice: [], unknown: [] });
  const wrong = assets.filter((asset) => asset.sha256 !== wanted.get(asset.messageId)?.sha256);
  expect(wrong.map((asset) => asset.id)).toEqual([]);
  for (const asset of assets.slice(0, options.compare ?? assets.length)) {
    const { bytes } = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/mime`);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(asset.sha256);
  }
  const rows = await inboxRows(mailroom, account);
  const ledger = rows.filter((row) => row.key.startsWith('l:'));
  expect(new Set(ledger.map((row) => row.columns.asset)).size).toBe(mails.length);
  expect(ledger.length).toBe(mails.length);
  expect(ledger.filter((row) => row.columns.todoEvent || row.columns.todoDispose)).toEqual([]);
  const counted = rows.filter((row) => row.key.startsWith('t:')).map((row) => Number(row.columns.imported ?? 0));
  expect(counted.reduce((sum, count) => sum + count, 0)).toBe(options.counted ?? mails.length);
  expect(rows.filter((row) => /^[wup]:/.test(row.key)).map((row) => row.key)).toEqual([]);
}
