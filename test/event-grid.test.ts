import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EventGrid, startEventGrid } from '../local/event-grid/event-grid.ts';
import { graphAccount } from './support/graph-account.ts';
import { identity, Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, queueOf, send, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

const user = 'everything@example.com';

let gate: StorageGate;
let mailroom: Mailroom;
let grid: EventGrid;
let smtp: ScriptedSmtp;
let receiver: WebhookReceiver;
let endpoint: string | undefined;

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({
    graph: [{ userPrincipalName: user }],
    env: (azurite) => ({
      MailStorage: gate.lead(azurite),
      WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
      EVENTS_QUEUE: 'off',
      EVENT_GRID_TOPIC_ENDPOINT: endpoint,
    }),
  });
  const { certificate, entra } = mailroom;
  grid = await startEventGrid({ certificate, authority: entra, senders: [identity.clientId] });
  smtp = await startScriptedSmtp();
  receiver = await WebhookReceiver.start();
  endpoint = grid.endpoint;
  await mailroom.kill();
  await mailroom.run();
  await smtpAccount(mailroom, 'grid', { port: smtp.port });
}, 90_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
  await grid?.stop();
  await smtp?.stop();
  await receiver?.stop();
});

interface Expected {
  readonly type: string;
  /** What its subject begins with. */
  readonly about: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The event of a type, once both the webhook and the topic have it, which is the same for both. */
async function atBoth({ type, about: subject, data }: Expected): Promise<void> {
  const fits = (event: { readonly type: string; readonly [attribute: string]: unknown }) =>
    event.type === type && String(event.subject).startsWith(subject);
  const [topics, webhooks] = await until(`${type} at both`, 60, async () => {
    const found = [grid.events.filter(fits), receiver.requests.map(({ event }) => event).filter(fits)] as const;
    return found.every(({ length }) => length > 0) && found;
  });
  const [event, ...others] = topics;
  expect(event).toEqual({
    specversion: '1.0',
    id: expect.stringMatching(`^${type}:${subject}`),
    source: '/accounts/all',
    type,
    subject: expect.stringMatching(`^${subject}`),
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    datacontenttype: 'application/json',
    data,
  });
  for (const each of [...others, ...webhooks]) expect(each).toEqual(event);
}

const about = (id: string) => grid.events.filter(({ subject }) => subject === id);
const arrived = (id: string) => until(`an event about ${id}`, 60, async () => about(id).length > 0);

/** Lines of the log about the topic. */
const lines = async (event: string) =>
  (await mailroom.log()).split('\n').filter((line) => line.includes(`"event":"${event}"`));

describe('an Event Grid topic', () => {
  it('gets every event as a CloudEvent, and the queue that nobody reads gets none', async () => {
    const { id, messageId } = await send(mailroom, 'grid');
    await arrived(id);
    expect(about(id)).toEqual([
      {
        specversion: '1.0',
        id: `mailroom.message.sent:${id}`,
        source: '/accounts/grid',
        type: 'mailroom.message.sent',
        subject: id,
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        datacontenttype: 'application/json',
        data: { status: 'sent', messageId, recipients: { accepted: 1, rejected: 0, uncertain: 0 } },
      },
    ]);
    expect(grid.statuses.every((status) => status === 200)).toBe(true);
    expect(await queueOf(mailroom, 'mail-events').exists()).toBe(false);
  });

  it('that the app may not send to is one clear line, holds nobody up, and gets all once it may', async () => {
    grid.assign(identity.clientId, false);
    const ids = await Promise.all([1, 2, 3].map(async () => (await send(mailroom, 'grid')).id));
    for (const id of ids) expect(await endedRecord(mailroom, id)).toMatchObject({ status: 'sent' });
    const [line, ...others] = await until('a line of the log', 60, async () => {
      const found = await lines('events.topicFailing');
      return found.length > 0 && found;
    });
    expect(line).toMatch(/"status":403.*EventGrid Data Sender/);
    // It has been tried again, without another line.
    await until('another attempt', 60, async () => grid.statuses.filter((status) => status === 403).length > 1);
    expect(others).toEqual([]);
    expect(await lines('events.topicFailing')).toHaveLength(1);
    grid.assign(identity.clientId, true);
    for (const id of ids) await arrived(id);
    await until('the end of the trouble', 60, async () => (await lines('events.topicWorks')).length === 1);
  });

  it('that refuses one event gets the others', async () => {
    const first = await send(mailroom, 'grid', { sendAt: new Date(Date.now() + 2_000).toISOString() });
    grid.refuseEvent(`mailroom.message.sent:${first.id}`);
    const others = await Promise.all([1, 2, 3].map(async () => (await send(mailroom, 'grid')).id));
    for (const id of others) await arrived(id);
    await until('a line of the log', 60, async () => (await lines('events.topicRefusedEvent')).length > 0);
    expect((await lines('events.topicRefusedEvent'))[0]).toContain(first.id);
    grid.refuseEvent(undefined);
    expect(about(first.id)).toEqual([]);
  });

  it('that is away for a while gets its events afterwards', async () => {
    grid.fail({ status: 503 });
    const { id } = await send(mailroom, 'grid');
    await until('an attempt', 60, async () => grid.statuses.at(-1) === 503);
    grid.fail(undefined);
    await arrived(id);
    expect(about(id)).toHaveLength(1);
  });

  it('gets an event twice, under one id, where the process is killed before it knows that it was taken', async () => {
    const held = gate.hold({
      at: 'before',
      fits: ({ service, method, path }) =>
        service === 'table' && method === 'DELETE' && path.includes("/events(PartitionKey='!topic'"),
    });
    const { id } = await send(mailroom, 'grid');
    await held;
    expect(about(id)).toHaveLength(1);
    await mailroom.kill();
    gate.release();
    // The lease of the topic has lapsed by then, and the timer looks at what nobody works on.
    await mailroom.run({ shiftMs: 3 * 60_000 });
    await mailroom.fire('outbox-recovery');
    await until('the event once more', 60, async () => about(id).length > 1);
    expect(new Set(about(id).map((event) => event.id))).toEqual(new Set([`mailroom.message.sent:${id}`]));
  }, 120_000);
});

describe('an account with a webhook, beside a topic', () => {
  it('has an import, a disposal, a failure and its end told to both', async () => {
    await graphAccount(mailroom, 'all', { user, transport: null, rule: { delete: 'immediately' } });
    await mailroom.secret('all', 'all-webhook', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    const transport = { protocol: 'smtp', host: '127.0.0.1', port: smtp.port, tls: { starttls: 'never' } };
    const webhook = { url: receiver.url, secret: 'all-webhook' };
    await mailroom.expect(200, 'PATCH', '/api/accounts/all', { body: { transport, webhook } });

    mailroom.graph.mailbox(user).deliver(Buffer.from('From: a@example.org\r\nSubject: Zahlen\r\n\r\nEins.\r\n'));
    await mailroom.import('all');
    const [asset] = await mailroom.assets('all');
    const assetId = asset?.id ?? expect.fail('no asset');
    const { size, sha256 } = asset ?? {};
    await atBoth({ type: 'mailroom.mail.imported', about: assetId, data: { assetId, size, sha256 } });
    const disposed = { assetId, action: 'delete', outcome: 'done' };
    await atBoth({ type: 'mailroom.mail.disposed', about: assetId, data: disposed });

    smtp.answers((step) => (step === 'MAIL' ? '530 5.7.0 anna@example.org, sign in first' : undefined));
    const { id } = await send(mailroom, 'all');
    const since = expect.stringMatching(/^\d{4}-.*Z$/);
    const trouble = { side: 'transport', since, code: '530', hint: expect.stringContaining('sign-in') };
    await atBoth({ type: 'mailroom.account.failing', about: 'all/transport/', data: trouble });
    smtp.answers(() => undefined);
    await mailroom.expect(202, 'POST', `/api/messages/${id}/retry`);
    await atBoth({ type: 'mailroom.account.recovered', about: 'all/transport/', data: { side: 'transport', since } });
    const told = [...grid.events, ...receiver.requests.map(({ event }) => event)];
    expect(JSON.stringify(told.filter(({ source }) => source === '/accounts/all'))).not.toMatch(/@example\.org|Zahlen/);
  });
});
