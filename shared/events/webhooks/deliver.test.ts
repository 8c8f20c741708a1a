import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/support/mailroom.ts';
import type { Reply } from '../../../test/support/webhook-receiver.ts';
import { SecretMissing } from '../../secrets/secret-store.ts';
import { removeOldDeliveries } from './housekeeping.ts';
import { replay } from './replay.ts';
import { giveUpAfterMs } from './schedule.ts';
import { WebhookSite } from './webhook-site.test-support.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Of the contract (section 6). */
const waits = [5 * second, minute, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, day];

let site: WebhookSite;

beforeEach(() => {
  site = new WebhookSite();
});

afterEach(async () => {
  await site.stop();
});

const options = () => ({ signal: new AbortController().signal });

describe('an event that is not taken', () => {
  it('is tried again on the schedule of the contract, then given up and kept', async () => {
    const receiver = await site.receiver(() => ({ status: 500 }));
    site.save('corpus', receiver.url);
    const [id] = await site.publish('corpus');
    await site.deliver('corpus');
    for (const [index, wait] of waits.entries()) {
      expect(receiver.requests).toHaveLength(index + 1);
      expect(site.enqueued.at(-1)).toEqual({ target: 'corpus', delayMs: wait });
      site.now += wait - 1;
      await site.deliver('corpus');
      expect(receiver.requests).toHaveLength(index + 1);
      site.now += 1;
      await site.deliver('corpus');
    }
    expect(receiver.requests).toHaveLength(waits.length + 1);
    expect(await site.view('corpus')).toMatchObject({
      state: 'failing',
      waiting: 0,
      nextAttemptAt: null,
      givenUp: 1,
      lastGivenUp: [{ id, attempts: waits.length + 1, status: 500 }],
    });
    site.now += day;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(waits.length + 1);
  });

  it.each([
    ['a redirect', 302, {}],
    ['a redirect that keeps the method', 307, {}],
    ['not modified', 304, {}],
    ['a client error', 404, {}],
    ['an answer of no known class', 600, {}],
  ])('is tried again after %s', async (_, status, headers) => {
    const elsewhere = await site.receiver();
    const receiver = await site.receiver(() => ({ status, headers: { location: elsewhere.url, ...headers } }));
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    await site.deliver('corpus');
    expect(elsewhere.requests).toEqual([]);
    expect(await site.view('corpus')).toMatchObject({ state: 'failing', waiting: 1, lastFailures: [{ status }] });
  });

  it.each([
    ['a connection that breaks', 'reset' as const, 'ECONNRESET'],
    ['nobody who listens', undefined, 'ECONNREFUSED'],
  ])('is tried again after %s', async (_, reply, code) => {
    const receiver = await site.receiver(() => reply ?? { status: 200 });
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    if (reply === undefined) await receiver.stop();
    await site.deliver('corpus');
    site.receivers.length = 0;
    if (reply !== undefined) await receiver.stop();
    expect(await site.view('corpus')).toMatchObject({
      waiting: 1,
      lastFailures: [{ code, hint: expect.stringMatching(/\w/) }],
    });
  });

  it('whose secret is missing says so, and is delivered once it is there', async () => {
    const receiver = await site.receiver();
    site.save('corpus', receiver.url);
    const given = site.secrets;
    site.secrets = async (_, name) => {
      throw new SecretMissing(name, 'is not in Key Vault');
    };
    await site.publish('corpus');
    await site.deliver('corpus');
    expect(receiver.requests).toEqual([]);
    expect(await site.view('corpus')).toMatchObject({ waiting: 1, lastFailures: [{ code: 'SECRET_MISSING' }] });
    site.secrets = given;
    site.now += 5 * second;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(1);
    expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0, failingSince: null });
  });
});

describe('Retry-After', () => {
  it.each([
    ['seconds', '90', 90 * second],
    ['a date', new Date(Date.parse('2026-03-01T09:30:00Z') + 3 * hour).toUTCString(), 3 * hour],
    ['less than the schedule says', '1', 5 * second],
    ['more than a day', '1000000', day],
    ['nothing that can be read', 'soon', 5 * second],
    ['a date in the past', new Date(0).toUTCString(), 5 * second],
  ])('of %s is heard', async (_, header, wait) => {
    const receiver = await site.receiver(() => ({ status: 400, headers: { 'retry-after': header } }));
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    await site.deliver('corpus');
    expect(site.enqueued.at(-1)?.delayMs).toBe(wait);
    site.now += wait - 1;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(1);
    site.now += 1;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(2);
  });

  it.each([429, 503])('of %i is for all events of the account', async (status) => {
    const receiver = await site.receiver((_, count) =>
      receiver.requests.length === 1 && count === 1 ? { status, headers: { 'retry-after': '600' } } : { status: 204 },
    );
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    await site.deliver('corpus');
    await site.publish('corpus', 3);
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(1);
    site.now += 10 * minute;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(5);
    expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0 });
  });

  it('is heard for no longer than it was given, although the clock that wrote it ran ahead', async () => {
    const receiver = await site.receiver((_, count) =>
      count === 1 && receiver.requests.length === 1
        ? { status: 503, headers: { 'retry-after': '60' } }
        : { status: 204 },
    );
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    await site.deliver('corpus', site.process(2 * hour));
    await site.publish('corpus');
    site.now += 61 * second;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(2);
  });
});

