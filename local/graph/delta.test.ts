import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Answer, immutable, mail, Stage } from './graph.test-support.ts';

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

interface Change {
  readonly id: string;
  readonly subject?: string;
  readonly '@removed'?: { readonly reason: string };
}

let folders = 0;

/** A folder of its own for each test, with so many mails. */
function folderWith(mails: number) {
  const folder = `Delta ${++folders}`;
  const { id } = stage.mailbox.createFolder(folder);
  const ids = Array.from({ length: mails }, (_, n) => stage.mailbox.deliver(mail(`mail ${n}`), { folder }));
  return { folder, id, ids, start: `mailFolders/${id}/messages/delta?$select=subject,isRead` };
}

/** Goes on from a link to the end of the round. */
async function round(link: string, headers: Record<string, string> = immutable) {
  const items: Change[] = [];
  let pages = 0;
  for (let at = link; ; ) {
    const { status, json }: Answer = await stage.get(at, headers);
    if (status !== 200) throw new Error(`${status} ${json?.error?.code}`);
    pages++;
    items.push(...json.value);
    if (json['@odata.deltaLink']) return { items, pages, link: json['@odata.deltaLink'] as string };
    at = json['@odata.nextLink'];
  }
}

const short = ({ id, '@removed': removed }: Change) => (removed ? `-${id}` : id);

test('a first round lists the folder in pages, a later one what is new', async () => {
  const { folder, ids, start } = folderWith(5);
  const pages = { prefer: 'IdType="ImmutableId", odata.maxpagesize=2' };
  const first = await round(start, pages);
  expect(first.pages).toBe(3);
  expect(first.items.map(short)).toEqual(ids.map((one) => one.immutableId));
  expect(first.link.startsWith(stage.graph.endpoint)).toBe(true);
  const none = await round(first.link);
  expect(none).toMatchObject({ items: [], pages: 1 });
  const added = stage.mailbox.deliver(mail('new'), { folder });
  expect((await round(none.link)).items).toMatchObject([{ id: added.immutableId, subject: 'new', isRead: false }]);
});

test('an update carries what changed and no more, a removal is reported for deletion and for a move', async () => {
  const { ids, start } = folderWith(3);
  const { link } = await round(start);
  const [read, moved, purged] = ids;
  stage.mailbox.mark(read?.immutableId ?? '', true);
  stage.mailbox.move(moved?.immutableId ?? '', 'archive');
  stage.mailbox.delete(purged?.immutableId ?? '', 'permanent');
  const { items } = await round(link);
  expect(items).toEqual([
    { '@odata.etag': expect.any(String), id: read?.immutableId, isRead: true, parentFolderId: expect.any(String) },
    { id: moved?.immutableId, '@removed': { reason: 'deleted' } },
    { id: purged?.immutableId, '@removed': { reason: 'deleted' } },
  ]);
});

test('with default ids a mail that comes back is another one', async () => {
  const { folder, ids, start } = folderWith(1);
  const { link, items } = await round(start, {});
  expect(items[0]?.id).toBe(ids[0]?.id);
  stage.mailbox.move(ids[0]?.id ?? '', 'archive');
  const back = stage.mailbox.move(ids[0]?.immutableId ?? '', folder);
  expect((await round(link, {})).items.map(short)).toEqual([`-${ids[0]?.id}`, back.id]);
});

test('a mail that left and came back is reported with immutable ids, unless the fault loses it', async () => {
  for (const lost of [false, true]) {
    const { folder, ids, start } = folderWith(1);
    const id = ids[0]?.immutableId ?? '';
    const { link } = await round(start);
    stage.mailbox.move(id, 'archive');
    stage.mailbox.move(id, folder);
    if (lost) stage.graph.faults.add({ fault: { kind: 'loseReturns' } });
    const after = await round(link);
    expect(after.items.map(short)).toEqual([lost ? `-${id}` : id]);
    expect((await round(after.link)).items).toEqual([]);
    stage.mailbox.mark(id, true);
    expect((await round(after.link)).items.map(short)).toEqual([id]);
  }
});

test('the filter stays with the token, and cuts a first round at 5,000 without saying so', async () => {
  const { folder, id } = folderWith(0);
  const receivedAt = Date.parse('2026-11-01T00:00:00Z');
  for (let n = 0; n < 5001; n++) stage.mailbox.deliver(mail(`${n}`), { folder, receivedAt });
  const base = `mailFolders/${id}/messages/delta?$select=id&$filter=`;
  const prefer = { prefer: 'IdType="ImmutableId", odata.maxpagesize=1000' };
  const first = await round(`${base}receivedDateTime+ge+2026-11-01T00:00:00Z`, prefer);
  expect(first.items).toHaveLength(5000);
  stage.mailbox.deliver(mail('older'), { folder, receivedAt: receivedAt - 1000 });
  const newer = stage.mailbox.deliver(mail('newer'), { folder, receivedAt: receivedAt + 1000 });
  expect((await round(first.link, prefer)).items.map(short)).toEqual([newer.immutableId]);
  expect((await round(`${base}receivedDateTime+gt+2026-11-01T00:00:00Z`, prefer)).items.map(short)).toEqual([
    newer.immutableId,
  ]);
});

test.each([
  ['$filter=isRead+eq+false', 'ErrorInvalidUrlQueryFilter'],
  ["$filter=receivedDateTime+ge+2026-11-01T00:00:00Z+and+subject+eq+'x'", 'ErrorInvalidUrlQueryFilter'],
  ['$orderby=subject', 'ErrorInvalidUrlQuery'],
])('%s is refused on a delta', async (query, code) => {
  const answer = await stage.get(`mailFolders/inbox/messages/delta?${query}`);
  expect(answer).toMatchObject({ status: 400, json: { error: { code } } });
});

