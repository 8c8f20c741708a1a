import { TableClient, TableServiceClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type EventGrid, startEventGrid } from '../local/event-grid/event-grid.ts';
import { bounceMail } from './support/bounce-mail.ts';
import { graphAccount } from './support/graph-account.ts';
import { identity, Mailroom, takenOverSeconds, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { EventReader, endedRecord, recordOf, send, waitingRecord } from './support/sending.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

/** Strings of the caller's own come back in the record and in every event of the mail, and go nowhere else. */

const user = 'returns@example.com';
/** What is looked for where it must not be. */
const secretWord = 'Vorgang-0815-nur-intern';
const metadata = { invoice: '4711', 'tenant.id': secretWord, trail: '“”日本語🦊\\"' };

let mailroom: Mailroom;
let grid: EventGrid;
let receiver: WebhookReceiver;
let events: EventReader;
let endpoint: string | undefined;

beforeAll(async () => {
  receiver = await WebhookReceiver.start();
  mailroom = await Mailroom.start({
    env: () => ({ EVENT_GRID_TOPIC_ENDPOINT: endpoint, WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' }),
    graph: [{ userPrincipalName: user }],
  });
  const { certificate, entra } = mailroom;
  grid = await startEventGrid({ certificate, authority: entra, senders: [identity.clientId] });
  endpoint = grid.endpoint;
  await mailroom.kill();
  await mailroom.run();
  events = new EventReader(mailroom);
  await mailroom.secret('corpus', 'corpus-webhook', 'a secret of the webhook, long enough');
  await mailroom.expect(201, 'PUT', '/api/accounts/corpus', {
    body: {
      from: 'corpus@example.com',
      transport: { protocol: 'sink' },
      import: { schedule: null },
      webhook: { url: receiver.url, secret: 'corpus-webhook', events: ['mailroom.message.*'] },
    },
  });
  await graphAccount(mailroom, 'returns', { user, transport: null });
}, 90_000);

afterAll(async () => {
  await mailroom?.stop();
  await grid?.stop();
  await receiver?.stop();
});

const wait = { prefer: 'wait=30' };
const post = (fields: Readonly<Record<string, unknown>>, headers: Readonly<Record<string, string>> = {}) =>
  mailroom.call('POST', '/api/messages', { body: { to: 'anna@example.org', subject: 's', ...fields }, headers });

const toldSchema = z.looseObject({
  type: z.string(),
  subject: z.string(),
  data: z.looseObject({ metadata: z.unknown().optional() }),
});

/** The `metadata` of the events of one type about a message, at each of the three places where events go. */
async function toldEverywhere(id: string, type: string): Promise<readonly unknown[]> {
  const places: readonly (() => Promise<readonly unknown[]>)[] = [
    async () => await events.all(),
    async () => grid.events,
    async () => receiver.requests.map(({ event }) => event),
  ];
  return await Promise.all(
    places.map((place) =>
      until(`an event ${type} about ${id}`, takenOverSeconds, async () => {
        const found = z
          .array(toldSchema)
          .parse(await place())
          .find((event) => event.type === type && event.subject === id);
        return found && { metadata: found.data.metadata };
      }),
    ),
  );
}

const everywhere = (given: unknown) => Array.from({ length: 3 }, () => ({ metadata: given }));

describe('metadata', { timeout: 2 * takenOverSeconds * 1_000 }, () => {
  it.each([
    ['anna@example.org', 'sent', 'mailroom.message.sent'],
    ['rejected@sink.invalid', 'failed', 'mailroom.message.failed'],
    ['uncertain@sink.invalid', 'uncertain', 'mailroom.message.uncertain'],
    ['bounced@sink.invalid', 'sent', 'mailroom.message.bounced'],
  ])('of a mail to %s is in its record, and in its event', async (to, status, type) => {
    const { json } = await mailroom.expect(200, 'POST', '/api/messages', {
      body: { to, subject: 's', metadata },
      headers: wait,
    });
    expect(json).toMatchObject({ status, metadata });
    expect(await recordOf(mailroom, json.id)).toMatchObject({ status, metadata });
    const { items } = (await mailroom.expect(200, 'GET', `/api/messages?messageId=${json.messageId}`)).json;
    expect(items).toMatchObject([{ id: json.id, metadata }]);
    expect(await toldEverywhere(json.id, type)).toEqual(everywhere(metadata));
  });

  it('is in the event of a bounce that is imported', async () => {
    const { id, messageId } = await send(mailroom, 'corpus', { metadata });
    await endedRecord(mailroom, id);
    mailroom.graph.mailbox(user).deliver(bounceMail({ messageId, recipient: 'anna@example.org' }));
    expect(await mailroom.import('returns')).toMatchObject({ status: 'done', imported: 1 });
    expect(await recordOf(mailroom, id)).toMatchObject({ recipients: [{ status: 'bounced' }], metadata });
    expect(await toldEverywhere(id, 'mailroom.message.bounced')).toEqual(everywhere(metadata));
  });

  it('stays through a retry, a restart, a resend and a cancel', async () => {
    const { id } = await send(mailroom, 'corpus', { to: 'deferred@sink.invalid', metadata });
    expect((await waitingRecord(mailroom, id)).metadata).toEqual(metadata);
    await mailroom.kill();
    await mailroom.run();
    const retried = await mailroom.expect(202, 'POST', `/api/messages/${id}/retry`, { headers: wait });
    expect(retried.json).toMatchObject({ id, status: 'queued', attempt: { outcome: 'deferred' } });
    const canceled = await mailroom.expect(200, 'DELETE', `/api/messages/${id}`);
    expect(canceled.json).toMatchObject({ status: 'canceled', metadata });

    const failed = (await post({ to: 'rejected@sink.invalid', metadata }, wait)).json;
    const resent = await mailroom.expect(200, 'POST', `/api/messages/${failed.id}/resend`, { headers: wait });
    expect(resent.json).toMatchObject({ status: 'failed', metadata });
    // By their ids, since each may come twice.
    const reported = async () => [
      ...new Map((await events.about(failed.id)).map(({ id: each, data }) => [each, data])),
    ];
    await expect.poll(async () => (await reported()).map(([, data]) => data.metadata)).toEqual([metadata, metadata]);
  });

  it('is part of the request that an Idempotency-Key stands for', async () => {
    const key = { 'idempotency-key': 'with metadata' };
    const first = await post({ metadata }, key);
    expect(first.status).toBe(202);
    expect((await post({ metadata }, key)).json.id).toBe(first.json.id);
    problem(await post({ metadata: { ...metadata, invoice: '4712' } }, key), 422);
    problem(await post({}, key), 422);
  });

  it('may be none, and is absent where none was given', async () => {
    const none = (await post({ metadata: {} }, wait)).json;
    expect(none).toMatchObject({ status: 'sent', metadata: {} });
    const absent = (await post({}, wait)).json;
    expect(absent).not.toHaveProperty('metadata');
    expect(await toldEverywhere(absent.id, 'mailroom.message.sent')).toEqual(everywhere(undefined));
  });

  it('as large as it may be fits the record with 500 recipients, and every event', async () => {
    const full = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`${n}`.padEnd(64, 'n'), `${n}`.padEnd(500, '語')]),
    );
    const domain = `${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(55)}.example`;
    const others = Array.from({ length: 499 }, (_, n) => `${`${n}`.padEnd(64, 'r')}@${domain}`);
    const { json } = await mailroom.expect(200, 'POST', '/api/messages', {
      body: { bcc: [...others, 'rejected@sink.invalid'], subject: 's', metadata: full },
      headers: wait,
    });
    expect(json.status).toBe('partiallySent');
    expect(json.recipients).toHaveLength(500);
    expect(json.metadata).toEqual(full);
    expect(await toldEverywhere(json.id, 'mailroom.message.failed')).toEqual(everywhere(full));
  });

  it.each([
    ['21 strings', Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`n${n}`, ''])), ['/metadata']],
    [
      'long strings',
      { a: 'x'.repeat(501), b: 'x'.repeat(500), ['c'.repeat(65)]: '' },
      ['/metadata/a', `/metadata/${'c'.repeat(65)}`],
    ],
    [
      'other values',
      { a: 1, b: null, c: ['x'], d: true, e: {} },
      ['a', 'b', 'c', 'd', 'e'].map((each) => `/metadata/${each}`),
    ],
    [
      'other names',
      { '': 'x', 'a b': 'x', ü: 'x', _a: 'x', 'a/b': 'x' },
      ['/metadata/', '/metadata/_a', '/metadata/a b', '/metadata/a~1b', '/metadata/ü'],
    ],
    [
      'line breaks and halves of characters',
      { a: 'x\ny', b: 'x\u0000', c: '\ud83e' },
      ['/metadata/a', '/metadata/b', '/metadata/c'],
    ],
    ['a list', ['x'], ['/metadata']],
    ['a text', 'x', ['/metadata']],
    ['null', null, ['/metadata']],
  ])('of %s is refused, with every mistake', async (_, wrong, pointers) => {
    const answer = await post({ metadata: wrong });
    expect([...problem(answer, 400).pointers].sort()).toEqual([...pointers].sort());
    expect(JSON.stringify(answer.json)).not.toContain('Invalid');
  });

  it('is not sent, and is in no log and in no other table than those of records and events', async () => {
    const { id } = (await post({ metadata, html: '<p>Grüße</p>' }, wait)).json;
    const { bytes } = await mailroom.expect(200, 'GET', `/api/messages/${id}/mime`);
    const mime = bytes.toString();
    for (const word of ['4711', 'tenant', secretWord, 'metadata']) expect(mime).not.toContain(word);
    const log = await mailroom.log();
    expect(log).toContain(id);
    expect(log).not.toContain(secretWord);
    expect(await tablesWith(secretWord)).toEqual(['outbox m:']);
  });
});

/** Which kinds of rows hold a text, by table and prefix of their keys, when every event has been delivered. */
async function tablesWith(text: string): Promise<readonly string[]> {
  const { connectionString } = mailroom.azurite;
  const options = { allowInsecureConnection: true };
  return await until('the end of what is delivered', 60, async () => {
    const found = new Set<string>();
    for await (const { name = '' } of TableServiceClient.fromConnectionString(connectionString, options).listTables()) {
      const table = TableClient.fromConnectionString(connectionString, name, options);
      for await (const row of table.listEntities()) {
        if (JSON.stringify(row).includes(text)) found.add(`${name} ${row.rowKey?.slice(0, 2)}`);
      }
    }
    return ![...found].some((each) => each.startsWith('events')) && [...found];
  });
}
