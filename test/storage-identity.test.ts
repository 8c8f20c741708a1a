import { randomBytes } from 'node:crypto';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseJwt } from '../local/entra/jwt.ts';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { type SmtpSink, startSmtpSink } from '../local/smtp-sink.ts';
import { appCredential, storageCredential } from '../shared/platform/credentials.ts';
import { RowTable } from '../shared/platform/rows.ts';
import { readSettings } from '../shared/platform/settings.ts';
import {
  containerNames,
  queueNames,
  type StorageClients,
  storageClients,
  tableNames,
} from '../shared/platform/storage.ts';
import { rowsContract } from './contract/rows.contract.ts';
import { Mailroom } from './support/mailroom.ts';
import { endedRecord, send } from './support/sending.ts';

/** Azurite takes tokens as storage does, but for their signature; without a connection string nothing else opens it. */
describe.each(['managedIdentity', 'clientSecret'] as const)('storage opened by %s', (storageBy) => {
  let mailroom: Mailroom;
  let sink: SmtpSink;
  let mailbox: ImapMailbox;
  let storage: StorageClients;
  let rows: RowTable;
  let token: () => Promise<string | undefined>;
  const trusted = getCACertificates('default');

  beforeAll(async () => {
    mailroom = await Mailroom.start({ storageBy });
    sink = await startSmtpSink();
    mailbox = await startImapMailbox({ accounts: [{ user: 'corpus', password: 'password of corpus' }] });
    setDefaultCACertificates([...trusted, mailroom.ca]);
    const environment = mailroom.environment();
    for (const name of ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER']) vi.stubEnv(name, environment[name]);
    const settings = readSettings(environment);
    const credential = storageCredential(settings, appCredential(settings));
    storage = storageClients(settings.storage, credential);
    rows = new RowTable(() => storage.table(tableNames.outbox));
    token = async () => (await (await credential()).getToken('https://storage.azure.com/.default'))?.token;
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    setDefaultCACertificates(trusted);
    await mailroom?.stop();
    await sink?.stop();
    await mailbox?.stop();
  });

  rowsContract(() => rows);

  it('has no connection string, and signs in as the identity that is meant for the storage', async () => {
    const given = mailroom.environment();
    expect(Object.keys(given).filter((name) => /^(AzureWebJobs|Mail)Storage$/.test(name))).toEqual([]);
    expect(Object.values(given).filter((value) => value?.includes('AccountKey'))).toEqual([]);
    const { appid, aud } = parseJwt((await token()) ?? '')?.claims ?? {};
    const clientId = given.MailStorage__clientId ?? given.AZURE_CLIENT_ID;
    expect({ appid, aud }).toEqual({ appid: clientId, aud: 'https://storage.azure.com' });
  });

  it('keeps blobs: written in blocks, read in part, listed, deleted', async () => {
    const container = await storage.container(containerNames.assets);
    const bytes = randomBytes(3 << 20);
    const blob = container.getBlockBlobClient('identity/blob');
    await blob.uploadData(bytes, { blockSize: 1 << 20, maxSingleShotSize: 1 << 20 });
    expect((await blob.downloadToBuffer(1_000_000, 2_000)).equals(bytes.subarray(1_000_000, 1_002_000))).toBe(true);
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat({ prefix: 'identity/' })) names.push(name);
    expect(names).toEqual(['identity/blob']);
    await blob.delete();
    expect(await blob.exists()).toBe(false);
  });

  it('keeps queues', async () => {
    const queue = await storage.queue(queueNames.events);
    await queue.sendMessage('text', { messageTimeToLive: -1 });
    const { receivedMessageItems } = await queue.receiveMessages();
    expect(receivedMessageItems.map(({ messageText }) => messageText)).toEqual(['text']);
    for (const { messageId, popReceipt } of receivedMessageItems) await queue.deleteMessage(messageId, popReceipt);
  });

  it('serves the whole service: a mail is sent by the queue, and mail is imported by the timer', async () => {
    const health = await mailroom.expect(200, 'GET', '/api/health');
    expect(health.json.status).toBe('healthy');
    await mailroom.secret('corpus', 'corpus-imap', 'password of corpus');
    await mailroom.expect(201, 'PUT', '/api/accounts/corpus', {
      body: {
        from: 'corpus@example.com',
        transport: { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } },
        store: {
          protocol: 'imap',
          host: '127.0.0.1',
          port: mailbox.port,
          auth: { type: 'password', user: 'corpus', secret: 'corpus-imap' },
          tls: { starttls: 'never' },
        },
      },
    });
    const attachment = randomBytes(2 << 20);
    const uploaded = randomBytes(2 << 20);
    const { json: upload } = await mailroom.expect(201, 'POST', '/api/uploads', { raw: uploaded });
    const { id, messageId } = await send(mailroom, 'corpus', {
      attachments: [
        { filename: 'numbers.bin', content: attachment.toString('base64') },
        { filename: 'uploaded.bin', upload: upload.id },
      ],
    });
    expect(await endedRecord(mailroom, id)).toMatchObject({ status: 'sent' });
    const sent = await sink.waitFor(({ bytes }) => bytes.includes(messageId));

    mailbox.deliver('corpus', sent.bytes);
    await mailroom.fire('import-schedule');
    await expect.poll(() => mailroom.assets('corpus')).toHaveLength(1);
    const [asset] = await mailroom.assets('corpus');
    const { bytes } = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/mime`);
    expect(bytes.equals(sent.bytes)).toBe(true);
    const numbers = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/attachments/1`);
    expect(numbers.bytes.equals(attachment)).toBe(true);
    const second = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/attachments/2`);
    expect(second.bytes.equals(uploaded)).toBe(true);
    // A run that was still under way is the one answered.
    await mailroom.import('corpus');
    expect(await mailroom.assets('corpus')).toHaveLength(1);
  });
});
