import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { readOutbox } from './support/outbox-audit.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, openMessages, send, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const day = 86_400_000;

let gate: StorageGate;
let mailroom: Mailroom;
let server: ScriptedSmtp;
const ids: string[] = [];

beforeAll(async () => {
  gate = await startStorageGate();
  server = await startScriptedSmtp();
  mailroom = await Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) });
  await smtpAccount(mailroom, 'kept', { port: server.port });
  for (let n = 0; n < 3; n += 1) ids.push((await send(mailroom, 'kept', {}, { 'idempotency-key': `key ${n}` })).id);
  for (const id of ids) await endedRecord(mailroom, id);
  await until('closed books', 60, async () => (await openMessages(mailroom)).length === 0);
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await server?.stop();
  await gate?.stop();
});

const outbox = () => readOutbox(mailroom.azurite.connectionString);
const rest = (id: string) => id.split('.')[1] ?? '';
const blobOf = (id: string) => `kept/${rest(id)}.eml`;

/** What somebody else does who takes a message up again. */
async function takeUp(id: string): Promise<void> {
  const table = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'outbox', {
    allowInsecureConnection: true,
  });
  const partitionKey = 'kept';
  await table.updateEntity({ partitionKey, rowKey: `m:${rest(id)}`, touched: true, status: 'queued' }, 'Merge');
}

/** One retention by a clock that is ahead; it stands still at the first request that fits, until `meanwhile` is over. */
async function retention(days: number, fits: (body: string) => boolean, meanwhile: () => Promise<void>): Promise<void> {
  await mailroom.setClock(days * day);
  const standsStill = gate.hold({ at: 'before', fits: ({ service, body }) => service === 'table' && fits(body) });
  const ended = mailroom.fireToEnd('retention');
  await standsStill;
  await meanwhile();
  gate.resume();
  await ended;
}

describe('a retention that stands still while a message is taken up again', () => {
  it('does not remove its MIME, but that of others, and what was stored and never accepted', async () => {
    const container = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient(
      'outbox',
    );
    await container.uploadBlockBlob(blobOf(ids[0] ?? '').replace('.eml', '0.eml'), 'never accepted', 14);
    const [taken = '', ...others] = ids;
    await retention(
      40,
      (body) => body.includes('"mimeRemoved":true'),
      () => takeUp(taken).then(() => takeUp(others[0] ?? '')),
    );
    // Which of them it stood before depends on their order; the third was left alone.
    expect([...(await outbox()).blobs].sort()).toEqual([blobOf(taken), blobOf(others[0] ?? '')].sort());
  });

  it('does not remove its record or that of another, but keys and records that are as they were', async () => {
    const { messages } = await outbox();
    expect(messages).toHaveLength(3);
    const table = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'outbox', {
      allowInsecureConnection: true,
    });
    for (const id of ids) {
      await table.updateEntity({ partitionKey: 'kept', rowKey: `m:${rest(id)}`, status: 'sent' }, 'Merge');
    }
    const [taken = ''] = ids;
    await retention(
      100,
      (body) => /^DELETE .*RowKey='m%3A|^DELETE .*RowKey='m:/m.test(body),
      () => takeUp(taken),
    );
    const after = await outbox();
    expect(after.messages.map(({ id }) => id)).toEqual([taken]);
    expect(after.looseKeys).toEqual([]);
  });
});
