import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.stop());
afterEach(() => {
  stage.graph.faults.clear();
  stage.graph.reset();
});

const json = { 'Content-Type': 'application/json' };
const get = (id: string) => ({ id, method: 'GET', url: `/users/${user}/mailFolders/inbox` });
const send = (requests: unknown) => stage.call('POST', '/$batch', { body: { requests } });

/** New mails in the inbox, and a request for each that marks it read. */
async function marks(count: number) {
  for (let at = 0; at < count; at++) stage.mailbox.deliver(mail(`Batch ${at}`));
  const { json: page } = await stage.get(`mailFolders/inbox/messages?$select=id&$top=${count}`);
  const ids: string[] = page.value.map((one: { id: string }) => one.id);
  return ids.map((item, at) => ({
    id: String(at),
    method: 'PATCH',
    url: `/users/${user}/messages/${item}`,
    headers: { ...json, Prefer: 'IdType="ImmutableId"' },
    body: { isRead: true },
  }));
}

const serial = <T extends { readonly id: string }>(items: readonly T[]) =>
  items.map((item, at) => ({ ...item, ...(at > 0 ? { dependsOn: [items[at - 1]?.id] } : {}) }));

const statuses = (answer: Awaited<ReturnType<typeof send>>) =>
  Object.fromEntries(answer.json.responses.map((one: { id: string; status: number }) => [one.id, one.status]));

test('a batch does each of its requests, at most four at a time, and answers in another order', async () => {
  const answer = await send(await marks(6));
  expect(answer.status).toBe(200);
  expect(answer.json.responses.map((one: { id: string }) => one.id)).toEqual(['5', '4', '3', '2', '1', '0']);
  expect(answer.json.responses[0]).toMatchObject({ status: 200, body: { isRead: true } });
  expect(stage.graph.peakConcurrency).toBe(4);
  expect(stage.graph.violations).toEqual([]);
});

test('a request of a batch that is not right is refused alone', async () => {
  const wrong = {
    ...get('a'),
    url: `/users/${user}/messages/nonsense`,
    method: 'PATCH',
    headers: json,
    body: { isRead: 3 },
  };
  expect(statuses(await send([wrong, get('b')]))).toEqual({ a: 400, b: 200 });
});

test('requests of a batch beyond the four of the mailbox are throttled, each with its own Retry-After', async () => {
  // Slow enough that a batch is under way while the other comes by a new connection.
  const slow = await Stage.start({ latency: 1000 });
  const requests = ['a', 'b', 'c', 'd'].map(get);
  const post = () => slow.call('POST', '/$batch', { body: { requests } });
  const answers = await Promise.all([post(), post()]).finally(() => slow.stop());
  const throttled = answers.flatMap(({ json: { responses } }) =>
    responses.filter((one: { status: number }) => one.status === 429),
  );
  expect(throttled).toHaveLength(4);
  expect(throttled[0].headers).toMatchObject({ 'Retry-After': '1' });
});

test('a serial batch goes one by one, and what comes after a failed request fails with 424', async () => {
  const items = await marks(3);
  stage.graph.faults.add({ fault: { kind: 'throttled', retryAfter: 7 }, method: 'PATCH', skip: 1 });
  const answer = await send(serial(items));
  expect(statuses(answer)).toEqual({ 0: 200, 1: 429, 2: 424 });
  expect(answer.json.responses.find((one: { id: string }) => one.id === '1').headers['Retry-After']).toBe('7');
  expect(stage.graph.peakConcurrency).toBe(1);
});

test('a request of a batch can be missing in the answer, done or not', async () => {
  const items = await marks(3);
  stage.graph.faults.add({ fault: { kind: 'reset', done: true }, method: 'PATCH', skip: 1 });
  expect(statuses(await send(serial(items)))).toEqual({ 0: 200, 2: 424 });
});

test('a connection can be cut once some of a batch are done', async () => {
  const items = await marks(3);
  stage.graph.faults.add({ fault: { kind: 'cutBatch', after: 2 }, route: '/$batch' });
  await expect(send(serial(items))).rejects.toThrow();
  expect(stage.graph.requests.filter((one) => one.method === 'PATCH').map((one) => one.status)).toEqual([200, 200]);
});

test('a batch can fail as a whole, and then nothing is done', async () => {
  const items = await marks(2);
  stage.graph.faults.add({ fault: { kind: 'unavailable' }, route: '/$batch' });
  expect((await send(items)).status).toBe(503);
  expect(stage.graph.requests.filter((one) => one.method === 'PATCH')).toEqual([]);
});

test('a batch needs a token', async () => {
  expect((await stage.call('POST', '/$batch', { body: { requests: [get('a')] }, token: null })).status).toBe(401);
});

test.each([
  ['more than twenty requests', Array.from({ length: 21 }, (_, at) => get(String(at)))],
  ['no requests', []],
  ['an id twice', [get('a'), get('a')]],
  ['no id', [{ ...get('a'), id: undefined }]],
  ['an unknown dependsOn', [get('a'), { ...get('b'), dependsOn: ['c'] }]],
  [
    'a mixture of parallel and serial',
    [get('a'), { ...get('b'), dependsOn: ['a'] }, { ...get('c'), dependsOn: ['b'] }, get('d')],
  ],
  ['a body without Content-Type', [{ ...get('a'), method: 'POST', body: {} }]],
  ['a batch in a batch', [{ id: 'a', method: 'POST', url: '/$batch', headers: json, body: { requests: [] } }]],
  ['an absolute URL', [{ ...get('a'), url: `https://graph.microsoft.com/v1.0/users/${user}/mailFolders/inbox` }]],
])('a batch with %s is refused', async (_, requests) => {
  expect(await send(requests)).toMatchObject({ status: 400, json: { error: { code: 'BadRequest' } } });
});