describe('410', () => {
  it('stops the webhook until the account is saved again', async () => {
    let reply: Reply = { status: 410 };
    const receiver = await site.receiver(() => reply);
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    await site.deliver('corpus');
    expect(await site.view('corpus')).toMatchObject({ state: 'stopped', waiting: 1, nextAttemptAt: null });
    reply = { status: 204 };
    await site.publish('corpus', 2);
    site.now += day;
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(1);
    await expect(
      replay(
        site.context,
        'corpus',
        {
          account: site.accounts.get('corpus') ?? { webhook: null, version: '' },
          input: { since: '2026-01-01T00:00:00Z' },
        },
        options(),
      ),
    ).rejects.toMatchObject({ reason: 'conflict' });
    site.save('corpus', receiver.url);
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(4);
    expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0 });
  });

  it('keeps no event for ever', async () => {
    const receiver = await site.receiver(() => ({ status: 410 }));
    site.save('corpus', receiver.url);
    await site.publish('corpus', 3);
    await site.deliver('corpus');
    site.now += giveUpAfterMs + minute;
    await site.deliver('corpus');
    expect(await site.view('corpus')).toMatchObject({ state: 'stopped', waiting: 0, givenUp: 3 });
  });
});

describe('a receiver that is away', () => {
  it('is asked seldom, however many events wait for it, and gets all of them once it is there', async () => {
    let reply: Reply = { status: 503 };
    const receiver = await site.receiver(() => reply);
    site.save('corpus', receiver.url);
    const ids = [...(await site.publish('corpus', 300))];
    // An hour, looked at every half minute.
    for (let minutes = 0; minutes < 60; minutes += 0.5) {
      await site.deliver('corpus');
      site.now += 30 * second;
    }
    // Ten until it is left alone, then one at a time.
    expect(receiver.requests.length).toBeLessThan(16 + 30);
    expect(await site.waiting('corpus')).toBe(300);
    // More of them while it is left alone put one queue message at most.
    const queued = site.enqueued.length;
    ids.push(...(await site.publish('corpus', 200)));
    expect(site.enqueued.length).toBeLessThanOrEqual(queued + 1);
    reply = { status: 200 };
    site.now += 5 * minute;
    await site.deliver('corpus');
    // What was tried is due later, as its schedule says.
    site.now += 30 * minute;
    await site.deliver('corpus');
    expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0, givenUp: 0 });
    const got = receiver.requests.map(({ headers }) => headers['webhook-id'] ?? '');
    expect(new Set(got)).toEqual(new Set(ids));
  });

  it('for three days and more gets nothing that happened before, unless a person asks', async () => {
    let reply: Reply = { status: 500 };
    const receiver = await site.receiver(() => reply);
    site.save('corpus', receiver.url);
    const ids = await site.publish('corpus', 40);
    await site.deliver('corpus');
    site.now += giveUpAfterMs + minute;
    await site.deliver('corpus');
    site.now += 5 * minute;
    await site.deliver('corpus');
    const view = await site.view('corpus');
    expect(view.waiting + view.givenUp).toBe(40);
    expect(view.givenUp).toBeGreaterThan(20);
    reply = { status: 200 };
    const before = receiver.requests.length;
    const account = site.accounts.get('corpus') ?? { webhook: null, version: '' };
    const input = { since: '2026-03-01T09:30:00Z' };
    expect(await replay(site.context, 'corpus', { account, input }, options())).toEqual({
      replayed: view.givenUp,
      more: false,
    });
    site.now += day;
    await site.deliver('corpus');
    expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0, givenUp: 0 });
    expect(new Set(receiver.requests.slice(before).map(({ headers }) => headers['webhook-id']))).toEqual(new Set(ids));
  });

  it('and events before an instant are left out of a replay', async () => {
    const receiver = await site.receiver(() => ({ status: 500 }));
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    site.now += hour;
    const since = new Date(site.now).toISOString();
    await site.publish('corpus');
    for (const wait of [0, ...waits]) {
      site.now += wait;
      await site.deliver('corpus');
    }
    expect(await site.view('corpus')).toMatchObject({ waiting: 0, givenUp: 2 });
    const account = site.accounts.get('corpus') ?? { webhook: null, version: '' };
    expect(await replay(site.context, 'corpus', { account, input: { since } }, options())).toMatchObject({
      replayed: 1,
    });
    expect(await site.view('corpus')).toMatchObject({ waiting: 1, givenUp: 1 });
  });
});

