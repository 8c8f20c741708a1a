import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { type Acquired, isAcquired } from '../platform/acquired.ts';
import { workers } from './delivering/worker-quota.ts';
import { type WorkerTask, withWorker } from './with-worker.ts';

const localId = '0123456789abcdef01234';
const id = `${accountName}.${localId}`;

let outbox: MemoryOutbox;
/** What was done, in order. */
let done: unknown[];

beforeEach(() => {
  vi.useFakeTimers();
  outbox = new MemoryOutbox();
  done = [];
});
afterEach(() => void vi.useRealTimers());

const task: WorkerTask<string> = {
  run: async () => {
    done.push('run');
    return 'ran';
  },
  requeue: async (parts, paceMs) => {
    done.push({ ...parts, paceMs });
    return 'requeued';
  },
};

/** Does a task, and lets the moment pass for which a message may wait for a worker. */
async function work(run = task.run, of = id): Promise<string> {
  const working = withWorker(outbox.context, of, { ...task, run });
  await Promise.allSettled([working, vi.advanceTimersByTimeAsync(1_500)]);
  return await working;
}

/** The account has its share of the workers. */
async function takeShare(): Promise<readonly Acquired[]> {
  const taken = await Promise.all(Array.from({ length: workers / 2 }, () => outbox.workers.acquire(accountName)));
  return taken.filter(isAcquired);
}

describe('a message', () => {
  it('is requeued, and nothing is run, while its account has its share of the workers', async () => {
    const taken = await takeShare();
    expect(await work()).toBe('requeued');
    expect(done).toEqual([{ account: accountName, localId, paceMs: expect.any(Number) }]);
    taken[0]?.release();
    expect(await work()).toBe('ran');
  });

  it.each([
    ['ends', task.run],
    ['fails', async () => await Promise.reject(new Error('a bug'))],
  ])('gives its worker back when its task %s', async (_, run) => {
    for (let count = 0; count < workers / 2; count += 1) await work(run).catch(() => undefined);
    expect(await work()).toBe('ran');
  });

  it('has its worker for as long as its task runs', async () => {
    const answer = Promise.withResolvers<string>();
    const running = Array.from({ length: workers / 2 }, () => work(() => answer.promise));
    expect(await work()).toBe('requeued');
    answer.resolve('ran late');
    expect(new Set(await Promise.all(running))).toEqual(new Set(['ran late']));
  });

  it('waits for no worker where the process is to end: its task hands it to another one', async () => {
    await takeShare();
    await outbox.shutdown.announce(0);
    expect(await work()).toBe('ran');
    expect(done).toEqual(['run']);
  });

  it('of no account needs no worker: its task says that there is none', async () => {
    expect(await work(task.run, 'no id')).toBe('ran');
  });
});
