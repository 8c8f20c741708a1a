import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../../../../local/graph/graph.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';
import { allMails, fetchAll, mail, never } from '../../../../test/support/store-helpers.ts';
import { type Checkpoint, type ListedMail, StoreError, type StoreSession } from '../../store.ts';

let site: GraphSite;
let session: StoreSession;

beforeAll(async () => {
  site = await startGraphSite();
});
afterAll(() => site.stop());
beforeEach(async () => {
  for (const { immutableId } of mailbox().mails()) mailbox().delete(immutableId, 'permanent');
  site.graph.reset();
  session = await site.store().open({ signal: never });
});
afterEach(async () => {
  await session.close();
  site.graph.faults.clear();
  expect(site.graph.violations).toEqual([]);
  expect(site.graph.peakConcurrency).toBeLessThanOrEqual(3);
});

const mailbox = () => site.graph.mailbox(testUser);

/** Mails received one after the other, a second apart. */
function deliver(count: number, options: Parameters<ReturnType<typeof mailbox>['deliver']>[1] = {}) {
  const start = Date.now() - 3_600_000;
  return Array.from({ length: count }, (_, index) =>
    mailbox().deliver(mail(`number ${index}`), { receivedAt: start + index * 1_000, ...options }),
  );
}

interface Round {
  readonly mails: readonly ListedMail[];
  readonly checkpoint: Checkpoint;
  readonly pages: number;
}

async function round(checkpoint?: Checkpoint, folder = 'inbox', pageSize = 23): Promise<Round> {
  const mails: ListedMail[] = [];
  let last: Omit<Round, 'mails'> | undefined;
  for await (const page of session.changes(folder, checkpoint, { signal: never, pageSize })) {
    mails.push(...page.mails);
    last = { checkpoint: page.checkpoint, pages: (last?.pages ?? 0) + 1 };
  }
  if (!last) throw new Error('a round brings at least one page');
  return { ...last, mails };
}

const items = ({ mails }: Pick<Round, 'mails'>) => mails.map(({ source }) => source.item).sort();
const ids = (states: readonly { readonly immutableId: string }[]) => states.map((one) => one.immutableId).sort();
const fault = (rule: FaultRule) => site.graph.faults.add(rule);

async function storeFailure(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StoreError)) throw new Error('no StoreError', { cause: error });
  return error;
}

describe('requests', () => {
  it('asks once in an idle poll of a folder', async () => {
    deliver(3);
    const first = await round();
    site.graph.reset();
    await round(first.checkpoint);
    expect(site.graph.requests.map(({ method, route }) => [method, route])).toEqual([
      ['GET', '/users/{user-id}/mailFolders/{mailFolder-id}/messages/delta()'],
    ]);
  });

  it('asks at most 2.1 times for a mail that is imported and marked, until all is quiet again', async () => {
    deliver(50);
    const { mails, checkpoint } = await round();
    expect(await fetchAll(session, mails)).toHaveLength(50);
    await session.dispose(mails, { action: 'markRead' }, { signal: never, verify: false });
    const echo = await round(checkpoint);
    expect(echo.mails).toEqual([]);
    expect(
      mailbox()
        .mails('inbox')
        .every(({ isRead }) => isRead),
    ).toBe(true);
    // Graph counts the requests of a batch, which are twenty by one way there and back.
    const counted = site.graph.requests.filter(({ route }) => route !== '/$batch');
    expect(counted.length).toBeLessThanOrEqual(50 * 2.1);
    expect(site.graph.requests.filter(({ method }) => method !== 'PATCH').length).toBeLessThanOrEqual(50 * 1.2);
  });

  it('asks for no folder twice', async () => {
    mailbox().createFolder('Inbox/Invoices');
    const first = await round(undefined, 'inbox/Invoices');
    site.graph.reset();
    await round(first.checkpoint, 'inbox/Invoices');
    expect(site.graph.requests).toHaveLength(1);
  });
});

