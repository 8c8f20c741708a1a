import { createHash } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import { expect } from 'vitest';
import { audit, inboxRows } from './audit.ts';
import type { Mailroom } from './mailroom.ts';
import type { TestMail } from './mails.ts';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Names of blobs in container `assets`, read without any of the product's code. */
export async function assetBlobs(mailroom: Mailroom, account: string): Promise<string[]> {
  const service = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString);
  const names: string[] = [];
  const container = service.getContainerClient('assets');
  for await (const blob of container.listBlobsFlat({ prefix: `${account}/` })) names.push(blob.name);
  return names;
}

/**
 * What `audit` asks, and: every listed asset can be read by every route, byte for byte; index and ledger agree; every
 * blob belongs to a listed asset, or to one that a row names which will remove it.
 */
export async function auditStorage(mailroom: Mailroom, account: string, mails: readonly TestMail[]): Promise<void> {
  await audit(mailroom, account, mails);
  for (const listed of await mailroom.assets(account)) {
    const { json } = await mailroom.expect(200, 'GET', `/api/assets/${listed.id}`);
    expect(json).toMatchObject({ id: listed.id, sha256: listed.sha256, importedAt: listed.importedAt });
    for (const { n, sha256: wanted } of json.attachments) {
      const { bytes } = await mailroom.expect(200, 'GET', `/api/assets/${listed.id}/attachments/${n}`);
      expect(sha256(bytes)).toBe(wanted);
    }
  }
  const rows = await inboxRows(mailroom, account);
  const ledger = new Map(rows.filter(({ key }) => key.startsWith('l:')).map((row) => [row.key, row.columns]));
  const index = rows.filter(({ key }) => key.startsWith('a:'));
  expect(index.map(({ columns }) => ledger.get(String(columns.ledger))?.asset)).toEqual(
    index.map(({ columns }) => columns.asset),
  );
  const owned = [
    ...index.map(({ columns }) => String(columns.asset)),
    ...rows.filter(({ key }) => key.startsWith('y:')).map(({ columns }) => String(columns.json0)),
  ];
  const blobs = await assetBlobs(mailroom, account);
  const idOf = (name: string) => name.split('/')[1]?.slice(account.length + 1) ?? name;
  expect(blobs.filter((name) => !owned.some((text) => text.includes(idOf(name))))).toEqual([]);
}
