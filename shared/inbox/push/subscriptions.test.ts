import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { validationError } from '../../adapters/graph/subscription-errors.ts';
import type { GraphMailbox } from '../../adapters/graph/subscriptions.ts';
import { StoreError } from '../../adapters/store.ts';
import { RowConflict } from '../../platform/rows.ts';
import { accountWith, appCredential, Process, PushStage, signal } from './push.test-support.ts';
import { readSubscriptions, type SubscriptionRow } from './subscription-rows.ts';
import { endSubscriptions, tendFromQueue, tendSubscriptions } from './tend.ts';
import { attemptMs, lifetimeMs, renewEveryMs, retryWait, undecidedMs } from './timing.ts';

const minuteMs = 60_000;
let stage: PushStage;

beforeEach(() => {
  for (const level of ['info', 'warn'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
  stage = new PushStage({ refusesSecond: true });
});
afterEach(() => vi.restoreAllMocks());

const tend = () => tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
const rowsNow = () => readSubscriptions({ rows: stage.rows }, 'corpus', { signal });

/** The one that is noted, also with what it does not say. */
async function row(): Promise<SubscriptionRow> {
  const silent = { id: undefined, attemptAt: undefined, stray: undefined, code: undefined, hint: undefined };
  return { ...silent, ...(await stage.row()) };
}

/** What Graph has under an id. */
function madeNow(id: string) {
  const made = stage.made.get(id);
  if (!made) throw new Error('Graph has no such subscription');
  return made;
}

/** Tends, and answers what Graph was asked. */
async function asked(): Promise<readonly string[]> {
  stage.asked.length = 0;
  await tend();
  return [...stage.asked];
}

const refused = (options: ConstructorParameters<typeof StoreError>[2] = {}) =>
  new StoreError('permission', 'no', { code: 'ErrorAccessDenied', hint: 'Grant Mail.Read', ...options });

describe('a subscription that is to be there', () => {
  it('is made for three days, has an import queued, and is renewed after 45 minutes', async () => {
    expect(await asked()).toEqual(['open', 'create']);
    const [made] = stage.made.values();
    expect(made?.expiresAt).toBe(stage.now + lifetimeMs);
    expect(stage.imports).toEqual([stage.now]);
    expect(await row()).toMatchObject({
      ...{ state: 'active', id: made?.id, folder: 'inbox', tries: 0, attemptAt: undefined },
      ...{ workAt: stage.now + renewEveryMs, dueAt: stage.now + renewEveryMs, waitMs: renewEveryMs },
    });
    stage.now += renewEveryMs - 1;
    expect(await asked()).toEqual([]);
    stage.now += 1;
    expect(await asked()).toEqual(['open', 'renew']);
    expect(await row()).toMatchObject({ expiresAt: stage.now + lifetimeMs, workAt: stage.now + renewEveryMs });
    expect([stage.imports.length, stage.sessions]).toEqual([1, 0]);
  });

  it('is renewed though its row names a time far ahead: a clock that was wrong wrote it', async () => {
    await tend();
    await stage.change({ workAt: stage.now + 2 * renewEveryMs });
    expect(await asked()).toEqual([]);
    await stage.change({ workAt: stage.now + 2 * renewEveryMs + 1 });
    expect(await asked()).toEqual(['open', 'renew']);
  });

  it('is not asked for, and neither is a key made, where Graph cannot call the app', async () => {
    const push = { ...stage.context(new Process()), publicUrl: undefined };
    await tendSubscriptions(push, 'corpus', { signal });
    expect([stage.asked, await rowsNow()]).toEqual([[], []]);
  });

  it('is not looked after once the time for it is over', async () => {
    const push = stage.context(new Process());
    await expect(tendSubscriptions(push, 'corpus', { signal: AbortSignal.abort() })).rejects.toThrow('abort');
    expect(stage.asked).toEqual([]);
  });

  it('is made anew, under another name, where Graph has it no more', async () => {
    await tend();
    const before = await row();
    stage.made.clear();
    stage.now += renewEveryMs;
    expect(await asked()).toEqual(['open', 'renew', 'create']);
    const after = await row();
    expect(after.generation).not.toBe(before.generation);
    expect(after).toMatchObject({ state: 'active', id: [...stage.made.keys()][0] });
    expect(stage.imports).toHaveLength(2);
  });

  it('is not asked for while another process may be asking', async () => {
    await tend();
    stage.made.clear();
    const creating = { state: 'creating', id: undefined, attemptAt: stage.now, workAt: stage.now } as const;
    await stage.change(creating);
    stage.now += undecidedMs - 1;
    expect(await asked()).toEqual(['open']);
    stage.now += 1;
    // It may have made one: that is looked for first.
    expect(await asked()).toEqual(['open', 'list', 'create']);
  });

  it('is found again where the process that made it had ended', async () => {
    await tend();
    const { id } = await row();
    const attempt = { state: 'creating', id: undefined, attemptAt: stage.now, workAt: stage.now } as const;
    await stage.change(attempt);
    stage.now += attemptMs;
    expect(await asked()).toEqual(['open', 'list']);
    expect(await row()).toMatchObject({ state: 'active', id });
  });

  it('takes the place of one of its folder that no row knows, and of no other', async () => {
    await tend();
    const { id = '', key } = await row();
    const other = { ...madeNow(id), id: 'strange' };
    await stage.rows.write('push', [{ kind: 'delete', key }]);
    expect(await asked()).toEqual(['open', 'create', 'list', 'list', 'remove', 'create']);
    expect([...stage.made.keys()]).not.toContain(id);
    // One at another address is somebody else's: it stays, and the failure is noted.
    stage.made.clear();
    stage.made.set('strange', { ...other, notificationUrl: 'https://other.example.com/hook' });
    await stage.rows.write('push', [{ kind: 'delete', key }]);
    await tend();
    expect([...stage.made.keys()]).toEqual(['strange']);
    expect(await row()).toMatchObject({ state: 'creating', tries: 1, code: expect.any(String) });
  });
});

describe('what fails', () => {
  it('is noted with its code and hint, and is tried again after 1, 2, 5, 10, 20 and 30 minutes', async () => {
    stage.faults.set('create', refused());
    const waits: number[] = [];
    for (let tries = 1; tries <= 7; tries += 1) {
      await tend();
      const { workAt, dueAt, ...noted } = await row();
      expect(noted).toMatchObject({ tries, code: 'ErrorAccessDenied', hint: 'Grant Mail.Read' });
      expect(dueAt).toBe(workAt);
      waits.push((workAt - stage.now) / minuteMs);
      stage.now = workAt;
    }
    expect(waits).toEqual([1, 2, 5, 10, 20, 30, 30]);
    stage.faults.clear();
    await tend();
    expect(await row()).toMatchObject({ state: 'active', tries: 0, code: undefined, hint: undefined });
  });

  it('waits for as long as Graph asks, up to 50 minutes', () => {
    expect([retryWait(1, 90_000), retryWait(1, 3 * 3_600_000), retryWait(6, 90_000)]).toEqual([
      90_000,
      50 * minuteMs,
      30 * minuteMs,
    ]);
  });

  it('is noted by its kind where Graph gave no code', async () => {
    stage.faults.set('open', new StoreError('connection', 'gone'));
    await tend();
    expect(await row()).toMatchObject({ tries: 1, code: 'connection', hint: undefined });
  });

  it('is tried whenever somebody asks, without waiting', async () => {
    stage.faults.set('create', refused());
    await tend();
    stage.faults.clear();
    expect(await asked()).toEqual(['open', 'create']);
  });

  it.each([
    ['refused', refused(), undefined],
    ['not signed in', new StoreError('signIn', 'no'), undefined],
    ['without its folder', new StoreError('folderMissing', 'no such folder'), undefined],
    ['not confirmed, since Graph could not call the app', validationError(), undefined],
    ['throttled', new StoreError('throttled', 'slow down', { retryAfterMs: 5_000 }), undefined],
    ['unanswered', new StoreError('connection', 'gone'), expect.any(Number)],
    ['answered with nonsense', new StoreError('protocol', 'oops'), expect.any(Number)],
  ])('%s: whether Graph may have made one is known', async (_, error, attemptAt) => {
    stage.faults.set('create', error);
    await tend();
    expect((await row()).attemptAt).toEqual(attemptAt);
  });

  it('in a renewal changes nothing of the subscription', async () => {
    await tend();
    const { id, generation } = await row();
    stage.now += renewEveryMs;
    stage.faults.set('renew', new StoreError('throttled', 'slow down', { retryAfterMs: 7 * minuteMs }));
    await tend();
    expect(await row()).toMatchObject({
      ...{ state: 'active', id, generation, tries: 1 },
      workAt: stage.now + 7 * minuteMs,
    });
    stage.faults.clear();
    await tend();
    expect(await row()).toMatchObject({ id, tries: 0, code: undefined });
  });

  it('is thrown where it is not the trouble of Graph, and sessions are closed', async () => {
    stage.faults.set('create', new Error('storage is away'));
    await expect(tend()).rejects.toThrow('storage is away');
    expect(stage.sessions).toBe(0);
  });

  it('is thrown where storage is away', async () => {
    stage.rows.onWrite = () => Promise.reject(new Error('storage is away'));
    await expect(tend()).rejects.toThrow('storage is away');
    expect(stage.asked).toEqual([]);
  });

  it.each([
    ['is gone', async () => stage.rows.write('push', [{ kind: 'delete', key: (await row()).key }]), []],
    ['is of another one', () => stage.change({ generation: 'f'.repeat(16) }), [{ tries: 0, code: undefined }]],
  ])('is not noted on a row that %s meanwhile', async (_, meanwhile, noted) => {
    const push = stage.context(new Process());
    const open = async () => {
      await meanwhile();
      throw refused();
    };
    await tendSubscriptions({ ...push, open }, 'corpus', { signal });
    expect((await rowsNow()).map(({ tries, code }) => ({ tries, code }))).toEqual(noted);
  });

  it('of one folder stops no other, and folders share a session', async () => {
    stage.account = accountWith(true, ['inbox', 'archive', 'junkemail']);
    stage.faults.set('create', refused());
    await tend();
    expect((await rowsNow()).map(({ folder, tries }) => [folder, tries]).sort()).toEqual([
      ['archive', 1],
      ['inbox', 1],
      ['junkemail', 1],
    ]);
    expect(stage.asked.filter((call) => call === 'open')).toHaveLength(1);
  });
});

describe('a subscription that is to end', () => {
  beforeEach(async () => {
    await tend();
    stage.account = accountWith(false);
  });

  it('ends with its row', async () => {
    expect(await asked()).toEqual(['open', 'remove']);
    expect([stage.made.size, (await rowsNow()).length, stage.sessions]).toEqual([0, 0, 0]);
  });

  it('ends with a second one that is known, and with what an attempt may have made', async () => {
    const noted = { stray: 'second', attemptAt: stage.now - undecidedMs };
    await stage.change(noted);
    const { id = '' } = await row();
    const made = madeNow(id);
    stage.made.set('second', { ...made, id: 'second' });
    stage.made.set('third', { ...made, id: 'third' });
    stage.made.set('other', { ...made, id: 'other', notificationUrl: 'https://mail.example.com/other?subscription=x' });
    // Of another service of the app, which tells something else than an address.
    stage.made.set('strange', { ...made, id: 'strange', notificationUrl: '' });
    expect(await asked()).toEqual(['open', 'remove', 'remove', 'list', 'remove']);
    expect([...stage.made.keys()]).toEqual(['other', 'strange']);
  });

  it('waits while Graph may still be making it', async () => {
    await stage.change({ attemptAt: stage.now - undecidedMs + 1 });
    expect(await asked()).toEqual([]);
    expect(await rowsNow()).toHaveLength(1);
  });

  it('is left to its own end after twelve failures', async () => {
    stage.faults.set('remove', new StoreError('connection', 'gone'));
    // Those of other work before do not count.
    await stage.change({ tries: 30 });
    for (let tries = 1; tries < 12; tries += 1) {
      await tend();
      const { endTries, workAt } = await row();
      expect({ endTries, waits: workAt - stage.now }).toEqual({ endTries: tries, waits: retryWait(tries, undefined) });
    }
    await tend();
    expect([(await rowsNow()).length, stage.made.size]).toEqual([0, 1]);
  });

  it.each([0, 11])('stops with what is not the trouble of Graph, after %i failures', async (endTries) => {
    await stage.change({ endTries });
    stage.faults.set('remove', new Error('storage is away'));
    await expect(tend()).rejects.toThrow('storage is away');
    expect(await rowsNow()).toHaveLength(1);
  });

  it('ends where its account is gone', async () => {
    await tendSubscriptions({ ...stage.context(new Process()), account: async () => undefined }, 'corpus', { signal });
    expect([stage.made.size, (await rowsNow()).length]).toEqual([0, 0]);
  });

  it('ends with its account, which is being deleted', async () => {
    await endSubscriptions(stage.context(new Process()), 'corpus', { signal });
    expect([stage.made.size, (await rowsNow()).length]).toEqual([0, 0]);
    stage.asked.length = 0;
    await endSubscriptions(stage.context(new Process()), 'corpus', { signal });
    expect(stage.asked).toEqual([]);
  });
});

describe('a subscription whose account signs in otherwise', () => {
  it.each([
    ['as the same app: one may be there, so the old one gets two tries to end', { userId: 'info@example.com' }, 2],
    [
      'as another app: both may be there, so one try is enough',
      { credential: { ...appCredential, clientId: '99999999-7777-8888-9999-aaaaaaaaaaaa' } },
      1,
    ],
  ])('%s', async (_, other: Partial<GraphMailbox>, tries) => {
    await tend();
    const before = await row();
    // It would be renewed now.
    stage.now += renewEveryMs;
    stage.account = accountWith(true, ['inbox'], other);
    stage.faults.set('remove', new StoreError('connection', 'gone'));
    for (let n = 1; n < tries; n += 1) {
      expect(await asked()).toEqual(['open', 'remove']);
      expect((await row()).generation).toBe(before.generation);
    }
    await tend();
    expect((await row()).fingerprint).not.toBe(before.fingerprint);
  });

  const identity = (clientId?: string): Partial<GraphMailbox> => ({
    credential: { type: 'managedIdentity', ...(clientId && { clientId }) },
  });
  const [one, another] = ['11111111-7777-8888-9999-aaaaaaaaaaaa', '22222222-7777-8888-9999-aaaaaaaaaaaa'];
  it.each<[string, Partial<GraphMailbox>, Partial<GraphMailbox>]>([
    ['in another mailbox', {}, { userId: 'info@example.com' }],
    ['in another cloud', {}, { cloud: 'usgov' }],
    ['in another tenant', {}, { credential: { ...appCredential, tenantId: 'fabrikam.onmicrosoft.com' } }],
    ['as another app', {}, { credential: { ...appCredential, clientId: one } }],
    ['as the identity of the service', {}, identity()],
    ['as an identity of its own', identity(), identity(one)],
    ['as another identity', identity(one), identity(another)],
  ])('%s: it is ended and made anew in one go', async (_, before, now) => {
    stage.account = accountWith(true, ['inbox'], before);
    await tend();
    const [old] = stage.made.keys();
    stage.account = accountWith(true, ['inbox'], now);
    expect(await asked()).toEqual(['open', 'remove', 'open', 'create']);
    expect([...stage.made.keys()]).toEqual([expect.not.stringMatching(`^${old}$`)]);
    expect(await row()).toMatchObject({ state: 'active', tries: 0, mailbox: now });
    // And what is signed in to now is renewed.
    stage.now += renewEveryMs;
    expect(await asked()).toEqual(['open', 'renew']);
  });

  it('stays where only the secret is another one, or letters are of another case', async () => {
    await tend();
    const before = await row();
    stage.account = accountWith(true, ['inbox'], {
      userId: 'Corpus@Example.com',
      credential: { ...appCredential, secret: 'corpus-graph-2' },
    });
    stage.now += renewEveryMs;
    expect(await asked()).toEqual(['open', 'renew']);
    expect(await row()).toMatchObject({ id: before.id, fingerprint: before.fingerprint });
    // And it is ended with the credential of now.
    expect((await row()).mailbox.credential).toMatchObject({ secret: 'corpus-graph-2' });
  });
});

describe('a look that the queue asks for', () => {
  it('is made, and is left to another process by one that is ending', async () => {
    const push = stage.context(new Process());
    await tendFromQueue(push, 'corpus');
    expect(stage.made.size).toBe(1);
    const ending = stage.context(new Process());
    await ending.shutdown.announce(0);
    stage.asked.length = 0;
    await tendFromQueue(ending, 'corpus');
    expect([stage.asked, stage.looks]).toEqual([[], ['corpus']]);
  });

  it('is given up after three minutes', async () => {
    const ends = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new Error('the time is over')));
    await expect(tendFromQueue(stage.context(new Process()), 'corpus')).rejects.toThrow('the time is over');
    expect([ends.mock.calls, stage.asked]).toEqual([[[3 * minuteMs]], []]);
  });
});

describe('a second subscription that is to end', () => {
  beforeEach(async () => {
    await tend();
    await stage.change({ stray: 'second', workAt: stage.now });
  });

  it('ends before the one that is known is renewed', async () => {
    expect(await asked()).toEqual(['open', 'remove', 'renew']);
    expect(await row()).toMatchObject({ stray: undefined, workAt: stage.now + renewEveryMs });
  });

  it('is not the one that is known', async () => {
    const { id } = await row();
    await stage.change({ stray: id });
    expect(await asked()).toEqual(['open', 'renew']);
    expect([[...stage.made.keys()], (await row()).stray]).toEqual([[id], undefined]);
  });

  it('is left to whoever changed the row meanwhile', async () => {
    stage.rows.onWrite = () => Promise.reject(new RowConflict('changed'));
    expect(await asked()).toEqual(['open', 'remove']);
  });
});