describe('changes', () => {
  it('leaves drafts to be distinguished, and passes over what was removed', async () => {
    const [gone] = deliver(1);
    deliver(1, { isDraft: true });
    const first = await round();
    expect(first.mails.filter(({ draft }) => draft)).toHaveLength(1);
    mailbox().delete(gone?.immutableId ?? '');
    expect((await round(first.checkpoint)).mails).toEqual([]);
  });

  it('reads an update again before it says anything of the mail', async () => {
    const [one, two] = deliver(2);
    const first = await round();
    mailbox().mark(one?.immutableId ?? '', true);
    mailbox().mark(two?.immutableId ?? '', true);
    mailbox().delete(two?.immutableId ?? '', 'permanent');
    const { mails } = await round(first.checkpoint);
    expect(mails).toEqual([expect.objectContaining({ receivedAt: one?.receivedAt })]);
  });

  it('brings all mail whose pages come with as little as an update', async () => {
    const delivered = deliver(5);
    fault({ fault: { kind: 'partialItems' }, route: '/delta()', times: Number.POSITIVE_INFINITY });
    const { mails } = await round();
    expect(items({ mails })).toEqual(ids(delivered));
    expect(mails.every(({ receivedAt }) => receivedAt !== undefined)).toBe(true);
  });

  it.each(['duplicates', 'replay', 'emptyPage', 'removedAsChanged'] as const)('loses nothing to %s', async (kind) => {
    const delivered = deliver(30);
    fault({ fault: { kind }, route: '/delta()', times: 2 });
    const first = await round();
    expect(new Set(items(first))).toEqual(new Set(ids(delivered)));
    const later = deliver(2);
    fault({ fault: { kind }, route: '/delta()', times: 1 });
    const second = await round(first.checkpoint);
    for (const id of ids(later)) expect(items(second)).toContain(id);
  });

  it.each([
    ['SyncStateNotFound', 410],
    ['syncStateInvalid', 410],
    ['resyncRequired', 410],
    ['Whatever', 410],
    ['SYNCSTATENOTFOUND', 400],
  ])('asks for a full round at %s with %i', async (code, status) => {
    deliver(1);
    const { checkpoint } = await round();
    fault({ fault: { kind: 'gone', code, status, location: true }, route: '/delta()' });
    expect((await storeFailure(round(checkpoint))).kind).toBe('resync');
  });

  it('follows a round that an earlier run had begun by one of now, so that all mail comes that is there', async () => {
    deliver(3);
    const first = await round();
    fault({ fault: { kind: 'emptyPage' }, route: '/delta()' });
    let begun: Checkpoint | undefined;
    for await (const page of session.changes('inbox', first.checkpoint, { signal: never, pageSize: 23 })) {
      begun = page.checkpoint;
      break;
    }
    const [later] = deliver(1);
    const resumed = await round(begun);
    expect(items(resumed)).toEqual(later ? [later.immutableId] : []);
    // From here on an idle poll is one request again.
    site.graph.reset();
    expect(items(await round(resumed.checkpoint))).toEqual([]);
    expect(site.graph.requests).toHaveLength(1);
  });

  it('asks for a full round when its states have expired, or its endpoint is another one', async () => {
    deliver(1);
    const { checkpoint } = await round();
    mailbox().expireDeltas();
    expect((await storeFailure(round(checkpoint))).kind).toBe('resync');
    const elsewhere = { ...checkpoint, link: 'https://graph.microsoft.com/v1.0/users/x/delta?$deltatoken=y' };
    site.graph.reset();
    expect((await storeFailure(round(elsewhere))).kind).toBe('resync');
    expect(site.graph.requests).toEqual([]);
  });

  it('gives no token to another host that a page links to', async () => {
    deliver(1);
    fault({ fault: { kind: 'foreignLink' }, route: '/delta()' });
    const error = await storeFailure(round());
    expect(error).toMatchObject({ kind: 'protocol', code: 'FOREIGN_HOST' });
    expect(site.graph.exposedTokens).toEqual([]);
    expect(JSON.stringify([error.message, error.hint, error.stack])).not.toMatch(/deltatoken|skiptoken/);
  });

  it('says what went wrong: throttled, away, permission, missing', async () => {
    fault({ fault: { kind: 'throttled', retryAfter: 600 }, route: '/delta()' });
    expect(await storeFailure(round())).toMatchObject({ kind: 'throttled', retryAfterMs: 600_000 });
    fault({ fault: { kind: 'badGateway' }, route: '/delta()' });
    expect((await storeFailure(round())).kind).toBe('connection');
    fault({ fault: { kind: 'reset', done: false }, route: '/delta()', times: 9 });
    expect((await storeFailure(round())).kind).toBe('connection');
    site.graph.faults.clear();
    fault({ fault: { kind: 'refused', status: 403, code: 'ErrorAccessDenied' }, route: '/delta()' });
    expect((await storeFailure(round())).kind).toBe('permission');
    for (const folder of ['inbox/No such folder', 'id:AAAA', 'wrong\\escape', 'a//b']) {
      expect(await storeFailure(round(undefined, folder))).toMatchObject({ kind: 'folderMissing' });
    }
    const nobody = await site.store({ userId: 'nobody@example.com' }).open({ signal: never });
    const error = await storeFailure(allMails(nobody.list('inbox', { signal: never, pageSize: 10 })));
    await nobody.close();
    expect(error).toMatchObject({ kind: 'permission' });
    expect(error.hint).toMatch(/userId/);
  });
});

