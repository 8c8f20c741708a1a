import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { colleague, immutable, mail, Stage, user } from './graph.test-support.ts';

/** What an endpoint was sent: each post's query token, and its notifications. */
class Endpoint {
  readonly #server: Server;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into notifications of any shape.
  readonly posts: any[][] = [];
  validations = 0;
  /** What it does with a post that is no validation. */
  answers: () => number = () => 202;
  /** What it answers to the handshake, from the token. */
  validates: (token: string) => { status: number; type: string; body: string } = (token) => ({
    status: 200,
    type: 'text/plain',
    body: token,
  });

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Endpoint> {
    const server = createServer((request, response) => {
      endpoint.#take(request).then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': type });
        response.end(body);
      });
    });
    const endpoint = new Endpoint(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/notify`;
  }

  get notifications() {
    return this.posts.flat();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage) {
    const token = new URL(request.url ?? '/', 'http://here').searchParams.get('validationToken');
    const chunks: Buffer[] = [];
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    if (token !== null) {
      this.validations += 1;
      return this.validates(token);
    }
    const status = this.answers();
    if (status < 300) this.posts.push(JSON.parse(Buffer.concat(chunks).toString()).value);
    return { status, type: 'text/plain', body: '' };
  }
}

const minuteMs = 60_000;
const often = { interval: 20 };
let stage: Stage;
let endpoint: Endpoint;
let clock = 0;

beforeAll(async () => {
  stage = await Stage.start({ now: () => Date.now() + clock, notificationDelay: 10, notificationPauses: [20, 20] });
});
afterAll(() => stage.stop());
beforeEach(async () => {
  endpoint = await Endpoint.start();
});
afterEach(async () => {
  await endpoint.stop();
  for (const { id } of stage.graph.subscriptions.list()) stage.graph.subscriptions.vanish(id);
  stage.graph.subscriptions.lose(0);
  stage.graph.reset();
  clock = 0;
});

const resource = `users/${user}/mailFolders('inbox')/messages`;
const inMinutes = (minutes: number) => new Date(Date.now() + clock + minutes * minuteMs).toISOString();
const wish = (more: Readonly<Record<string, unknown>> = {}) => ({
  changeType: 'created',
  resource,
  notificationUrl: endpoint.url,
  lifecycleNotificationUrl: `${endpoint.url}/life`,
  clientState: 'secret',
  expirationDateTime: inMinutes(1000),
  ...more,
});
const subscribe = (more: Readonly<Record<string, unknown>> = {}, token?: string) =>
  stage.call('POST', '/subscriptions', { body: wish(more), headers: immutable, ...(token ? { token } : {}) });
const subscribed = async (more: Readonly<Record<string, unknown>> = {}): Promise<string> => {
  const { status, json } = await subscribe(more);
  expect(status, JSON.stringify(json)).toBe(201);
  return json.id;
};
const reported = (count: number) => expect.poll(() => endpoint.notifications.length, often).toBe(count);

it('an endpoint that shows it wants notifications gets one of new mail, with an id that can be used', async () => {
  const { json } = await subscribe();
  expect(json).toMatchObject({ id: expect.any(String), clientState: 'secret', changeType: 'created', resource });
  expect(endpoint.validations).toBe(2);
  const { immutableId } = stage.mailbox.deliver(mail('one'));
  stage.mailbox.deliver(mail('elsewhere'), { folder: 'archive' });
  stage.graph.mailbox(colleague).deliver(mail('not mine'));
  await reported(1);
  const [notification] = endpoint.notifications;
  expect(notification).toMatchObject({
    subscriptionId: json.id,
    clientState: 'secret',
    changeType: 'created',
    tenantId: '11111111-1111-4111-8111-111111111111',
    resourceData: { '@odata.type': '#Microsoft.Graph.Message', id: immutableId },
  });
  expect((await stage.get(`messages/${notification.resourceData.id}`)).status).toBe(200);
  stage.mailbox.mark(immutableId, true);
  const moved = stage.mailbox.deliver(mail('moved in'), { folder: 'archive' });
  stage.mailbox.move(moved.immutableId, 'inbox');
  await reported(2);
  expect(stage.graph.violations).toEqual([]);
});

it('what comes close together goes in one post', async () => {
  await subscribed();
  for (let n = 0; n < 5; n += 1) stage.mailbox.deliver(mail(`many ${n}`));
  await reported(5);
  expect(endpoint.posts).toHaveLength(1);
});

it.each([
  ['an error', () => ({ status: 404, type: 'text/plain', body: '' })],
  ['202', (token: string) => ({ status: 202, type: 'text/plain', body: token })],
  ['HTML', (token: string) => ({ status: 200, type: 'text/html', body: token })],
  [
    'the token as it was encoded',
    (token: string) => ({ status: 200, type: 'text/plain', body: encodeURIComponent(token) }),
  ],
  ['something else', () => ({ status: 200, type: 'text/plain', body: 'ok' })],
])('an endpoint that answers the handshake with %s gets no subscription', async (_, validates) => {
  endpoint.validates = validates;
  expect(await subscribe()).toMatchObject({ status: 400, json: { error: { code: 'InvalidRequest' } } });
  expect(stage.graph.subscriptions.list()).toEqual([]);
});

it.each([
  ['no end', { expirationDateTime: undefined }, 400],
  ['an end that is over', { expirationDateTime: '2020-01-01T00:00:00Z' }, 400],
  ['an end too far off', { expirationDateTime: new Date(Date.now() + 10_090 * minuteMs).toISOString() }, 400],
  ['a long clientState', { clientState: 'x'.repeat(129) }, 400],
  ['http elsewhere', { notificationUrl: 'http://mail.example.com/notify' }, 400],
  ['a lifecycle address over http elsewhere', { lifecycleNotificationUrl: 'http://mail.example.com/' }, 400],
  ['an unknown change', { changeType: 'created,moved' }, 400],
  ['no kind of change', { changeType: undefined }, 400],
  ['another resource', { resource: `users/${user}/events` }, 400],
  ['its own mailbox, which an app has not', { resource: "me/mailFolders('inbox')/messages" }, 400],
  ['a name with an apostrophe', { resource: "users/o'neil@example.com/messages" }, 400],
  ['an unknown user', { resource: 'users/nobody@example.com/messages' }, 404],
  ['a folder that is none', { resource: `users/${user}/mailFolders('nonesuch')/messages` }, 400],
  ['resource data', { includeResourceData: true }, 400],
])('a wish with %s is refused', async (_, more, status) => {
  expect((await subscribe(more)).status).toBe(status);
  expect(endpoint.validations).toBe(0);
});

it('a property that subscriptions do not have is refused and counted', async () => {
  expect((await subscribe({ notificationURL: 'x' })).status).toBe(400);
  expect(stage.graph.violations).toHaveLength(1);
});

it('reading is enough to subscribe, sending is not', async () => {
  const [read, send] = await Promise.all([['Mail.Read'], ['Mail.Send']].map((roles) => stage.tokenOf(roles)));
  expect((await subscribe({}, send)).status).toBe(403);
  expect((await subscribe({}, read)).status).toBe(201);
});

it('a second one of the same app, folder and changes is refused, whatever its address', async () => {
  const id = await subscribed();
  const again = await subscribe({
    notificationUrl: `${endpoint.url}?two`,
    resource: `/Users('${user}')/mailfolders/Inbox/messages`,
  });
  expect(again).toMatchObject({ status: 409, json: { error: { message: expect.stringContaining(id) } } });
  await subscribed({ changeType: 'created,deleted' });
  await subscribed({ resource: `users/${user}/mailFolders('archive')/messages` });
  const other = await stage.tokenOf(['Mail.Read'], { clientId: '33333333-3333-4333-8333-333333333333' });
  expect((await subscribe({}, other)).status).toBe(201);
});

it('a list shows an app its own, page by page, without what they keep secret', async () => {
  const id = await subscribed();
  const other = await stage.tokenOf(['Mail.Read'], { clientId: '33333333-3333-4333-8333-333333333333' });
  await subscribe({}, other);
  const { json } = await stage.get('/subscriptions');
  expect(json.value).toEqual([expect.objectContaining({ id, clientState: null, notificationUrl: endpoint.url })]);
  expect((await stage.get(`/subscriptions/${id}`)).json).toMatchObject({ id, clientState: null });
  expect((await stage.call('GET', `/subscriptions/${id}`, { token: other })).status).toBe(404);
  for (let n = 0; n < 100; n += 1) {
    const folder = stage.mailbox.createFolder(`many/${n}`);
    await subscribed({ resource: `users/${user}/mailFolders('${folder.id}')/messages` });
  }
  const first = (await stage.get('/subscriptions')).json;
  const second = (await stage.get(first['@odata.nextLink'])).json;
  expect([first.value.length, second.value.length, second['@odata.nextLink']]).toEqual([100, 1, undefined]);
  expect(stage.graph.violations).toEqual([]);
});

it('lists are asked for 25 times in 20 seconds at most', async () => {
  clock = 100_000;
  const statuses = [];
  for (let n = 0; n < 26; n += 1) statuses.push((await stage.get('/subscriptions')).status);
  expect(statuses).toEqual([...Array.from({ length: 25 }, () => 200), 429]);
  clock += 60_000;
  expect((await stage.get('/subscriptions')).status).toBe(200);
});

it('one lives until its end, which can be moved, and no longer', async () => {
  clock = 60_000;
  const id = await subscribed({ expirationDateTime: inMinutes(1) });
  const endOf = () => stage.graph.subscriptions.list()[0]?.expiresAt ?? 0;
  // Less than 45 minutes is raised.
  expect(endOf() - Date.now() - clock).toBeGreaterThan(44 * minuteMs);
  const renew = (expirationDateTime: string) =>
    stage.call('PATCH', `/subscriptions/${id}`, { body: { expirationDateTime } });
  expect(await renew(inMinutes(10_000))).toMatchObject({ status: 200, json: { id } });
  expect((await renew(inMinutes(10_090))).status).toBe(400);
  const other = await stage.call('PATCH', `/subscriptions/${id}`, {
    body: { clientState: 'x', expirationDateTime: inMinutes(60) },
  });
  expect(other.status).toBe(400);
  clock += 9_999 * minuteMs;
  expect(stage.graph.subscriptions.list()).toHaveLength(1);
  clock += 2 * minuteMs;
  expect(stage.graph.subscriptions.list()).toEqual([]);
  clock = 0;
  expect(await renew(inMinutes(100))).toMatchObject({ status: 404, json: { error: { code: 'ResourceNotFound' } } });
});

it('one that is deleted sends nothing, and can be made again', async () => {
  const id = await subscribed();
  expect((await stage.call('DELETE', `/subscriptions/${id}`)).status).toBe(204);
  expect((await stage.call('DELETE', `/subscriptions/${id}`)).status).toBe(404);
  stage.mailbox.deliver(mail('unheard'));
  await subscribed();
  stage.mailbox.deliver(mail('heard'));
  await reported(1);
});

it('a notification that is not taken comes again, and is given up in the end', async () => {
  await subscribed();
  const statuses = [500, 404];
  endpoint.answers = () => statuses.shift() ?? 202;
  stage.mailbox.deliver(mail('again'));
  await reported(1);
  const changes = () => stage.graph.subscriptions.posts.filter(({ kind }) => kind === 'change');
  // Graph notes a post when it has the answer, a moment after the endpoint has given it.
  await expect
    .poll(() => changes().slice(-3), often)
    .toMatchObject([{ status: 500 }, { status: 404 }, { status: 202, attempt: 3 }]);
  endpoint.answers = () => 503;
  const before = changes().length;
  stage.mailbox.deliver(mail('given up'));
  await expect.poll(() => changes().length - before, often).toBe(3);
});

it('what happens to a subscription is reported: removed, to be reauthorized, something missed', async () => {
  const gone = await subscribed();
  stage.graph.subscriptions.remove(gone);
  await reported(1);
  expect(endpoint.notifications[0]).toMatchObject({
    subscriptionId: gone,
    clientState: 'secret',
    lifecycleEvent: 'subscriptionRemoved',
  });

  const id = await subscribed();
  stage.graph.subscriptions.requireReauthorization(id);
  await reported(2);
  stage.mailbox.deliver(mail('while paused'));
  expect((await stage.call('POST', `/subscriptions/${id}/reauthorize`)).status).toBe(204);
  stage.graph.subscriptions.tellMissed();
  await reported(3);
  expect(endpoint.notifications.slice(1)).toMatchObject([
    { lifecycleEvent: 'reauthorizationRequired' },
    { lifecycleEvent: 'missed', subscriptionId: id },
  ]);
  stage.graph.subscriptions.lose(1);
  stage.mailbox.deliver(mail('lost'));
  stage.mailbox.deliver(mail('not lost'));
  await reported(4);
  stage.graph.subscriptions.tellMissed();
  await reported(5);
  expect(stage.graph.violations).toEqual([]);
});
