import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hearNotifications } from './hear.ts';
import { Process, PushStage, signal } from './push.test-support.ts';
import { tendSubscriptions } from './tend.ts';
import { lookMs } from './timing.ts';

let stage: PushStage;
/** Of the subscription that there is. */
let own: { subscriptionId: string; clientState: string };
let warned: unknown[];

beforeEach(async () => {
  warned = [];
  for (const level of ['info', 'warn'] as const) {
    vi.spyOn(console, level).mockImplementation((line: unknown) => void (level === 'warn' && warned.push(line)));
  }
  stage = new PushStage({ refusesSecond: true });
  await tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
  const [made] = stage.made.values();
  own = { subscriptionId: made?.id ?? '', clientState: made?.clientState ?? '' };
  // Imported since, and some time ago.
  stage.imports.length = 0;
  stage.now += 60_000;
});
afterEach(() => vi.restoreAllMocks());

const hear = (...value: readonly unknown[]) => hearNotifications(stage.context(new Process()), { value }, { signal });

const row = () => stage.row();

describe('a mail that Graph tells of', () => {
  it('asks for one import, however many notifications of it a post has', async () => {
    await hear(...Array.from({ length: 50 }, () => own));
    expect(stage.imports).toEqual([stage.now]);
    expect(stage.looks).toEqual([]);
  });

  it('reads nothing while an import is queued that begins later', async () => {
    const push = stage.context(new Process());
    const both = () => hearNotifications(push, { value: [own] }, { signal });
    await both();
    await both();
    expect(stage.imports).toHaveLength(2);
    const before = stage.rows.requests;
    await both();
    expect([stage.imports.length, stage.rows.requests - before]).toEqual([2, 0]);
  });

  it('is heard whatever case its id is written in', async () => {
    await hear({ ...own, subscriptionId: own.subscriptionId.toUpperCase() });
    expect(stage.imports).toHaveLength(1);
    expect(stage.looks).toEqual([]);
  });

  it('is not heard of a subscription that another has taken the place of', async () => {
    await stage.change({ generation: 'f'.repeat(16) });
    await hear(own);
    expect(stage.imports).toEqual([]);
    expect(warned).toEqual([]);
  });

  it('is not heard of a subscription whose row is gone', async () => {
    await stage.rows.write('push', [{ kind: 'delete', key: (await row()).key }]);
    await hear(own);
    expect(stage.imports).toEqual([]);
  });

  it('is among the first thousand of a post, or is found by the schedule', async () => {
    const noise = Array.from({ length: 999 }, (_, n) => ({ subscriptionId: `${n}`, clientState: 'x' }));
    await hear(...noise, {}, own);
    expect(stage.imports).toEqual([]);
    await hear(...noise, own);
    expect(stage.imports).toHaveLength(1);
  });
});

describe('a mail that Graph tells of before its subscription is known to be there', () => {
  it('is imported', async () => {
    await stage.change({ state: 'creating', id: undefined });
    await hear(own);
    expect([stage.imports.length, stage.looks]).toEqual([1, []]);
  });
});

describe('what is not of Graph', () => {
  it.each([
    ['no body', undefined],
    ['a text', 'value'],
    ['a list', []],
    ['a value that is no list', { value: {} }],
    ['items that are none', { value: [null, 1, 'x'] }],
    ['items without their fields', { value: [{}, { subscriptionId: 1, clientState: 2 }, { clientState: 'x' }] }],
    ['fields without end', { value: [{ subscriptionId: 'x'.repeat(101), clientState: 'x'.repeat(129) }] }],
  ])('%s is passed over', async (_, body) => {
    await hearNotifications(stage.context(new Process()), body, { signal });
    expect([stage.imports, stage.looks]).toEqual([[], []]);
  });

  it('a code that does not fit is refused and counted, and the others are heard', async () => {
    const forged = {
      ...own,
      clientState: `${own.clientState.slice(0, -1)}${own.clientState.endsWith('A') ? 'B' : 'A'}`,
    };
    await hear(forged, { ...forged, lifecycleEvent: 'missed' }, { ...own, clientState: 'none' }, own);
    expect(stage.imports).toHaveLength(1);
    expect(warned.map(String).join()).toMatch(/push\.refused.*"?notifications"?: ?3/);
  });
});

describe('what Graph tells of the subscription itself', () => {
  it.each(['subscriptionRemoved', 'reauthorizationRequired'])(
    '%s asks for a look, and for no import',
    async (event) => {
      await hear({ ...own, lifecycleEvent: event });
      expect([stage.imports, stage.looks]).toEqual([[], ['corpus']]);
      expect(await row()).toMatchObject({ workAt: stage.now, dueAt: stage.now + lookMs, waitMs: lookMs });
      // Once more changes nothing: a look is queued.
      await hear({ ...own, lifecycleEvent: event });
      expect(stage.looks).toEqual(['corpus']);
    },
  );

  it('asks for a look though an import is queued', async () => {
    const push = stage.context(new Process());
    for (const each of [own, own, { ...own, lifecycleEvent: 'subscriptionRemoved' }]) {
      await hearNotifications(push, { value: [each] }, { signal });
    }
    expect([stage.imports.length, stage.looks]).toEqual([2, ['corpus']]);
  });

  it('asks for an import and for a look, where one post tells of both', async () => {
    const events = ['subscriptionRemoved', 'missed', undefined];
    await hear(...events.map((lifecycleEvent) => ({ ...own, lifecycleEvent })));
    expect([stage.imports.length, stage.looks]).toEqual([2, ['corpus']]);
  });

  it('forgets no second one that is to end', async () => {
    await stage.change({ stray: 'second' });
    await hear({ ...own, lifecycleEvent: 'reauthorizationRequired' });
    expect([stage.looks, (await row()).stray]).toEqual([['corpus'], 'second']);
  });

  it('missed notifications ask for an import', async () => {
    await hear({ ...own, lifecycleEvent: 'missed' });
    expect([stage.imports.length, stage.looks]).toEqual([1, []]);
  });

  it('is not heard of a second one, nor while one is being made', async () => {
    await hear({ subscriptionId: 'another', clientState: own.clientState, lifecycleEvent: 'subscriptionRemoved' });
    await stage.change({ state: 'creating' });
    await hear({ ...own, lifecycleEvent: 'subscriptionRemoved' });
    expect([stage.imports, stage.looks]).toEqual([[], []]);
  });
});

describe('a second subscription, which an answer that was lost has left', () => {
  const second = () => ({ ...own, subscriptionId: 'second' });

  it('is noted to be ended, and its mail is imported', async () => {
    await hear(second());
    expect([stage.imports.length, stage.looks]).toEqual([1, ['corpus']]);
    expect(await row()).toMatchObject({ stray: 'second', workAt: stage.now });
    for (const made of [...stage.made.values()]) stage.made.set('second', { ...made, id: 'second' });
    await tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
    expect([[...stage.made.keys()], (await row()).stray]).toEqual([[own.subscriptionId], undefined]);
  });

  it('is noted though a look is due already', async () => {
    await stage.change({ workAt: stage.now });
    await hear(second());
    expect([(await row()).stray, stage.looks]).toEqual(['second', ['corpus']]);
  });

  it('a third waits until the second has ended', async () => {
    await hear(second());
    stage.now += 5_000;
    await hear({ ...own, subscriptionId: 'third' });
    expect([stage.imports.length, stage.looks]).toEqual([2, ['corpus']]);
    expect((await row()).stray).toBe('second');
  });

  it('is asked for once: the one that is known is not ended as a second one', async () => {
    await hear(own);
    expect((await row()).stray).toBeUndefined();
  });
});
