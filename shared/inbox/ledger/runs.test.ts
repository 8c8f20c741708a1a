import { describe, expect, it } from 'vitest';
import { newestFirstId } from '../../platform/ids.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { runKey } from '../keys.ts';
import { noCounts } from '../run-counts.ts';
import { announceRun, anotherWaits, failDeadRuns, getRun, listRuns, type Run, runView, writeRun } from './runs.ts';

const options = { signal: new AbortController().signal };
const minute = 60_000;

async function put(inbox: TestInbox, minutesAgo: number, fields: Partial<Run> = {}): Promise<string> {
  const startedAt = inbox.now - minutesAgo * minute;
  const run: Run = { id: newestFirstId(startedAt), status: 'done', startedAt, begun: true, ...noCounts(), ...fields };
  await writeRun(inbox.context, inbox.name, run);
  return run.id;
}

describe('a run', () => {
  it('is known before it begins, by its id alone', async () => {
    const inbox = new TestInbox();
    const run = await announceRun(inbox.context, inbox.name);
    expect(run).toEqual({ id: run.id, status: 'running', startedAt: inbox.now, begun: false, ...noCounts() });
    expect(await getRun(inbox.context, inbox.name, run.id, options)).toEqual(run);
    expect(await getRun(inbox.context, inbox.name, newestFirstId(inbox.now), options)).toBeUndefined();
  });

  it.each(['', 'x', '../../../../../../x', 'a'.repeat(15), 'a'.repeat(41), `${'a'.repeat(20)}!`, `!${'a'.repeat(20)}`])(
    'is none with the id %j',
    async (id) => {
      const inbox = new TestInbox();
      await inbox.rows.write(inbox.name, [{ kind: 'put', key: runKey(id), columns: {} }]);
      expect(await getRun(inbox.context, inbox.name, id, options)).toBeUndefined();
    },
  );

  it('is shown with its end and its error, where it has them', () => {
    const run: Run = { id: 'i', status: 'running', startedAt: 0, begun: true, ...noCounts(), imported: 3, backlog: 2 };
    const view = { id: 'i', status: 'running', startedAt: '1970-01-01T00:00:00.000Z', ...noCounts(), imported: 3 };
    expect(runView(run)).toEqual({ ...view, finishedAt: null });
    expect(runView({ ...run, finishedAt: 1, error: 'why' })).toEqual({
      ...view,
      finishedAt: '1970-01-01T00:00:00.001Z',
      error: 'why',
    });
  });

  it('is listed after those that are newer', async () => {
    const inbox = new TestInbox();
    const ids = [await put(inbox, 1), await put(inbox, 2), await put(inbox, 3)];
    const list = async (more: { top: number; after?: string }) =>
      (await listRuns(inbox.context, inbox.name, { ...options, ...more })).map(({ id }) => ids.indexOf(id));
    expect(await list({ top: 9 })).toEqual([0, 1, 2]);
    expect(await list({ top: 2 })).toEqual([0, 1]);
    expect(await list({ top: 9, after: ids[0] ?? '' })).toEqual([1, 2]);
  });
});

describe('runs whose process ended without a word', () => {
  it.each<[string, number, Partial<Run>, { alive?: true; graceMs?: number }, string | undefined]>([
    ['one that was begun', 0, {}, {}, 'The process ended during the run'],
    ['one that holds the lease', 9, {}, { alive: true }, undefined],
    ['one that may be about to take it', 1, {}, { graceMs: minute + 1 }, undefined],
    ['one that was to take it by now', 1, {}, { graceMs: minute }, 'The process ended during the run'],
    ['one that waits on the queue', 4.9, { begun: false }, {}, undefined],
    ['one that waited too long', 5, { begun: false }, {}, 'The run was never begun'],
    ['one that has ended', 9, { status: 'done' }, {}, undefined],
  ])('%s', async (_, minutesAgo, fields, { alive, graceMs }, error) => {
    const inbox = new TestInbox();
    const id = await put(inbox, minutesAgo, { status: 'running', ...fields });
    const grace = graceMs === undefined ? {} : { graceMs };
    await failDeadRuns(inbox.context, inbox.name, alive ? id : undefined, { ...options, ...grace });
    const after = await getRun(inbox.context, inbox.name, id, options);
    if (error === undefined) expect(after).toMatchObject({ status: fields.status ?? 'running' });
    else expect(after).toMatchObject({ status: 'failed', error, finishedAt: inbox.now });
    expect(after?.error).toBe(error);
  });

  it('are left to whoever writes them at this moment; the last that knew what it left is told', async () => {
    const inbox = new TestInbox();
    const alive = await put(inbox, 0, { status: 'running', backlog: 1 });
    await put(inbox, 1, { status: 'running' });
    const known = await put(inbox, 2, { backlog: 7 });
    await put(inbox, 3, { backlog: 8 });
    inbox.rows.onWrite = async (partition, [first]) => {
      inbox.rows.onWrite = () => undefined;
      if (first) await inbox.rows.write(partition, [{ kind: 'merge', key: first.key, columns: { status: 'done' } }]);
    };
    const last = await failDeadRuns(inbox.context, inbox.name, alive, options);
    expect(last).toMatchObject({ id: known, backlog: 7 });
    const statuses = (await listRuns(inbox.context, inbox.name, { ...options, top: 9 })).map(({ status }) => status);
    expect(statuses).toEqual(['running', 'done', 'done', 'done']);
    inbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await put(new TestInbox(), 0);
    await expect(failDeadRuns(inbox.context, inbox.name, undefined, options)).rejects.toThrow('storage is away');
  });
});

it.each<[string, Partial<Run>, number, boolean]>([
  ['one that is begun', { status: 'running' }, 1, false],
  ['one that waits', { status: 'running', begun: false }, 1, true],
  ['one that waited too long', { status: 'running', begun: false }, 5, false],
  ['one that has ended', { begun: false }, 1, false],
])('another run waits: %s', async (_, fields, minutesAgo, waits) => {
  const inbox = new TestInbox();
  const current = await put(inbox, 0, { status: 'running', begun: false });
  expect(await anotherWaits(inbox.context, inbox.name, current, options)).toBe(false);
  await put(inbox, minutesAgo, fields);
  expect(await anotherWaits(inbox.context, inbox.name, current, options)).toBe(waits);
});
