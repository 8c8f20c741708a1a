import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logLines } from './support/log-lines.ts';
import { type Answer, Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, queueOf, send, smtpAccount } from './support/sending.ts';
import { verify, WebhookReceiver } from './support/webhook-receiver.ts';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const minute = 60_000;
const hour = 60 * minute;

let mailroom: Mailroom;
let smtp: ScriptedSmtp;
const receivers: WebhookReceiver[] = [];
let accounts = 0;

beforeAll(async () => {
  mailroom = await Mailroom.start({
    env: {
      WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
      // What fails is tried again at once, and is on the poison queue soon.
      AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:00',
    },
  });
  smtp = await startScriptedSmtp();
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await smtp?.stop();
  for (const receiver of receivers) await receiver.stop();
});

async function receiver(options: Parameters<typeof WebhookReceiver.start>[0] = {}): Promise<WebhookReceiver> {
  const started = await WebhookReceiver.start(options);
  receivers.push(started);
  return started;
}

interface Webhook {
  readonly url: string;
  readonly events?: readonly string[];
}

/** An account that sends, with a webhook. */
async function account(webhook: Webhook, value = secret): Promise<string> {
  accounts += 1;
  const name = `hook-${accounts}`;
  await mailroom.secret(name, `${name}-webhook`, value);
  await save(name, webhook);
  return name;
}

async function save(name: string, webhook: Webhook): Promise<void> {
  await smtpAccount(mailroom, name, { port: smtp.port }, { webhook: { secret: `${name}-webhook`, ...webhook } });
}

type View = Answer['json'];

const webhookOf = async (name: string): Promise<View> =>
  (await mailroom.expect(200, 'GET', `/api/accounts/${name}/webhook`)).json;

/** How the account's webhook is, once it is so. */
async function webhookWhen(name: string, what: string, fits: (view: View) => boolean): Promise<View> {
  let last: View;
  return await until(what, 60, async () => {
    last = await webhookOf(name);
    return fits(last) && last;
  }).catch((error) => {
    throw new Error(`${what}: not so, but ${JSON.stringify(last)}`, { cause: error });
  });
}

/** Starts the process again with its clock so much later, and lets the timer look. */
let shiftMs = 0;
async function later(ms: number): Promise<void> {
  shiftMs += ms;
  await mailroom.setClock(shiftMs);
  await mailroom.fire('outbox-recovery');
}