describe('folders', () => {
  it('finds a folder by its path, whatever stands in its name, and follows no folder that was renamed for ever', async () => {
    const names = ['Rechnungen & Co', 'a\\b', '__proto__', 'Ünïcode', '%2F'];
    for (const name of names) {
      const { id } = mailbox().createFolder(`Inbox/${name}`);
      const [delivered] = deliver(1, { folder: id });
      const path = `inbox/${name.replaceAll('\\', '\\\\').toUpperCase()}`;
      expect(items(await round(undefined, path))).toEqual([delivered?.immutableId]);
      expect(items(await round(undefined, `id:${id}`))).toEqual([delivered?.immutableId]);
    }
    const slashed = mailbox().createFolder('Inbox/slash');
    mailbox().renameFolder(slashed.id, 'a/b');
    const [inside] = deliver(1, { folder: slashed.id });
    const first = await round(undefined, 'inbox/a\\/b');
    expect(items(first)).toEqual([inside?.immutableId]);
    mailbox().renameFolder(slashed.id, 'old');
    const dayAgo = { ...first.checkpoint, foundAt: Date.now() - 86_400_001 };
    const another = await site.store().open({ signal: never });
    const asked = (async () => {
      for await (const _ of another.changes('inbox/a\\/b', dayAgo, { signal: never, pageSize: 5 })) break;
    })();
    expect((await storeFailure(asked)).kind).toBe('folderMissing');
    await another.close();
  });

  it('begins anew in the folder that has the name now', async () => {
    const old = mailbox().createFolder('Inbox/Project');
    const { checkpoint } = await round(undefined, 'inbox/Project');
    mailbox().removeFolder(old.id);
    const renewed = mailbox().createFolder('Inbox/Project');
    const [delivered] = deliver(1, { folder: renewed.id });
    const again = await round(checkpoint, 'inbox/Project');
    expect(items(again)).toEqual([delivered?.immutableId]);
  });

  it('does not take a display name for a well-known folder behind a leading slash', async () => {
    const shown = mailbox().createFolder('Drafts of mine');
    const [delivered] = deliver(1, { folder: shown.id });
    expect(items(await round(undefined, '/drafts of mine'))).toEqual([delivered?.immutableId]);
    expect((await storeFailure(round(undefined, '/no inbox'))).kind).toBe('folderMissing');
  });
});

