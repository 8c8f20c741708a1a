import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nameText } from './client-state.ts';
import { folderKey } from './keys.ts';
import { Process, PushStage, signal } from './push.test-support.ts';
import { PushSchedule } from './schedule.ts';
import { insertRow, readSubscriptions } from './subscription-rows.ts';
import { tendSubscriptions } from './tend.ts';
import { attemptMs, renewEveryMs } from './timing.ts';

let stage: PushStage;
let logged: string[];

beforeEach(() => {
  logged = [];
  vi.spyOn(console, 'info').mockImplementation((line: unknown) => void logged.push(String(line)));
  vi.spyOn(console, 'warn').mockReturnValue(undefined);
  stage = new PushStage({ refusesSecond: true });
});
afterEach(() => vi.restoreAllMocks());

const tend = () => tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
const subscribed = () => logged.filter((line) => line.includes('"push.subscribed"'));

/** Has one made by a process; others do something before it has written down that there is one. */
const makeWhile = (meanwhile: (id: string) => Promise<unknown>) =>
  tendSubscriptions(
    {
      ...stage.context(new Process()),
      enqueueImport: async () => {
        const [id = ''] = stage.made.keys();
        await meanwhile(id);
      },
    },
    'corpus',
    { signal },
  );

describe('a subscription that is being made', () => {
  it('is in the log once it is there', async () => {
    await tend();
    expect(subscribed()).toEqual([expect.stringContaining('"account":"corpus"')]);
    stage.now += renewEveryMs;
    await tend();
    expect(subscribed()).toHaveLength(1);
  });

  it('is left for three minutes to the process that is at it', async () => {
    const died = Promise.withResolvers<void>();
    void makeWhile(() => {
      died.resolve();
      return new Promise(() => undefined);
    });
    await died.promise;
    stage.asked.length = 0;
    const schedule = new PushSchedule(stage.context(new Process()));
    await stage.minutes(attemptMs / 60_000 - 1, schedule);
    expect(stage.asked).toEqual([]);
    await stage.minutes(1, schedule);
    expect(stage.asked).toEqual(['open', 'list']);
    expect(await stage.row()).toMatchObject({ state: 'active', id: [...stage.made.keys()][0] });
  });
});

describe('a process that stood still after it had a subscription made', () => {
  it('takes it back where another process has made another one', async () => {
    await makeWhile(async (id) => {
      const made = stage.made.get(id);
      if (made) stage.made.set('another', { ...made, id: 'another' });
      await stage.change({ state: 'active', id: 'another', attemptAt: undefined });
    });
    expect([...stage.made.keys()]).toEqual(['another']);
    expect(await stage.row()).toMatchObject({ id: 'another' });
    expect(subscribed()).toEqual([]);
  });

  it('takes it back where none is wanted any more', async () => {
    await makeWhile(async () => stage.rows.write('push', [{ kind: 'delete', key: (await stage.row()).key }]));
    expect(stage.made.size).toBe(0);
  });

  it('leaves it where another process has found it', async () => {
    await makeWhile((id) => stage.change({ state: 'active', id, attemptAt: undefined }));
    expect([...stage.made.keys()]).toEqual([(await stage.row()).id]);
  });

  it('leaves it to be found where nobody has gone on with it yet', async () => {
    await makeWhile(() => stage.change({ dueAt: stage.now + 1 }));
    const [id] = stage.made.keys();
    stage.now += attemptMs;
    await tend();
    expect([[...stage.made.keys()], (await stage.row()).id]).toEqual([[id], id]);
  });
});

describe('where Graph has one already, and allows no second', () => {
  const resource = "users/corpus@example.com/mailFolders('inbox')/messages";
  const elsewhere = "users/info@example.com/mailFolders('inbox')/messages";
  const ours = { account: 'corpus', folder: folderKey('inbox'), generation: '0'.repeat(16) };

  function graphHas(id: string, name: typeof ours, of: string): void {
    const notificationUrl = `https://mail.example.com/api/graph/notifications?subscription=${nameText(name)}`;
    stage.made.set(id, { id, notificationUrl, resource: of, expiresAt: stage.now + renewEveryMs, clientState: '' });
  }

  it('it is taken where it was made for this very wish, and the answer was lost', async () => {
    await tend();
    const { id } = await stage.row();
    await stage.change({ state: 'creating', id: undefined, workAt: stage.now });
    stage.asked.length = 0;
    await tend();
    expect(stage.asked).toEqual(['open', 'create', 'list']);
    expect(await stage.row()).toMatchObject({ state: 'active', id, tries: 0 });
  });

  it.each([
    ['an earlier one of the same folder', ours, resource],
    ['an earlier one of a folder that is another one by now', ours, elsewhere],
    ['one of an account that is gone', { ...ours, account: 'gone' }, resource],
    ['one of an account that is gone, written otherwise', { ...ours, account: 'gone' }, `/${resource.toUpperCase()}`],
  ])('%s is ended, and another one is made', async (_, name, of) => {
    graphHas('old', name, of);
    await tend();
    expect([...stage.made.keys()]).toEqual([(await stage.row()).id]);
    expect(await stage.row()).toMatchObject({ state: 'active', tries: 0 });
  });

  it('that of another account stays, and the account is told', async () => {
    await tend();
    const { key: _, etag: __, ...own } = await stage.row();
    await insertRow({ rows: stage.rows }, { ...own, key: `s:other:${ours.folder}`, generation: ours.generation });
    await stage.rows.write('push', [{ kind: 'delete', key: (await stage.row()).key }]);
    stage.made.clear();
    graphHas('other', { ...ours, account: 'other' }, resource);
    await tend();
    expect([...stage.made.keys()]).toEqual(['other']);
    expect(await readSubscriptions({ rows: stage.rows }, 'corpus', { signal })).toMatchObject([
      { state: 'creating', tries: 1, code: 'SUBSCRIPTION_EXISTS', hint: expect.stringContaining('another account') },
    ]);
  });

  it('that of another folder stays, though nobody knows it any more', async () => {
    graphHas('other', { ...ours, account: 'gone' }, elsewhere);
    await tend();
    expect([...stage.made.keys()]).toEqual(['other']);
  });
});
