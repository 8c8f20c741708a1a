import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { accountWith, type Fate, Process, PushStage, signal } from './push.test-support.ts';
import { PushSchedule } from './schedule.ts';
import { readSubscriptions } from './subscription-rows.ts';
import { tendSubscriptions } from './tend.ts';

/** What a process is at when its fate comes. */
const works = {
  'makes a subscription': async () => undefined,
  'renews one': async (stage: PushStage) => {
    await tended(stage, new Process());
    stage.now += 46 * minuteMs;
  },
  'makes one again that is gone': async (stage: PushStage) => {
    await tended(stage, new Process());
    stage.made.clear();
    stage.now += 46 * minuteMs;
  },
  'ends one': async (stage: PushStage) => {
    await tended(stage, new Process());
    stage.account = accountWith(false);
  },
} as const;
type Work = keyof typeof works;

const minuteMs = 60_000;

// Every failure is logged, some hundred of them.
beforeAll(() => {
  for (const level of ['info', 'warn', 'error'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
});
afterAll(() => vi.restoreAllMocks());

const fates: readonly Fate[] = ['fails', 'dies', 'stops'];

const tended = (stage: PushStage, process: Process) => tendSubscriptions(stage.context(process), 'corpus', { signal });

async function staged(work: Work, refusesSecond: boolean): Promise<PushStage> {
  const stage = new PushStage({ refusesSecond });
  await works[work](stage);
  return stage;
}

/** One subscription, known as such; none where none is wanted. */
async function expectRight(stage: PushStage, when: string): Promise<void> {
  const rows = await readSubscriptions({ rows: stage.rows }, 'corpus', { signal });
  const wanted = stage.account.store && 'push' in stage.account.store && stage.account.store.push;
  expect(
    { graph: [...stage.made.keys()], rows: rows.map(({ id, state, tries }) => ({ id, state, tries })) },
    when,
  ).toEqual(
    wanted
      ? { graph: [expect.any(String)], rows: [{ id: [...stage.made.keys()][0], state: 'active', tries: 0 }] }
      : { graph: [], rows: [] },
  );
  for (const { expiresAt } of stage.made.values()) expect(expiresAt, when).toBeGreaterThan(stage.now + 60 * minuteMs);
}

/** What befalls the process at the nth moment, and what comes of it within the hour. */
async function happens(work: Work, fate: Fate, at: number, refusesSecond: boolean): Promise<void> {
  const when = `${work}: ${fate} at ${at}${refusesSecond ? '' : ', where Graph takes a second one'}`;
  const stage = await staged(work, refusesSecond);
  const process = new Process(at, fate);
  const ended = tended(stage, process).catch((error: unknown) => {
    if (!/away|no answer/.test(String(error))) throw error;
  });
  await Promise.race([ended, process.reached]);
  if (fate === 'fails') await ended;
  const schedule = new PushSchedule(stage.context(new Process()));
  await stage.minutes(15, schedule);
  if (fate === 'stops') {
    process.goOn();
    await ended;
  }
  // A second one that is there all the same gives itself away, and is ended.
  await stage.mailComes();
  await stage.minutes(40, schedule);
  await expectRight(stage, when);
}

const cases = (Object.keys(works) as Work[]).flatMap((work) => fates.map((fate) => [work, fate] as const));

describe.each([true, false])('where Graph refuses a second subscription: %s', (refusesSecond) => {
  it.each(cases)('a process that %s, and %s at any moment, leaves things right within the hour', async (work, fate) => {
    const usual = new Process();
    await tended(await staged(work, refusesSecond), usual);
    expect(usual.moments).toBeGreaterThan(4);
    for (let at = 0; at < usual.moments; at += 1) await happens(work, fate, at, refusesSecond);
  });
});

it('what came while there was no subscription is imported', async () => {
  const stage = await staged('makes one again that is gone', true);
  const before = stage.imports.length;
  await tended(stage, new Process());
  expect(stage.imports.slice(before)).toEqual([stage.now]);
});

it('after a standstill of a week there is another one within minutes, and what came meanwhile is imported', async () => {
  const stage = new PushStage({ refusesSecond: true });
  await tended(stage, new Process());
  const [expired] = stage.made.keys();
  stage.now += 7 * 24 * 60 * minuteMs;
  const before = stage.imports.length;
  await stage.minutes(2, new PushSchedule(stage.context(new Process())));
  expect([...stage.made.keys()]).not.toContain(expired);
  await expectRight(stage, 'after a week');
  expect(stage.imports.length).toBeGreaterThan(before);
});