describe('pages without end', () => {
  it.each([
    ['empty pages that go on', { kind: 'emptyPage' }],
    ['a page that comes again and again', { kind: 'samePage' }],
    ['a nextLink that leads back to its own page', { kind: 'sameLink' }],
  ] as const)('%s: found out, the folder listed instead, and reported', async (_, endless) => {
    const delivered = deliver(250);
    const times = Number.POSITIVE_INFINITY;
    const handle = fault({
      fault: endless,
      route: '/delta()',
      times,
      ...(endless.kind === 'sameLink' ? { skip: 1 } : {}),
    });
    const troubles: string[] = [];
    const found = new Set<string>();
    for await (const page of session.changes('inbox', undefined, { signal: never, pageSize: 23 })) {
      for (const { source } of page.mails) found.add(source.item);
      if (page.trouble) troubles.push(page.trouble);
    }
    expect([...found].sort()).toEqual(ids(delivered));
    expect(troubles).toEqual([expect.stringMatching(/do not end/)]);
    expect(handle.hits).toBeLessThan(120);
  });

  it('some empty pages and a repeated one are no such thing', async () => {
    const delivered = deliver(30);
    fault({ fault: { kind: 'emptyPage' }, route: '/delta()', times: 8 });
    fault({ fault: { kind: 'samePage' }, route: '/delta()', skip: 9, times: 3 });
    const { mails, checkpoint } = await round();
    expect(new Set(mails.map(({ source }) => source.item)).size).toBe(delivered.length);
    expect(checkpoint).toMatchObject({ round: 'changes' });
  });
});

describe('a mail that is said not to be there', () => {
  it('is listed all the same where its folder lists it: one 404 proves nothing', async () => {
    const { checkpoint } = await round();
    const delivered = deliver(3);
    fault({ fault: { kind: 'partialItems' }, route: '/delta()' });
    fault({
      fault: { kind: 'refused', status: 404, code: 'ErrorItemNotFound' },
      method: 'GET',
      route: '/messages/{message-id}',
      times: 2,
    });
    expect(items(await round(checkpoint))).toEqual(ids(delivered));
  });

  it('is distinguished from one that is gone by the folder alone', async () => {
    const delivered = deliver(5);
    const { mails } = await round();
    mailbox().delete(delivered[1]?.immutableId ?? '', 'permanent');
    mailbox().delete(delivered[3]?.immutableId ?? '');
    const there = await session.stillListed(mails, never);
    expect(items({ mails: mails.filter((mail) => there.has(mail)) })).toEqual(
      ids([0, 2, 4].flatMap((n) => delivered[n] ?? [])),
    );
  });
});

describe('a mail that fails the page it is on', () => {
  it('is stepped over by smaller pages, and brought', async () => {
    const delivered = deliver(60);
    mailbox().corrupt(delivered[40]?.immutableId ?? '', { delta: 'unlessAlone', list: 'unlessAlone' });
    expect(items(await round())).toEqual(ids(delivered));
    const listed = await allMails(session.list('inbox', { signal: never, pageSize: 500 }));
    expect(items({ mails: listed })).toEqual(ids(delivered));
  });

  it('has its folder listed and a new round begun when even a page of its own fails', async () => {
    const delivered = deliver(60);
    const poison = delivered[40]?.immutableId ?? '';
    mailbox().corrupt(poison, { delta: 'always', list: 'always' });
    const first = await round();
    expect(items(first).filter((id, at, all) => all.indexOf(id) === at)).toEqual(
      ids(delivered.filter(({ immutableId }) => immutableId !== poison)),
    );
    expect(first.checkpoint).not.toHaveProperty('link');
    mailbox().corrupt(poison, {});
    const second = await round(first.checkpoint);
    expect(items(second)).toEqual(ids(delivered));
    expect(second.checkpoint).toMatchObject({ round: 'changes', link: expect.any(String) });
  });
});

describe('listing', () => {
  it('brings each mail once, though others vanish meanwhile and many came in one second', async () => {
    const same = deliver(450, { receivedAt: Date.now() - 7_200_000 });
    const others = deliver(250);
    const seen: string[] = [];
    for await (const page of session.list('inbox', { signal: never, pageSize: 100 })) {
      for (const { source } of page) seen.push(source.item);
      const last = page.at(-1)?.source.item;
      if (last && others.some(({ immutableId }) => immutableId === last)) mailbox().delete(last, 'permanent');
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.sort()).toEqual(ids([...same, ...others]));
  });
});
