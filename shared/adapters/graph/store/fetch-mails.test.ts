import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { graphStoreConfig } from '../../../../test/support/graph-fixture.ts';
import {
  json,
  type ScriptedServer,
  startScriptedServer,
  startTestEntra,
  testSecret,
  trustTestServers,
} from '../../../../test/support/scripted-graph.ts';
import { allMails, mail, never } from '../../../../test/support/store-helpers.ts';
import type { ListedMail, StoreSession } from '../../store.ts';
import { ContentPlaces } from './content-places.ts';
import { createGraphStore } from './graph-store.ts';

/** How many contents are asked for at a time, and what large ones do meanwhile. */

const small = mail('A small one');
const large = Buffer.concat([mail('A large one'), Buffer.alloc(1_000_000, 'x\r\n')]);
const listed = Array.from({ length: 8 }, (_, n): ListedMail => {
  return { source: { store: 'graph:', scope: '', item: `mail${n}` }, folder: 'inbox' };
});

const stops: (() => Promise<unknown>)[] = [];
let server: ScriptedServer;
/** Contents that the server was asked for and has not answered. */
let waiting: { readonly item: string; readonly response: ServerResponse }[];

beforeEach(async () => {
  trustTestServers();
  waiting = [];
  server = await startScriptedServer(({ url }, response) => {
    const [, item] = /messages\/([^/?]+)\/\$value/.exec(url) ?? [];
    if (item === undefined) json(response, 200, { id: 'inbox', value: [] });
    else waiting.push({ item, response });
  });
  stops.push(() => server.stop());
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function opened(
  connections?: number,
): Promise<{ readonly session: StoreSession; readonly mails: readonly ListedMail[] }> {
  const entra = await startTestEntra();
  stops.push(entra.stop);
  const overrides = { graphEndpoint: server.origin, authorityHost: entra.authorityHost };
  const store = createGraphStore(graphStoreConfig({}), { secret: async () => testSecret, overrides });
  const session = await store.open({ signal: never, ...(connections === undefined ? {} : { connections }) });
  stops.push(() => session.close());
  const mails = listed.map((one) => ({ ...one, source: { ...one.source, store: store.identity } }));
  return { session, mails };
}

/** Answers whatever is asked for until nothing is any more; resolves with what was asked for at one time at most. */
async function answerAll(bodyOf: (item: string) => Buffer, until: Promise<unknown>): Promise<number> {
  let most = 0;
  let ended = false;
  void until.finally(() => {
    ended = true;
  });
  while (!ended) {
    most = Math.max(most, waiting.length);
    const one = waiting.shift();
    one?.response.writeHead(200, { 'content-type': 'text/plain' }).end(bodyOf(one.item));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return most;
}

/** Answers the request for a content, once it is there. */
async function answer(item: string, body: Buffer): Promise<void> {
  await vi.waitFor(() => expect(waiting.map((one) => one.item)).toContain(item), 30_000);
  const at = waiting.findIndex((one) => one.item === item);
  waiting.splice(at, 1)[0]?.response.writeHead(200, { 'content-type': 'text/plain' }).end(body);
}

const askedFor = () => server.requests.flatMap(({ url }) => /messages\/([^/?]+)\/\$value/.exec(url)?.[1] ?? []);

async function readAll(session: StoreSession, mails: readonly ListedMail[]) {
  const read: [string, number][] = [];
  for await (const each of session.fetch(mails, { signal: never })) {
    const { content } = each;
    const size =
      content.kind === 'bytes'
        ? content.bytes.length
        : content.kind === 'stream'
          ? Buffer.concat(await content.stream.toArray()).length
          : 0;
    read.push([each.mail.source.item, size]);
  }
  return read;
}

describe('contents', () => {
  it.each([
    [undefined, 3],
    [2, 2],
    [1, 1],
  ])('of small mails take every place of the session: with %s connections %i', async (connections, places) => {
    const { session, mails } = await opened(connections);
    const reading = readAll(session, mails);
    await vi.waitFor(() => expect(waiting).toHaveLength(places), 30_000);
    expect(await answerAll(() => small, reading)).toBe(places);
    expect(await reading).toEqual(listed.map(({ source }) => [source.item, small.length]));
    expect(askedFor()).toHaveLength(listed.length);
  });

  it.each([
    ['the last', ['mail0', 'mail1', 'mail2']],
    ['the first', ['mail2', 'mail1', 'mail0']],
  ])('of what is fetched next may be asked for once %s has come, and no sooner', async (_, order) => {
    const { session, mails } = await opened();
    let asked = 0;
    const contents = session.fetch(mails.slice(0, 3), {
      signal: never,
      asked: () => {
        asked += 1;
      },
    });
    const reading = contents[Symbol.asyncIterator]();
    const first = reading.next();
    for (const item of order) {
      expect(asked).toBe(0);
      await answer(item, small);
    }
    // Nobody has read the others yet.
    await vi.waitFor(() => expect(asked).toBeGreaterThan(0), 30_000);
    await first;
    await reading.return?.(undefined);
  });
});

describe('large mails', () => {
  it.each([undefined, 2, 1])('come whole and in order, with %s connections', async (connections) => {
    const { session, mails } = await opened(connections);
    const reading = readAll(session, mails);
    await answerAll(() => large, reading);
    expect(await reading).toEqual(listed.map(({ source }) => [source.item, large.length]));
    // The third one gave its place back once, and from then on no more are asked for than may wait.
    expect(askedFor().length).toBeLessThanOrEqual(listed.length + 1);
  });

  it('that wait for their reader leave a place for what the reader wants first', async () => {
    const { session, mails } = await opened();
    const contents = session.fetch(mails, { signal: never })[Symbol.asyncIterator]();
    const first = contents.next();
    for (const count of [3, 2, 1]) {
      await vi.waitFor(() => expect(waiting.length).toBeGreaterThanOrEqual(Math.min(count, 1)), 30_000);
      const one = waiting.shift();
      one?.response.writeHead(200, { 'content-type': 'text/plain' }).end(large);
    }
    expect((await first).value?.content.kind).toBe('stream');
    // Nobody reads on: the session still answers.
    const pages = session.list('inbox', { signal: AbortSignal.timeout(30_000), pageSize: 10 });
    expect(await allMails(pages)).toEqual([]);
    await contents.return?.(undefined);
  });

  it('of a fetch that follows wait as well, and are no more than one', async () => {
    const { session, mails } = await opened();
    const [one, other] = [mails.slice(0, 2), mails.slice(2, 6)];
    const all = Promise.all([readAll(session, one), readAll(session, other)]);
    await answerAll(() => large, all);
    expect((await all).flat().map(([, size]) => size)).toEqual(Array(6).fill(large.length));
  });

  it('hold back what is fetched next until they are read, and no longer', async () => {
    const { session, mails } = await opened();
    let asked = 0;
    const contents = session.fetch(mails.slice(0, 2), {
      signal: never,
      asked: () => {
        asked += 1;
      },
    });
    const reading = contents[Symbol.asyncIterator]();
    const first = reading.next();
    await answer('mail1', small);
    await answer('mail0', large);
    const { content } = (await first).value ?? expect.fail('no mail');
    if (content.kind !== 'stream') return expect.fail('it was held');
    expect(asked).toBe(0);
    await content.stream.toArray();
    expect((await reading.next()).value?.mail.source.item).toBe('mail1');
    expect(asked).toBeGreaterThan(0);
    await reading.return?.(undefined);
  });

  it('are no longer reckoned with after twenty small ones', () => {
    const places = new ContentPlaces(3);
    expect([places.atOnce, places.wait(), places.wait(), places.atOnce]).toEqual([3, true, false, 2]);
    for (let n = 1; n < 20; n += 1) places.held();
    expect(places.atOnce).toBe(2);
    places.held();
    expect(places.atOnce).toBe(3);
    places.waited();
    expect(places.wait()).toBe(true);
  });
});
