import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../../../../local/graph/graph.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';
import { mail, never } from '../../../../test/support/store-helpers.ts';
import type { DisposalTarget, StoreSession } from '../../store.ts';

let site: GraphSite;
let session: StoreSession;

beforeAll(async () => {
  site = await startGraphSite();
});
afterAll(() => site.stop());
beforeEach(async () => {
  for (const { immutableId } of mailbox().mails()) mailbox().delete(immutableId, 'permanent');
  session = await site.store().open({ signal: never });
  site.graph.reset();
});
afterEach(async () => {
  await session.close();
  site.graph.faults.clear();
  expect(site.graph.violations).toEqual([]);
});

const mailbox = (of = site) => of.graph.mailbox(testUser);
const fault = (rule: FaultRule) => site.graph.faults.add(rule);

/** So many mails of the inbox, to be marked. */
const deliver = (count: number, of = site): readonly DisposalTarget[] =>
  Array.from({ length: count }, (_, n) => {
    const { immutableId } = mailbox(of).deliver(mail(`number ${n}`));
    return { source: { store: `graph:${testUser}`, scope: '', item: immutableId }, folder: 'inbox' };
  });

const mark = (targets: readonly DisposalTarget[], by = session) =>
  by.dispose(targets, { action: 'markRead' }, { signal: never, verify: false });
const unread = () =>
  mailbox()
    .mails('inbox')
    .filter(({ isRead }) => !isRead).length;
/** Requests that came by themselves, of those that came. */
const batches = (of = site) => of.graph.requests.filter(({ route }) => route === '/$batch').length;
const marks = (of = site) => of.graph.requests.filter(({ method }) => method === 'PATCH').length;

describe('mails marked as read on Graph', () => {
  it('are twenty by one request, which takes one place of the mailbox', async () => {
    const targets = deliver(45);
    expect(await mark(targets)).toEqual(targets.map(() => 'done'));
    expect(unread()).toBe(0);
    expect([batches(), marks()]).toEqual([3, 45]);
    expect(site.graph.peakConcurrency).toBe(1);
  });

  it('are marked once where they are named twice, and not at all where they are of another mailbox', async () => {
    const [one, two] = deliver(2);
    const foreign = { source: { store: 'graph:someone@example.com', scope: '', item: 'x' }, folder: 'inbox' };
    expect(await mark([one, two, one, foreign].flatMap((target) => target ?? []))).toEqual([
      'done',
      'done',
      'done',
      'mismatch',
    ]);
    expect(marks()).toBe(2);
  });

  it('are a request of their own where it is one mail', async () => {
    expect(await mark(deliver(1))).toEqual(['done']);
    expect(batches()).toBe(0);
  });

  it('are gone where they are gone, and those behind one of them in a batch are marked', async () => {
    const targets = deliver(6);
    for (const at of [1, 4]) mailbox().delete(targets[at]?.source.item ?? '', 'permanent');
    expect(await mark(targets)).toEqual(['done', 'gone', 'done', 'done', 'gone', 'done']);
    expect(unread()).toBe(0);
  });

  it('one of which Graph refuses keep no other from its mark (trap: what comes behind it fails with 424)', async () => {
    const targets = deliver(6);
    const refused = targets[2]?.source.item;
    const answer = { kind: 'refused', status: 400, code: 'ErrorInvalidOperation' } as const;
    fault({
      fault: answer,
      method: 'PATCH',
      when: ({ message }) => message === refused,
      times: Number.POSITIVE_INFINITY,
    });
    const outcomes = await mark(targets);
    expect(outcomes.map((outcome) => (typeof outcome === 'object' ? outcome.refused.code : outcome))).toEqual([
      'done',
      'done',
      'ErrorInvalidOperation',
      'done',
      'done',
      'done',
    ]);
    expect(unread()).toBe(1);
  });

  it('are asked for again when a short Retry-After in the batch is over (trap: a 429 inside a batch was dropped)', async () => {
    fault({ fault: { kind: 'throttled', retryAfter: 1 }, method: 'PATCH', skip: 3, times: 1 });
    const targets = deliver(6);
    expect(await mark(targets)).toEqual(targets.map(() => 'done'));
    expect([batches(), unread()]).toEqual([2, 0]);
  });

  it('are handed back with a long Retry-After in the batch', async () => {
    fault({ fault: { kind: 'throttled', retryAfter: 600 }, method: 'PATCH', skip: 3 });
    await expect(mark(deliver(6))).rejects.toMatchObject({ kind: 'throttled', retryAfterMs: 600_000 });
  });

  it.each([true, false])(
    'are asked for alone where the answer says nothing of one; done: %s (trap: missing ids)',
    async (done) => {
      fault({ fault: { kind: 'reset', done }, method: 'PATCH', skip: 2, times: 1 });
      const targets = deliver(5);
      expect(await mark(targets)).toEqual(targets.map(() => 'done'));
      expect(unread()).toBe(0);
    },
  );

  it('are marked by the next try where the line broke in the middle of a batch', async () => {
    fault({ fault: { kind: 'cutBatch', after: 3 }, route: '/$batch', times: 1 });
    const targets = deliver(6);
    await expect(mark(targets)).rejects.toMatchObject({ kind: 'connection' });
    expect(unread()).toBe(3);
    expect(await mark(targets)).toEqual(targets.map(() => 'done'));
    expect(unread()).toBe(0);
  });

  it.each([
    { what: 'has trouble with the batch', status: 500, code: 'generalException', later: 1 },
    { what: 'knows no batches, which is remembered', status: 404, code: 'ResourceNotFound', later: 0 },
  ])('are asked for one by one where a place $what', async ({ status, code, later }) => {
    const place = await startGraphSite();
    try {
      place.graph.faults.add({ fault: { kind: 'refused', status, code }, route: '/$batch', times: 1 });
      const there = await place.store().open({ signal: never });
      const targets = deliver(4, place);
      expect(await mark(targets, there)).toEqual(targets.map(() => 'done'));
      expect([batches(place), marks(place)]).toEqual([1, 4]);
      await mark(deliver(2, place), there);
      expect(batches(place)).toBe(1 + later);
      await there.close();
    } finally {
      await place.stop();
    }
  });
});