describe('what was given up', () => {
  it('is no event whose receiver asks for a day each time: it has all of its attempts', async () => {
    const receiver = await site.receiver(() => ({ status: 500, headers: { 'retry-after': '86400' } }));
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    await site.deliver('corpus');
    for (const [attempt] of waits.entries()) {
      expect(receiver.requests).toHaveLength(attempt + 1);
      expect(await site.view('corpus')).toMatchObject({ waiting: 1, givenUp: 0 });
      for (let hours = 0; hours < 24; hours += 1) {
        site.now += hour;
        await removeOldDeliveries(site.context, options());
      }
      await site.deliver('corpus');
    }
    expect(receiver.requests).toHaveLength(waits.length + 1);
    expect(await site.view('corpus')).toMatchObject({ waiting: 0, givenUp: 1 });
  });

  it('is kept for 30 days, and what waits for a webhook that is no more is given up', async () => {
    const receiver = await site.receiver(() => ({ status: 500 }));
    site.save('corpus', receiver.url);
    await site.publish('corpus', 2);
    site.accounts.set('corpus', { webhook: null, version: 'none' });
    await site.deliver('corpus');
    expect(await site.view('corpus')).toMatchObject({ state: 'none', waiting: 2 });
    site.now += giveUpAfterMs + day + minute;
    await removeOldDeliveries(site.context, options());
    expect(await site.view('corpus')).toMatchObject({ waiting: 0, givenUp: 2 });
    site.now += 30 * day - minute;
    await removeOldDeliveries(site.context, options());
    expect(await site.view('corpus')).toMatchObject({ givenUp: 2 });
    site.now += 2 * minute;
    await removeOldDeliveries(site.context, options());
    expect(await site.view('corpus')).toMatchObject({ givenUp: 0 });
    expect(receiver.requests).toEqual([]);
  });
});

describe('several processes', () => {
  it('deliver to a receiver one at a time, and one that went on after it stood still changes nothing', async () => {
    let release: (() => void) | undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const receiver = await site.receiver(async (_, count) => {
      if (count > 1) return { status: 204 };
      await released;
      return { status: 500 };
    });
    site.save('corpus', receiver.url);
    await site.publish('corpus');
    const first = site.deliver('corpus');
    await until('the first request', 30, async () => receiver.requests.length === 1);
    await site.deliver('corpus');
    expect(receiver.requests).toHaveLength(1);
    // To a process whose clock is ahead the lease has lapsed.
    await site.deliver('corpus', site.process(3 * minute));
    expect(receiver.requests).toHaveLength(2);
    expect(await site.waiting('corpus')).toBe(0);
    release?.();
    await first;
    expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0, givenUp: 0 });
  });

  it('leave workers to healthy receivers, however many others stand still', async () => {
    let stalls = false;
    const troubled = await site.receiver(() => (stalls ? 'stall' : { status: 500 }));
    const names = Array.from({ length: 10 }, (_, n) => `troubled-${n}`);
    for (const name of names) {
      site.save(name, troubled.url);
      await site.publish(name);
      await site.deliver(name);
    }
    const healthy = await site.receiver();
    site.save('healthy', healthy.url);
    await site.publish('healthy');
    stalls = true;
    site.now += 5 * second;
    const under = names.map((name) => site.deliver(name));
    await until('as many requests as there are workers for such', 30, async () => troubled.requests.length === 18);
    const queued = site.enqueued.length;
    await Promise.race(under);
    // Two have to come again.
    expect(site.enqueued.slice(queued - 2).map(({ delayMs }) => delayMs)).toEqual([5_000, 5_000]);
    await site.deliver('healthy');
    expect(healthy.requests).toHaveLength(1);
    // The process is to end: what stands still is given back.
    await site.shutdown.announce(10_000);
    await Promise.all(under);
    expect(troubled.requests).toHaveLength(18);
    for (const name of names) expect((await site.view(name)).waiting).toBe(1);
  });
});

it('a row that this version cannot read is set aside, and the others are delivered', async () => {
  const receiver = await site.receiver();
  site.save('corpus', receiver.url);
  await site.rows.write('corpus', [
    { kind: 'insert', key: 'w:00000000000000:odd', columns: { json0: '{"specversion":"2.0"}' } },
  ]);
  await site.publish('corpus', 2);
  await site.deliver('corpus');
  expect(receiver.requests).toHaveLength(2);
  expect(await site.view('corpus')).toMatchObject({ state: 'ok', waiting: 0 });
  expect(await site.rows.get('corpus', 'x:w:00000000000000:odd')).toMatchObject({
    columns: { json0: '{"specversion":"2.0"}' },
  });
});
