import { createHash } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { inboxRows } from './audit.ts';
import type { Mailroom } from './mailroom.ts';

/** A mail that no reader can make anything of: it is quarantined after five attempts. `n` distinguishes it from others. */
export const blankMail = (n: number) => Buffer.from(`\r\n${' '.repeat(n)}\r\n`);

/** Imports these accounts until their blank mails are quarantined; answers how far ahead the clock is then, in ms. */
export async function quarantineAll(mailroom: Mailroom, accounts: readonly string[]): Promise<number> {
  const twoHoursMs = 7_200_000;
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    await mailroom.setClock(attempt * twoHoursMs);
    for (const account of accounts) await mailroom.import(account);
  }
  return 5 * twoHoursMs;
}

const container = (mailroom: Mailroom) =>
  BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient('quarantine');

/** Blobs that hold the bytes of a quarantined mail. */
export async function quarantineBlobs(mailroom: Mailroom, id: string): Promise<string[]> {
  const names = [];
  const prefix = `${id.split('.')[0]}/${id}/`;
  for await (const { name } of container(mailroom).listBlobsFlat({ prefix })) names.push(name);
  return names;
}

/** Keys of the rows of a quarantined mail. */
export async function quarantineKeys(mailroom: Mailroom, id: string) {
  const [account = '', localId = ''] = id.split('.');
  const row = (await inboxRows(mailroom, account, 'q:')).find(({ key }) => key.endsWith(localId));
  return { account, key: String(row?.key), ledger: String(row?.columns.ledger) };
}

/** Changes columns of a row behind the product's back. */
export async function changeRow(
  mailroom: Mailroom,
  account: string,
  key: string,
  columns: Record<string, string | number | boolean>,
): Promise<void> {
  const table = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'inbox', {
    allowInsecureConnection: true,
  });
  await table.updateEntity({ partitionKey: account, rowKey: key, ...columns }, 'Merge');
}

/** As if this version could read what the one before could not: the same mail, with other bytes. */
export async function becomeReadable(mailroom: Mailroom, id: string, bytes: Buffer): Promise<void> {
  const [name = ''] = await quarantineBlobs(mailroom, id);
  await container(mailroom).getBlockBlobClient(name).uploadData(bytes);
  const { account, ledger } = await quarantineKeys(mailroom, id);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await changeRow(mailroom, account, ledger, { size: bytes.length, sha256 });
}
