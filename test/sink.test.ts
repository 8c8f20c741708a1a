import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom } from './support/mailroom.ts';
import { EventReader, endedRecord, recordOf, recordWhen, send, waitingRecord } from './support/sending.ts';

let mailroom: Mailroom;
let events: EventReader;

beforeAll(async () => {
  mailroom = await Mailroom.start();
  events = new EventReader(mailroom);
  const body = { from: 'trial@example.com', transport: { protocol: 'sink' }, import: { schedule: null } };
  const { json } = await mailroom.expect(201, 'PUT', '/api/accounts/trial', { body });
  expect(json).toMatchObject({ transport: { protocol: 'sink' }, limits: { perMinute: null }, warnings: [] });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
});

const statuses = ({ recipients }: { readonly recipients: readonly { address: string; status: string }[] }) =>
  Object.fromEntries(recipients.map(({ address, status }) => [address, status]));

describe('an account that sends nothing', () => {
  it('keeps what it would have sent, and reports it like any other', async () => {
    const { id, messageId } = await send(mailroom, 'trial', { subject: 'Nur zur Probe' });
    const record = await endedRecord(mailroom, id);
    expect(record).toMatchObject({ status: 'sent', messageId, attempts: [{ outcome: 'sent' }] });
    expect(record.sentAt).toBeDefined();
    expect((await events.about(id)).map(({ type }) => type)).toEqual(['mailroom.message.sent']);
    const container = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient(
      'outbox',
    );
    const blob = container.getBlobClient(`${id.replace('.', '/')}.eml`);
    expect((await blob.downloadToBuffer()).toString()).toContain(`Message-ID: ${messageId}`);
  });

  it.each([
    ['rejected', 'failed', 'mailroom.message.failed'],
    ['uncertain', 'uncertain', 'mailroom.message.uncertain'],
  ])('says %s of the recipient who is called so', async (name, status, type) => {
    const { id } = await send(mailroom, 'trial', { to: `${name}@sink.invalid` });
    const record = await endedRecord(mailroom, id);
    expect(record.status).toBe(status);
    expect(statuses(record)).toEqual({ [`${name}@sink.invalid`]: name });
    expect((await events.about(id)).map((event) => event.type)).toEqual([type]);
  });

  it('tries a deferred recipient again, and nobody else', async () => {
    const to = ['deferred@sink.invalid', 'anna@example.org'];
    const { id } = await send(mailroom, 'trial', { to });
    const record = await waitingRecord(mailroom, id);
    expect(statuses(record)).toEqual({ 'deferred@sink.invalid': 'deferred', 'anna@example.org': 'accepted' });
    expect(record.nextAttemptAt).toBeDefined();
    await mailroom.expect(202, 'POST', `/api/messages/${id}/retry`);
    const again = await recordWhen(mailroom, id, 'tried again', ({ attempts }) => attempts.length === 2);
    expect(statuses(again)).toEqual(statuses(record));
  });

  it('has a mail come back that was accepted', async () => {
    const to = ['bounced@sink.invalid', 'anna@example.org'];
    const { id, messageId } = await send(mailroom, 'trial', { to });
    const record = await endedRecord(mailroom, id);
    expect(record.status).toBe('sent');
    expect(record.recipients).toEqual([
      {
        address: 'bounced@sink.invalid',
        status: 'bounced',
        code: '5.1.1',
        reply: expect.stringContaining('comes back'),
      },
      { address: 'anna@example.org', status: 'accepted' },
    ]);
    const reported = await events.about(id);
    expect(reported.map(({ type, data }) => ({ type, data }))).toEqual([
      {
        type: 'mailroom.message.sent',
        data: { status: 'sent', messageId, recipients: { accepted: 2, rejected: 0, uncertain: 0 } },
      },
      { type: 'mailroom.message.bounced', data: { status: 'sent', messageId, recipients: { bounced: 1 } } },
    ]);
    expect(await recordOf(mailroom, id)).toEqual(record);
  });

  it('says so when it is verified, and takes no field of a server', async () => {
    const { json } = await mailroom.expect(200, 'POST', '/api/accounts/trial/verify');
    expect(json).toMatchObject({ status: 'ok', transport: { protocol: 'sink', status: 'ok' }, store: null });
    const body = { from: 'trial@example.com', transport: { protocol: 'sink', host: 'mail.example.com' } };
    const refused = await mailroom.expect(400, 'PUT', '/api/accounts/other', { body });
    expect(refused.json.errors).toEqual([{ pointer: '/transport/host', detail: 'unknown field' }]);
  });
});