describe('a webhook', () => {
  it('gets the events of its account, signed as Standard Webhooks', async () => {
    const target = await receiver({ certificate: mailroom.certificate });
    const name = await account({ url: target.url });
    const { id, messageId } = await send(mailroom, name);
    const [request] = await target.got(id);
    expect(request).toMatchObject({
      method: 'POST',
      path: '/events',
      headers: {
        'content-type': 'application/cloudevents+json',
        'webhook-id': `mailroom.message.sent:${id}`,
        'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      },
      event: {
        id: `mailroom.message.sent:${id}`,
        type: 'mailroom.message.sent',
        source: `/accounts/${name}`,
        subject: id,
        data: { status: 'sent', messageId },
      },
    });
    expect(() => request && verify(secret, request)).not.toThrow();
    const forged = { ...request, body: request?.body.replace('sent', 'lost') ?? '', headers: request?.headers ?? {} };
    expect(() => verify(secret, forged)).toThrow(/No matching signature/);
    const view = await webhookWhen(name, 'delivered', ({ waiting, lastSuccess }) => waiting === 0 && lastSuccess);
    expect(view).toMatchObject({
      account: name,
      url: target.url,
      state: 'ok',
      waiting: 0,
      lastSuccess: expect.any(String),
      failingSince: null,
      givenUp: 0,
      lastFailures: [],
      lastGivenUp: [],
    });
    const status = await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`);
    expect(status.json.webhook).toMatchObject({ state: 'ok', waiting: 0, lastSuccess: view.lastSuccess, givenUp: 0 });
    expect(status.json.secrets).toEqual([{ name: `${name}-webhook`, state: 'ok', expiresAt: null }]);
  });

  it('gets the events that it names, and no others', async () => {
    const target = await receiver();
    const name = await account({ url: target.url, events: ['mailroom.mail.*', 'mailroom.message.failed'] });
    smtp.answers((step, line) => (step === 'RCPT' && line.includes('nobody@') ? '550 5.1.1 no such user' : undefined));
    const sent = await send(mailroom, name);
    await endedRecord(mailroom, sent.id);
    const failed = await send(mailroom, name, { to: 'nobody@example.org' });
    await target.got(failed.id);
    expect(target.requests.map(({ event }) => event.type)).toEqual(['mailroom.message.failed']);
  });

  it('is signed with any text, by its bytes', async () => {
    const target = await receiver();
    const text = 'kein base64, sondern ein Satz';
    const name = await account({ url: target.url }, text);
    const { id } = await send(mailroom, name);
    const [request] = await target.got(id);
    expect(() => request && verify(text, request)).not.toThrow();
  });
});

describe('an attempt that fails', () => {
  it('is repeated with the same id and another timestamp, and reported', async () => {
    const target = await receiver({ answer: (_, count) => ({ status: count === 1 ? 500 : 200 }) });
    const name = await account({ url: target.url });
    const { id } = await send(mailroom, name);
    await target.got(id);
    const failing = await webhookWhen(name, 'reported as failing', ({ state }) => state === 'failing');
    expect(failing).toMatchObject({
      waiting: 1,
      nextAttemptAt: expect.any(String),
      lastFailures: [{ id: `mailroom.message.sent:${id}`, type: 'mailroom.message.sent', attempt: 1, status: 500 }],
    });
    expect(Date.parse(failing.nextAttemptAt) - Date.parse(failing.lastFailures[0].at)).toBeGreaterThanOrEqual(4_900);
    const requests = await target.got(id, 2);
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(requests.map(({ body }) => body)).size).toBe(1);
    await webhookWhen(name, 'delivered', ({ state, waiting }) => state === 'ok' && waiting === 0);
  });
});

describe('the routes of a webhook', () => {
  it('test: sends one event now and says what came back', async () => {
    const target = await receiver();
    const name = await account({ url: target.url, events: ['mailroom.mail.imported'] });
    const test = () => mailroom.expect(200, 'POST', `/api/accounts/${name}/webhook/test`);
    const { json } = await test();
    expect(json).toEqual({ id: expect.any(String), delivered: true, status: 204, ms: expect.any(Number) });
    const [request] = target.about('mailroom.webhook.test');
    expect(request?.event).toMatchObject({ id: json.id, source: `/accounts/${name}`, subject: name, data: {} });
    expect(() => request && verify(secret, request)).not.toThrow();
    target.answers(() => ({ status: 401 }));
    expect((await test()).json).toMatchObject({
      delivered: false,
      status: 401,
      hint: expect.stringContaining('secret'),
    });
    await target.stop();
    expect((await test()).json).toMatchObject({ delivered: false, code: 'ECONNREFUSED' });
    receivers.splice(receivers.indexOf(target), 1);
    // A test that fails is no delivery that waits.
    expect(await webhookOf(name)).toMatchObject({ state: 'ok', waiting: 0, lastFailures: [] });
  });

  it('of an account without one say so', async () => {
    await smtpAccount(mailroom, 'plain', { port: smtp.port });
    expect(await webhookOf('plain')).toMatchObject({ state: 'none', url: null, events: [], waiting: 0 });
    await mailroom.expect(409, 'POST', '/api/accounts/plain/webhook/test');
    await mailroom.expect(409, 'POST', '/api/accounts/plain/webhook/replay', {
      body: { since: '2026-01-01T00:00:00Z' },
    });
    await mailroom.expect(404, 'GET', '/api/accounts/nobody/webhook');
  });

  it('replay: wants an instant', async () => {
    const name = await account({ url: (await receiver()).url });
    for (const body of [{}, { since: 'yesterday' }, { since: '2026-01-01T00:00:00Z', until: 'now' }]) {
      const { json } = await mailroom.expect(400, 'POST', `/api/accounts/${name}/webhook/replay`, { body });
      expect(json.errors).toHaveLength(1);
    }
  });
});

describe('an account whose webhook is wrong', () => {
  const put = async (webhook: unknown, mailroomOf = mailroom) =>
    await mailroomOf.call('PUT', '/api/accounts/wrong', {
      body: { from: 'wrong@example.com', import: { schedule: null }, webhook },
    });

  it.each([
    ['a private address', { url: 'https://10.1.2.3/x', secret: 'wrong-x' }, '/webhook/url'],
    ['a metadata address', { url: 'https://169.254.169.254/', secret: 'wrong-x' }, '/webhook/url'],
    ['an IPv6 form of a private address', { url: 'https://[::ffff:10.0.0.1]/', secret: 'wrong-x' }, '/webhook/url'],
    ['http to the internet', { url: 'http://8.8.8.8/', secret: 'wrong-x' }, '/webhook/url'],
    ['a password', { url: 'https://a:b@dam.example.com/', secret: 'wrong-x' }, '/webhook/url'],
    ['the secret of another account', { url: 'https://8.8.8.8/', secret: 'other-x' }, '/webhook/secret'],
    [
      'an event that there is not',
      { url: 'https://8.8.8.8/', secret: 'wrong-x', events: ['mailroom.x'] },
      '/webhook/events/0',
    ],
    ['a field that there is not', { url: 'https://8.8.8.8/', secret: 'wrong-x', retries: 3 }, '/webhook/retries'],
  ])('by %s is refused, and nothing is stored', async (_, webhook, pointer) => {
    const { status, json } = await put(webhook);
    expect(status).toBe(400);
    expect(json.errors).toEqual([{ pointer, detail: expect.any(String) }]);
    await mailroom.expect(404, 'GET', '/api/accounts/wrong');
  });

  it('names a secret that is there for a password is refused', async () => {
    await smtpAccount(mailroom, 'mixed', {
      port: smtp.port,
      auth: { type: 'password', user: 'u', secret: 'mixed-x' },
    });
    await mailroom.secret('mixed', 'mixed-x', 'a password of mine');
    const { json } = await mailroom.expect(400, 'PATCH', '/api/accounts/mixed', {
      body: { transport: null, webhook: { url: 'https://8.8.8.8/', secret: 'mixed-x' } },
    });
    expect(json.errors).toEqual([{ pointer: '/webhook/secret', detail: expect.stringContaining('a password') }]);
  });

  it('keeps its webhook when properties are pasted, and may lose it by a patch', async () => {
    const target = await receiver();
    const name = await account({ url: target.url });
    const properties = `mail.transport.protocol=smtp\nmail.smtp.host=127.0.0.1\nmail.smtp.port=${smtp.port}\nmail.from=a@example.com`;
    const { json } = await mailroom.expect(200, 'PUT', `/api/accounts/${name}`, { body: { properties } });
    expect(json.webhook).toEqual({ url: target.url, secret: `${name}-webhook`, events: ['mailroom.*'] });
    const patched = await mailroom.expect(200, 'PATCH', `/api/accounts/${name}`, { body: { webhook: null } });
    expect(patched.json.webhook).toBeNull();
  });
});

describe('a receiver that hangs', () => {
  it('delays neither mail nor the events of others', async () => {
    const hanging = await receiver({ answer: () => 'stall' });
    const healthy = await receiver();
    const slow = await account({ url: hanging.url });
    const quick = await account({ url: healthy.url });
    const sent = await Promise.all(Array.from({ length: 60 }, (_, n) => send(mailroom, n % 2 === 0 ? slow : quick)));
    for (const { id } of sent) expect(await endedRecord(mailroom, id, 60)).toMatchObject({ status: 'sent' });
    for (const { id } of sent.filter((_, n) => n % 2 === 1)) await healthy.got(id);
    // All the time nothing of the other account has come through.
    expect(await webhookOf(slow)).toMatchObject({ waiting: 30, lastSuccess: null });
  }, 120_000);
});

describe('the queue mail-webhooks', () => {
  it('may have messages that are not ours: they end in the log or nowhere, and events still arrive', async () => {
    const strange = ['{"no":"target"}', 'no JSON', '{"target":7}'];
    const unknown = ['nobody', '../../corpus', '!topic', "x' or 1 eq 1", ''];
    const queue = queueOf(mailroom, 'mail-webhooks');
    await queue.createIfNotExists();
    const texts = [...strange, ...unknown.map((name) => JSON.stringify({ target: name }))];
    for (const text of texts) await queue.sendMessage(Buffer.from(text).toString('base64'));
    const target = await receiver();
    const name = await account({ url: target.url });
    const { id } = await send(mailroom, name);
    await target.got(id);
    await until('the strange ones given up, and no others', 60, async () => {
      await mailroom.fireToEnd('outbox-recovery');
      const lines = logLines(await mailroom.log()).filter(({ event }) => event === 'queue.gaveUp');
      expect(lines.filter(({ result }) => result !== 'unknown')).toEqual([]);
      return lines.length === strange.length;
    });
    const { peekedMessageItems } = await queue.peekMessages({ numberOfMessages: 32 });
    expect(
      peekedMessageItems.filter(({ messageText }) => texts.includes(Buffer.from(messageText, 'base64').toString())),
    ).toEqual([]);
  });

  it('may lose all its messages: the timer brings the events', async () => {
    let status = 500;
    const target = await receiver({ answer: () => ({ status }) });
    const name = await account({ url: target.url });
    const { id } = await send(mailroom, name);
    await webhookWhen(name, 'tried', ({ lastFailures }) => lastFailures.length > 0);
    await queueOf(mailroom, 'mail-webhooks').clearMessages();
    status = 204;
    await until('another request', 90, async () => {
      await mailroom.fire('outbox-recovery');
      return target.about(id).length > 1;
    });
  }, 120_000);
});

// From here on the clock of the process is days ahead: receivers would find its timestamps too new.
describe('days later', () => {
  it('is signed with the version before as well, for 24 hours after a rotation', async () => {
    const target = await receiver();
    const name = await account({ url: target.url });
    const next = `whsec_${Buffer.from('another key of twenty-four b').toString('base64')}`;
    await mailroom.secret(name, `${name}-webhook`, next);
    const first = await send(mailroom, name);
    const [within] = await target.got(first.id);
    expect(within?.headers['webhook-signature']?.split(' ')).toHaveLength(2);
    for (const each of [next, secret]) expect(() => within && verify(each, within)).not.toThrow();
    await later(24 * hour + minute);
    const second = await send(mailroom, name);
    const [after] = await target.got(second.id);
    expect(after?.headers['webhook-signature']?.split(' ')).toHaveLength(1);
  });

  it('410 stops the webhook until the account is saved, and what waits meanwhile arrives once the receiver takes it', async () => {
    let status = 410;
    const target = await receiver({ answer: () => ({ status }) });
    const name = await account({ url: target.url });
    const first = await send(mailroom, name);
    await webhookWhen(name, 'stopped', ({ state }) => state === 'stopped');
    const second = await send(mailroom, name);
    await endedRecord(mailroom, second.id);
    await webhookWhen(name, 'two that wait', ({ waiting }) => waiting === 2);
    expect(target.requests).toHaveLength(1);
    status = 500;
    await save(name, { url: target.url });
    await webhookWhen(name, 'tried', ({ lastFailures }) => lastFailures.length >= 3);
    status = 204;
    // What is due by now is tried, and arrives.
    await later(25 * hour);
    await webhookWhen(name, 'delivered', ({ state, waiting }) => state === 'ok' && waiting === 0);
    for (const { id } of [first, second]) {
      const requests = await target.got(id);
      expect(new Set(requests.map(({ headers }) => headers['webhook-id']))).toEqual(
        new Set([`mailroom.message.sent:${id}`]),
      );
    }
  }, 120_000);

  it('replay sends what was given up, under its own id', async () => {
    let status = 500;
    const target = await receiver({ answer: () => ({ status }) });
    const name = await account({ url: target.url });
    const since = new Date(Date.now() + shiftMs).toISOString();
    const { id } = await send(mailroom, name);
    await target.got(id);
    const webhook = { url: target.url, secret: `${name}-webhook` };
    await mailroom.expect(200, 'PATCH', `/api/accounts/${name}`, { body: { webhook: null } });
    await later(5 * 24 * hour);
    await mailroom.fireToEnd('retention');
    expect(await webhookOf(name)).toMatchObject({ state: 'none', waiting: 0, givenUp: 1 });
    status = 204;
    await mailroom.expect(200, 'PATCH', `/api/accounts/${name}`, { body: { webhook } });
    const replay = (from: string) =>
      mailroom.expect(202, 'POST', `/api/accounts/${name}/webhook/replay`, { body: { since: from } });
    const now = new Date(Date.now() + shiftMs).toISOString();
    expect((await replay(now)).json).toEqual({ replayed: 0, more: false });
    const before = target.requests.length;
    expect((await replay(since)).json).toEqual({ replayed: 1, more: false });
    await until('another request', 60, async () => target.requests.length > before);
    expect(target.requests.at(-1)?.headers['webhook-id']).toBe(`mailroom.message.sent:${id}`);
    await webhookWhen(name, 'delivered', ({ waiting, givenUp }) => waiting === 0 && givenUp === 0);
  }, 120_000);
});
