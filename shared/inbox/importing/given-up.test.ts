import { describe, expect, it } from 'vitest';
import { TestInbox } from '../inbox.test-support.ts';
import { announceRun, listRuns, writeRun } from '../ledger/runs.ts';
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

  it.each([[{ account: '../corpus' }], [{ runId: 'x' }], ['corpus'], [undefined]])(
    '%j names no account',
    async (entry) => {
      const inbox = new TestInbox();
      expect(await givenUp(inbox, entry)).toEqual({ result: 'unknown' });
      expect(await runs(inbox)).toEqual([]);
    },
  );
});
