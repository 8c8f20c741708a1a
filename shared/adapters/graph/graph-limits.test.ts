import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../test/support/graph-fixture.ts';
import { placesOf } from '../../../test/support/places.ts';
import { allMails, mail, never } from '../../../test/support/store-helpers.ts';
import { limitedStore } from '../connections/limited-store.ts';

let site: GraphSite;

beforeAll(async () => {
  site = await startGraphSite({ mailboxes: [{ userPrincipalName: testUser }] });
});
afterAll(() => site.stop());
afterEach(() => site.graph.reset());

it('sends on no more places than there are, and gives them back', async () => {
  const places = placesOf(2);
  const transport = site.transport({}, { slots: places.slots });
  const receipts = await Promise.all(Array.from({ length: 8 }, () => transport.send(frozenMail(), sendOptions())));
  expect(receipts.flatMap(outcomes)).toEqual(Array.from({ length: 8 }, () => 'accepted'));
  expect(places.most()).toBe(2);
  await transport.close();
  expect(places.free()).toBe(2);
});

it('asks nothing of Graph without a place', async () => {
  const transport = site.transport({}, { slots: placesOf(0).slots });
  const receipt = await transport.send(frozenMail(), sendOptions());
  expect(receipt.trouble).toMatchObject({ scope: 'limit', retryAfterMs: 3_000 });
  expect(site.graph.sent(testUser)).toEqual([]);
  await transport.close();
});

it('sends nothing on a place that was lost', async () => {
  const places = placesOf(1);
  const transport = site.transport({}, { slots: places.slots });
  const options = sendOptions();
  const receipt = await transport.send(frozenMail(), {
    ...options,
    remember: async () => places.lose(),
  });
  expect(outcomes(receipt)).toEqual(['deferred']);
  expect(options.commits()).toBe(0);
  expect(site.graph.sent(testUser)).toEqual([]);
  await transport.close();
});

it('imports with as many requests at a time as it gets places, one at least', async () => {
  for (const [free, taken] of [
    [4, 3],
    [1, 1],
  ] as const) {
    const places = placesOf(free);
    const session = await limitedStore(site.store(), places.slots).open({ signal: never });
    expect(places.free()).toBe(free - taken);
    await allMails(session.list('inbox', { signal: never, pageSize: 10 }));
    await session.close();
    expect(places.free()).toBe(free);
  }
});

it('ends an import whose place is lost', async () => {
  site.graph.mailbox(testUser).deliver(mail('one'));
  const places = placesOf(1);
  const session = await limitedStore(site.store(), places.slots).open({ signal: never });
  places.lose();
  await expect(allMails(session.list('inbox', { signal: never, pageSize: 10 }))).rejects.toMatchObject({
    name: 'StoreError',
    kind: 'connection',
  });
  await session.close();
});