test('changeType narrows later rounds only, and $orderby desc is kept', async () => {
  const { id, folder, ids } = folderWith(2);
  const query = 'changeType=created&$orderby=receivedDateTime+desc&$select=id';
  const first = await round(`mailFolders/${id}/messages/delta?${query}`);
  expect(first.items).toHaveLength(2);
  stage.mailbox.mark(ids[0]?.id ?? '', true);
  stage.mailbox.delete(ids[1]?.id ?? '');
  const added = stage.mailbox.deliver(mail('created'), { folder });
  expect((await round(first.link)).items.map(short)).toEqual([added.immutableId]);
});

test('a token serves only the kind of ids and the folder it was made for', async () => {
  const { start } = folderWith(1);
  const { link } = await round(start);
  expect(await stage.get(link, {})).toMatchObject({ status: 410, json: { error: { code: 'SyncStateInvalid' } } });
  expect((await stage.get(link)).status).toBe(200);
});

test('only the last tokens of a round live, and all end when asked to', async () => {
  const { start } = folderWith(6);
  const prefer = { prefer: 'IdType="ImmutableId", odata.maxpagesize=1' };
  const links: string[] = [];
  let at = start;
  for (let n = 0; n < 5; n++) {
    at = (await stage.get(at, prefer)).json['@odata.nextLink'];
    links.push(at);
  }
  const gone = { status: 410, json: { error: { code: 'SyncStateNotFound' } } };
  expect(await stage.get(links[0] ?? '', prefer)).toMatchObject(gone);
  expect(await stage.get(links[4] ?? '', prefer)).toMatchObject({ status: 200 });
  stage.mailbox.expireDeltas();
  expect(await stage.get(links[4] ?? '', prefer)).toMatchObject(gone);
});

test('the same link asked again and again goes on working, and brings the same', async () => {
  const { folder, start } = folderWith(1);
  const { link } = await round(start);
  const added = stage.mailbox.deliver(mail('again'), { folder });
  for (let n = 0; n < 8; n++) expect((await round(link)).items.map(short)).toEqual([added.immutableId]);
});

test('drafts come with the others, a folder that is gone does not', async () => {
  const { folder, id, start } = folderWith(0);
  stage.mailbox.deliver(mail('draft'), { folder, isDraft: true });
  const { json } = await stage.get(`mailFolders/${id}/messages/delta()?$select=isDraft`);
  expect(json.value).toMatchObject([{ isDraft: true }]);
  stage.mailbox.removeFolder(folder);
  expect(await stage.get(start)).toMatchObject({ status: 404, json: { error: { code: 'ErrorItemNotFound' } } });
});

test('duplicates, replays, empty pages, partial items and odd reasons can be had', async () => {
  const { ids, start, folder } = folderWith(2);
  const all = ids.map((one) => one.immutableId);
  const { faults } = stage.graph;
  faults.add({ route: '/delta()', fault: { kind: 'duplicates' } });
  expect((await round(start)).items.map(short)).toEqual([...all, ...all]);
  faults.add({ route: '/delta()', fault: { kind: 'emptyPage' } });
  const { pages, items, link } = await round(start);
  expect(pages).toBe(2);
  expect(items.map(short)).toEqual(all);
  faults.add({ route: '/delta()', fault: { kind: 'replay' } });
  expect((await round(link)).items.map(short)).toEqual(all);
  faults.add({ route: '/delta()', fault: { kind: 'partialItems' } });
  const added = stage.mailbox.deliver(mail('partial'), { folder });
  const partial = await round(link);
  expect(partial.items).toMatchObject([{ id: added.immutableId, isRead: false }]);
  expect(partial.items[0]).not.toHaveProperty('subject');
  faults.add({ route: '/delta()', fault: { kind: 'removedAsChanged' } });
  stage.mailbox.delete(added.id);
  expect((await round(partial.link)).items).toMatchObject([{ '@removed': { reason: 'changed' } }]);
});

test('links can be led astray, to a host that records the token', async () => {
  const { start } = folderWith(1);
  stage.graph.faults.add({ route: '/delta()', fault: { kind: 'foreignLink' } });
  const { link } = await round(start);
  expect(link.startsWith(stage.graph.uploadOrigin)).toBe(true);
  expect((await stage.get(link)).status).toBe(401);
  expect(stage.graph.exposedTokens).toEqual([{ host: new URL(link).host, method: 'GET', at: expect.any(Number) }]);
});

test('a broken item fails its page, and a page of one if it must', async () => {
  const { ids, start, id } = folderWith(3);
  const broken = ids[1]?.immutableId ?? '';
  const sized = (size: number) => ({ prefer: `IdType="ImmutableId", odata.maxpagesize=${size}` });
  const failed = { status: 500, json: { error: { code: 'ErrorContentConversionFailed' } } };
  stage.mailbox.corrupt(broken, { delta: 'unlessAlone', list: 'always', value: true });
  expect(await stage.get(start, sized(2))).toMatchObject(failed);
  expect((await round(start, sized(1))).items).toHaveLength(3);
  expect(await stage.get(`mailFolders/${id}/messages?$top=1&$skip=1`)).toMatchObject(failed);
  expect(await stage.get(`mailFolders/${id}/messages?$top=1&$skip=2`)).toMatchObject({ status: 200 });
  expect(await stage.get(`messages/${broken}/$value`)).toMatchObject({
    status: 500,
    json: { error: { code: 'ErrorMimeContentConversionFailed' } },
  });
  stage.mailbox.corrupt(broken, {});
  expect((await round(start, sized(2))).items).toHaveLength(3);
});
