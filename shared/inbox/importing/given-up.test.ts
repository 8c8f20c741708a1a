import { describe, expect, it } from 'vitest';
import { TestInbox } from '../inbox.test-support.ts';
import { runKey } from '../keys.ts';
import { announceRun, getRun, listRuns, writeRun } from '../ledger/runs.ts';
import { handleGivenUpEntry } from '../queue-entry.ts';

const options = { signal: new AbortController().signal };
const failed = { status: 'failed', error: expect.stringContaining('five times') };

/** As the poison queue hands it over, once more or for the first time. */
const givenUp = (inbox: TestInbox, entry: unknown, id = 'message') =>
  handleGivenUpEntry(inbox.context, { id, at: inbox.now - 5_000, entry }, options);

const runs = (inbox: TestInbox) => listRuns(inbox.context, inbox.name, { ...options, top: 10 });

describe('an import that the queue gave up', () => {
  it('is the failed run that a caller was promised', async () => {
    const inbox = new TestInbox();
    const { id } = await announceRun(inbox.context, inbox.name);
    const entry = { account: inbox.name, runId: id };
    const about = { account: inbox.name, run: id };
    expect(await givenUp(inbox, entry)).toEqual({ result: 'failed', ...about });
    expect(await runs(inbox)).toMatchObject([{ id, ...failed, finishedAt: inbox.now }]);
    expect(await givenUp(inbox, entry)).toEqual({ result: 'left', ...about });
  });

  it('is a failed run of its own where nobody was promised one, however often it is handled', async () => {
    const inbox = new TestInbox();
    const first = await givenUp(inbox, { account: inbox.name });
    expect(first).toMatchObject({ result: 'failed', account: inbox.name });
    expect(await givenUp(inbox, { account: inbox.name })).toEqual({ ...first, result: 'left' });
    expect(await runs(inbox)).toMatchObject([{ id: first.run, ...failed, startedAt: inbox.now - 5_000 }]);
    await givenUp(inbox, { account: inbox.name }, 'another');
    expect(await runs(inbox)).toHaveLength(2);
  });

  it.each([
    ['has begun', { begun: true }],
    ['has ended', { begun: true, status: 'done', finishedAt: 0 } as const],
  ])('is left alone where the promised run %s', async (_, change) => {
    const inbox = new TestInbox();
    const run = { ...(await announceRun(inbox.context, inbox.name)), ...change };
    await writeRun(inbox.context, inbox.name, run);
    expect((await givenUp(inbox, { account: inbox.name, runId: run.id })).result).toBe('left');
    expect(await runs(inbox)).toMatchObject([{ ...run }]);
  });

  it('is left where the promised run is not known any more', async () => {
    const inbox = new TestInbox();
    const { id } = await announceRun(inbox.context, inbox.name);
    await inbox.rows.write(inbox.name, [{ kind: 'delete', key: runKey(id) }]);
    const about = { account: inbox.name, run: id };
    expect(await givenUp(inbox, { account: inbox.name, runId: id })).toEqual({ result: 'left', ...about });
  });

  it.each([
    ['begins', { begun: true }],
    ['is ended by another', { status: 'failed', finishedAt: 0 } as const],
    ['is removed', undefined],
  ])('is left alone where the promised run %s at this moment', async (_, change) => {
    const inbox = new TestInbox();
    const run = await announceRun(inbox.context, inbox.name);
    const after = change && { ...run, ...change };
    const get = inbox.rows.get.bind(inbox.rows);
    inbox.rows.get = async (...asked) => {
      const row = await get(...asked);
      inbox.rows.get = get;
      if (after) await writeRun(inbox.context, inbox.name, after);
      else await inbox.rows.write(inbox.name, [{ kind: 'delete', key: runKey(run.id) }]);
      return row;
    };
    expect((await givenUp(inbox, { account: inbox.name, runId: run.id })).result).toBe('left');
    expect(await getRun(inbox.context, inbox.name, run.id, options)).toEqual(after);
  });

  it('is not done with while storage is away', async () => {
    const inbox = new TestInbox();
    inbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(givenUp(inbox, { account: inbox.name })).rejects.toThrow('storage is away');
  });

  it.each([[{ account: '../corpus' }], [{ runId: 'x' }], ['corpus'], [undefined]])(
    '%j names no account',
    async (entry) => {
      const inbox = new TestInbox();
      expect(await givenUp(inbox, entry)).toEqual({ result: 'unknown' });
      expect(await runs(inbox)).toEqual([]);
    },
  );
});
