import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { SecretWatch } from './secret-watch.ts';

const secret = 'Geheimnis-47-äöü "\\';
const inBase64 = Buffer.from(`\0corpus\0${secret}`).toString('base64');
let azurite: Azurite;

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

function watch(): SecretWatch {
  const made = new SecretWatch();
  made.add(secret);
  return made;
}

it.each([
  ['as it is', `{"reply":"535 ${secret}"}`],
  ['in JSON', JSON.stringify({ reply: secret })],
  ['in base64, behind a name', inBase64],
  [
    'as a token',
    `Bearer ${['eyJhbGciOiJSUzI1NiIsInR5cCI', 'eyJhdWQiOiJodHRwczovL2', 'c2lnbmF0dXJlc2lnbmF0'].join('.')}`,
  ],
])('sees a secret %s', (_, text) => {
  const made = watch();
  made.look('log', 'nothing in here');
  expect(() => made.verdict()).not.toThrow();
  made.look('answer', text);
  expect(() => made.verdict()).toThrow(/^A secret was seen in: answer$/);
});

it('sees a secret in a table, a blob and a queue', async () => {
  const { connectionString } = azurite;
  const table = TableClient.fromConnectionString(connectionString, 'things', { allowInsecureConnection: true });
  const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient('things');
  const queue = QueueServiceClient.fromConnectionString(connectionString).getQueueClient('things');
  await Promise.all([table.createTable(), container.create(), queue.create()]);
  await table.createEntity({ partitionKey: 'p', rowKey: 'good', text: 'nothing' });
  const clean = watch();
  await clean.searchStorage(connectionString);
  clean.verdict();
  await table.createEntity({ partitionKey: 'p', rowKey: 'bad', text: secret });
  await container.getBlockBlobClient('bad.json').uploadData(Buffer.from(JSON.stringify(secret)));
  await queue.sendMessage(Buffer.from(`{"reply":${JSON.stringify(secret)}}`).toString('base64'));
  const made = watch();
  await made.searchStorage(connectionString);
  expect(() => made.verdict()).toThrow(/table things p\/bad/);
  expect(() => made.verdict()).toThrow(/blob things\/bad\.json/);
  expect(() => made.verdict()).toThrow(/queue things/);
  expect(() => made.verdict()).not.toThrow(/good|Geheimnis/);
});
