import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from './support/counting-proxy.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { readOutbox } from './support/outbox-audit.ts';
import { problem } from './support/problem.ts';
import { type Accepted, endedRecord, openMessages, send } from './support/sending.ts';

/** `GET /messages` finds, and what each search costs in storage transactions. */

const day = 86_400_000;

let mailroom: Mailroom;
let proxy: CountingProxy | undefined;
const sent: Accepted[] = [];
let failed: Accepted;
let other: Accepted;
let many: Accepted;

async function account(name: string): Promise<void> {
  const body = { from: `${name}@example.com`, transport: { protocol: 'sink' }, import: { schedule: null } };
  await mailroom.expect(201, 'PUT', `/api/accounts/${name}`, { body });
}

beforeAll(async () => {
  mailroom = await Mailroom.start({ env: () => (proxy ? { MailStorage: proxy.connectionString } : {}) });
  await account('finder');
  await account('second');
  for (let n = 0; n < 5; n += 1) sent.unshift(await send(mailroom, 'finder', { to: 'Anna.Meier@Example.org' }));
  failed = await send(mailroom, 'finder', { to: 'rejected@sink.invalid' });
  other = await send(mailroom, 'second', { to: ['anna.meier@example.org', 'bob+list@example.org'] });
  many = await send(mailroom, 'second', { to: Array.from({ length: 300 }, (_, n) => `r${n}@example.org`) });
  for (const { id } of [...sent, failed, other, many]) await endedRecord(mailroom, id);
  await until('closed books', 60, async () => (await openMessages(mailroom)).length === 0);
  await mailroom.kill();
  proxy = await startCountingProxy(mailroom.azurite);
  await mailroom.run();
  // The first call loads the app and the account.
  await mailroom.expect(200, 'GET', '/api/messages?account=finder');
}, 120_000);

afterAll(async () => {
  await mailroom?.stop();
  await proxy?.stop();
});

/** Ids that a search finds, and the transactions with the table of messages that it took. */
async function search(query: string) {
  proxy?.take();
  const { json } = await mailroom.expect(200, 'GET', `/api/messages?${query}`);
  const requests = (proxy?.take() ?? []).filter(({ service, path }) => service === 'table' && /^\/outbox\b/.test(path));
  const ids: string[] = json.items.map(({ id }: { id: string }) => id);
  return { ids, next: json.continue, transactions: requests.length };
}

const idsOf = (mails: readonly Accepted[]) => mails.map(({ id }) => id);

describe('a search', () => {
  it('by Message-ID, with or without its brackets, costs two transactions', async () => {
    const { id, messageId } = failed;
    for (const text of [messageId, messageId.slice(1, -1)]) {
      const query = `account=finder&messageId=${encodeURIComponent(text)}`;
      expect(await search(query)).toEqual({ ids: [id], next: undefined, transactions: 2 });
    }
    expect((await search(`messageId=${encodeURIComponent(messageId)}`)).ids).toEqual([id]);
    const unknown = await search('account=finder&messageId=unknown@example.com');
    expect(unknown).toEqual({ ids: [], next: undefined, transactions: 1 });
  });

  it('by recipient, in any letter case, costs one transaction and one for each mail', async () => {
    const mine = await search('account=finder&recipient=ANNA.MEIER@EXAMPLE.ORG');
    expect(mine).toEqual({ ids: idsOf(sent), next: undefined, transactions: 6 });
    const all = await search(`recipient=${encodeURIComponent('Anna <anna.meier@example.org>')}`);
    expect(all.ids).toEqual(idsOf([other, ...sent]));
    expect((await search('recipient=bob%2Blist@example.org')).ids).toEqual([other.id]);
    expect((await search('recipient=r299@example.org')).ids).toEqual([many.id]);
  });

  it('by a status that few have costs one transaction and one for each mail', async () => {
    expect(await search('account=finder&status=failed')).toEqual({
      ids: [failed.id],
      next: undefined,
      transactions: 2,
    });
    expect(await search('account=finder&status=queued')).toEqual({ ids: [], next: undefined, transactions: 1 });
  });

  it('by status sent, by date, or by nothing costs one transaction', async () => {
    expect(await search('account=finder&status=sent')).toEqual({ ids: idsOf(sent), next: undefined, transactions: 1 });
    const { createdAt } = await endedRecord(mailroom, sent[1]?.id ?? '');
    const since = await search(`account=finder&since=${createdAt}`);
    expect(since).toEqual({ ids: idsOf([failed, ...sent.slice(0, 2)]), next: undefined, transactions: 1 });
    const until = await search(`account=finder&until=${createdAt}`);
    expect(until).toEqual({ ids: idsOf(sent.slice(2)), next: undefined, transactions: 1 });
    expect((await search('account=finder')).transactions).toBe(1);
  });

  it('by several takes what has all of it', async () => {
    const { createdAt } = await endedRecord(mailroom, sent[1]?.id ?? '');
    const recipient = 'recipient=anna.meier@example.org';
    expect((await search(`${recipient}&status=sent&since=${createdAt}&account=finder`)).ids).toEqual(
      idsOf(sent.slice(0, 2)),
    );
    expect((await search(`${recipient}&status=failed`)).ids).toEqual([]);
    const query = `messageId=${encodeURIComponent(other.messageId)}`;
    expect((await search(`${query}&${recipient}`)).ids).toEqual([other.id]);
    expect((await search(`${query}&${recipient}&account=finder`)).ids).toEqual([]);
  });

  it('goes on page by page', async () => {
    const found: string[] = [];
    let next = '';
    do {
      const page = await search(`recipient=anna.meier@example.org&top=2${next}`);
      found.push(...page.ids);
      next = page.next === undefined ? '' : `&continue=${page.next}`;
    } while (next !== '');
    expect(found).toEqual(idsOf([other, ...sent]));
  });
});

it.each([
  ['recipient=', '/recipient'],
  ['recipient=anna', '/recipient'],
  ['recipient=bob+list@example.org', '/recipient'],
  ['messageId=', '/messageId'],
  ['messageId=%3Ca%20b%3E', '/messageId'],
  ['since=yesterday', '/since'],
  ['since=2026-01-01T00:00:00', '/since'],
  ['until=2026-01-01', '/until'],
  ['since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z', '/until'],
  ['status=bounced', '/status'],
  ['recipient=a@example.org&recipient=b@example.org', '/recipient'],
  ['recipent=a@example.org', '/recipent'],
])('%s is refused', async (query, pointer) => {
  const { pointers } = problem(await mailroom.call('GET', `/api/messages?${query}`), 400);
  expect(pointers).toEqual([pointer]);
});

it('what is found goes with its record: no row is left of it', { timeout: 180_000 }, async () => {
  const before = await readOutbox(mailroom.azurite.connectionString);
  expect(before.messages).toHaveLength(8);
  expect(before.looseKeys).toEqual([]);
  await mailroom.setClock(100 * day);
  await mailroom.fireToEnd('retention');
  const after = await readOutbox(mailroom.azurite.connectionString);
  expect(after).toMatchObject({ messages: [], open: [], looseKeys: [], blobs: [] });
});
