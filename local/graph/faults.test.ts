import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Fault } from './faults.ts';
import { Faults } from './faults.ts';
import { draft, immutable, mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.stop());
afterEach(() => {
  expect(stage.graph.violations).toEqual([]);
  stage.graph.faults.clear();
  stage.graph.reset();
});

const inbox = () => stage.get('mailFolders/inbox');
const cut = () =>
  inbox().then(
    ({ status }) => `answered ${status}`,
    () => 'no answer',
  );

test.each(['SyncStateNotFound', 'syncStateInvalid', 'resyncRequired'])(
  '410 %s, with a place to begin again',
  async (code) => {
    const handle = stage.graph.faults.add({ route: '/delta()', fault: { kind: 'gone', code, location: true } });
    const answer = await stage.get('mailFolders/inbox/messages/delta?$deltatoken=x');
    expect(answer).toMatchObject({ status: 410, json: { error: { code } } });
    expect(answer.headers.get('location')).toMatch(/\/messages\/delta\?\$deltatoken=$/);
    expect(handle.hits).toBe(1);
  },
);

test('429 with seconds, with a date, and without Retry-After; 503', async () => {
  const { faults } = stage.graph;
  const tried = async (fault: Fault) => {
    faults.add({ fault });
    const { status, headers } = await inbox();
    return [status, headers.get('retry-after')];
  };
  expect(await tried({ kind: 'throttled', retryAfter: 600 })).toEqual([429, '600']);
  expect(await tried({ kind: 'throttled' })).toEqual([429, null]);
  expect(await tried({ kind: 'unavailable', retryAfter: 7 })).toEqual([503, '7']);
  const [status, date] = await tried({ kind: 'throttled', retryAfter: 60, as: 'date' });
  expect(status).toBe(429);
  expect(Math.abs(Date.parse(String(date)) - Date.now() - 60_000)).toBeLessThan(5000);
});

test('504 before and after the work', async () => {
  for (const done of [false, true]) {
    const { id } = stage.mailbox.deliver(mail('504'));
    stage.graph.faults.add({ method: 'PATCH', fault: { kind: 'gatewayTimeout', done } });
    const answer = await stage.call('PATCH', `messages/${id}`, { body: { isRead: true } });
    expect(answer.status).toBe(504);
    expect(stage.mailbox.mail(id)?.isRead).toBe(done);
    expect(stage.graph.requests.at(-1)).toMatchObject({ status: 504 });
  }
});

test('a connection that ends before and after the work', async () => {
  for (const done of [false, true]) {
    const sent = stage.graph.sent(user).length;
    stage.graph.faults.add({ route: '/sendMail', fault: { kind: 'reset', done } });
    await expect(stage.call('POST', 'sendMail', { body: { message: draft('reset') } })).rejects.toThrow();
    expect(stage.graph.sent(user).length - sent).toBe(done ? 1 : 0);
    await expect.poll(() => stage.graph.requests.at(-1)?.status).toBe(0);
  }
});

test('silence, until the client gives up', async () => {
  for (const done of [false, true]) {
    stage.graph.faults.add({ fault: { kind: 'silent', done } });
    await expect(stage.call('GET', 'mailFolders/inbox', { signal: AbortSignal.timeout(300) })).rejects.toThrow(
      /timeout/i,
    );
  }
  expect((await inbox()).status).toBe(200);
});

test('a body that is cut, one that is slow, and one that is HTML', async () => {
  const { faults } = stage.graph;
  faults.add({ fault: { kind: 'shortBody', bytes: 10 } });
  expect(await cut()).toBe('no answer');
  faults.add({ fault: { kind: 'slowBody', bytesPerSecond: 2000 } });
  const before = performance.now();
  expect((await inbox()).status).toBe(200);
  expect(performance.now() - before).toBeGreaterThan(100);
  faults.add({ fault: { kind: 'badGateway' } });
  const answer = await inbox();
  expect(answer.status).toBe(502);
  expect(answer.headers.get('content-type')).toBe('text/html');
});

test('a token that has just expired, and any other refusal', async () => {
  const { faults } = stage.graph;
  faults.add({ fault: { kind: 'expiredToken' } });
  expect(await inbox()).toMatchObject({ status: 401, json: { error: { code: 'InvalidAuthenticationToken' } } });
  expect((await inbox()).status).toBe(200);
  faults.add({ fault: { kind: 'refused', status: 507, code: 'ErrorQuotaExceeded' } });
  expect(await inbox()).toMatchObject({ status: 507, json: { error: { code: 'ErrorQuotaExceeded' } } });
});

test('a rule applies to the requests it names, so often, after so many, until it is removed', async () => {
  const { faults } = stage.graph;
  const statuses = async (path: string, count: number) => {
    const all: number[] = [];
    for (let n = 0; n < count; n++) all.push((await stage.get(path)).status);
    return all;
  };
  faults.add({ method: 'get', route: '/{mailFolder-id}', user, skip: 1, times: 2, fault: { kind: 'unavailable' } });
  expect(await statuses('mailFolders', 2)).toEqual([200, 200]);
  expect(await statuses('/users/second@example.com/mailFolders/inbox', 2)).toEqual([200, 200]);
  expect(await statuses('mailFolders/inbox', 4)).toEqual([200, 503, 503, 200]);
  const always = faults.add({
    when: ({ query }) => query.get('$top') === '7',
    times: Number.POSITIVE_INFINITY,
    fault: { kind: 'unavailable' },
  });
  expect(await statuses('mailFolders?$top=7', 3)).toEqual([503, 503, 503]);
  expect(await statuses('mailFolders?$top=8', 1)).toEqual([200]);
  always.remove();
  expect(await statuses('mailFolders?$top=7', 1)).toEqual([200]);
});

test('chance follows the seed', () => {
  const target = { method: 'GET', route: '/x', user: undefined, query: new URLSearchParams() };
  const run = (seed: number) => {
    const faults = new Faults(seed);
    faults.add({ fault: { kind: 'unavailable' }, chance: 0.3, times: Number.POSITIVE_INFINITY });
    return Array.from({ length: 200 }, () => faults.applyingTo(target).length).join('');
  };
  expect(run(7)).toBe(run(7));
  expect(run(7)).not.toBe(run(8));
  const hits = [...run(7)].filter((one) => one === '1').length;
  expect(hits).toBeGreaterThan(30);
  expect(hits).toBeLessThan(90);
});

test('a sent message cannot be found for a while', async () => {
  const made = await stage.call('POST', 'messages', { body: draft('late'), headers: immutable });
  stage.graph.faults.add({ route: '/send', fault: { kind: 'lateSent', lookups: 2 } });
  expect((await stage.call('POST', `messages/${made.json.id}/send`)).status).toBe(202);
  expect(stage.mailbox.mails('drafts')).toEqual([]);
  const found = [];
  for (let n = 0; n < 3; n++)
    found.push((await stage.get(`messages/${made.json.id}?$select=isDraft,parentFolderId`)).status);
  expect(found).toEqual([404, 404, 200]);
  expect(stage.mailbox.mail(made.json.id)).toMatchObject({ folder: 'Sent Items', isDraft: false });
});
