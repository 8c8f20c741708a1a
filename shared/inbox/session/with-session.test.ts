import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { LeaseLost } from '../../platform/row-lease.ts';
import type { InboxContext } from '../context.ts';
import { changeSession, TestInbox } from '../inbox.test-support.ts';
import { Superseded } from './fence.ts';
import type { ImportContext } from './import-context.ts';
import { takenBy } from './lease.test-support.ts';
import { leaseHolder } from './lease.ts';
import { leaseMs } from './turn-row.ts';
import { type Notes, type SessionOptions, withSession } from './with-session.ts';

const another = { runId: 'another', purpose: 'sweep' };
const leased = { kind: 'leased', holder: another };
const signal = new AbortController().signal;
let inbox: TestInbox;

beforeEach(() => {
  inbox = new TestInbox({}, ['INBOX', 'Other']);
  vi.spyOn(console, 'warn').mockReturnValue(undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A session of the account; `given`: what is otherwise. */
async function session<T>(
  task: (context: ImportContext, notes: () => Notes) => Promise<T>,
  given: Partial<SessionOptions<T>> = {},
  context: Partial<InboxContext> = {},
) {
  const options = { runId: 'one', purpose: 'import' as const, budgetMs: 60_000, signal, ...given };
  return await withSession({ ...inbox.context, ...context }, inbox.name, options, task);
}

/** Sessions that are opened from now on are closed like this. */
function closesBy(close: () => Promise<void>): void {
  changeSession(inbox, () => ({ close }));
}

describe('an account', () => {
  it('that somebody works on is not even connected to', async () => {
    await takenBy(inbox, another);
    const open = vi.spyOn(inbox.store, 'open');
    expect(await session(async () => undefined)).toEqual(leased);
    expect(open).not.toHaveBeenCalled();
  });

  it('that somebody takes at the same moment is theirs', async () => {
    const account = async () => {
      await takenBy(inbox, another);
      return inbox.account;
    };
    expect(await session(async () => undefined, {}, { account })).toEqual(leased);
    expect(inbox.store.sessions).toBe(0);
    expect(await leaseHolder(inbox.context, inbox.name)).toEqual(another);
  });

  it.each<[string, Partial<InboxContext>]>([
    ['is gone', { account: async () => undefined }],
    ['has no store', { store: async () => undefined }],
  ])('that %s is not worked on', async (_, context) => {
    expect(await session(async () => undefined, {}, context)).toEqual({ kind: 'inactive' });
  });

  it.each([
    { asked: {}, folders: ['INBOX', 'Other'] },
    { asked: { folder: 'Other' }, folders: ['Other'] },
  ])('of which $asked is asked for is worked on in $folders, and others see that', async ({ asked, folders }) => {
    const seen = await session(async (context) => {
      expect(await leaseHolder(inbox.context, inbox.name)).toEqual({ runId: 'one', purpose: 'import', ...asked });
      return context.folders;
    }, asked);
    expect(seen).toEqual({ kind: 'done', result: folders });
  });
});

describe('a session', () => {
  it('is cut when its caller goes away', async () => {
    const caller = new AbortController();
    const gone = new Error('the caller is gone');
    const task = async (context: ImportContext) => {
      caller.abort(gone);
      return context.signal.reason;
    };
    expect(await session(task, { signal: caller.signal })).toEqual({ kind: 'done', result: gone });
  });

  it('is cut when somebody else has taken the account', async () => {
    const result = await session(async (context) => {
      // It stood still for longer than its lease.
      inbox.now += leaseMs + 1_000;
      await takenBy(inbox, another);
      await expect(context.fence.write([])).rejects.toBeInstanceOf(Superseded);
      return context.signal.reason;
    });
    expect(result).toEqual({ kind: 'done', result: expect.any(LeaseLost) });
  });

  it('hears of the end of the process as long as it lasts', async () => {
    const { stopping } = inbox.context.shutdown;
    const ears = () => getEventListeners(stopping, 'abort').length;
    expect(await session(async () => ears())).toEqual({ kind: 'done', result: 1 });
    expect(ears()).toBe(0);
  });

  it('that cannot sign in fails with that alone, also where what was begun meanwhile fails', async () => {
    const unhandled: unknown[] = [];
    const hear = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', hear);
    try {
      inbox.store.open = async () => {
        throw new StoreError('signIn', 'wrong password');
      };
      const begin = async () => {
        throw new Error('storage is away');
      };
      await expect(session(async () => undefined, { begin })).rejects.toThrow('wrong password');
      // Node tells of a rejection when all that goes on at once is done.
      await setImmediate();
    } finally {
      process.off('unhandledRejection', hear);
    }
    expect(unhandled.filter((reason) => String(reason).includes('storage is away'))).toEqual([]);
  });

  it('tells all that went wrong in it, each thing once, and the first trouble of the account', async () => {
    const result = await session(async ({ note }, notes) => {
      const before = notes();
      note('no folder A');
      note('no folder B', { code: 'B' });
      note('no folder A');
      note('no folder C', { code: 'C' });
      return [before, notes()];
    });
    const told = { error: 'no folder A; no folder B; no folder C', trouble: { code: 'B' } };
    expect(result).toEqual({ kind: 'done', result: [{}, told] });
  });

  it('that goes round knows in its first round alone what was found before, and numbers its pages on', async () => {
    let rounds = 0;
    const seen: unknown[] = [];
    const task = async ({ found, nextPage }: ImportContext) => {
      seen.push([found !== undefined, nextPage(), nextPage()]);
    };
    const end = async () => {
      rounds += 1;
      return rounds < 2 ? ('goRound' as const) : undefined;
    };
    await session(task, { end });
    expect(seen).toEqual([
      [true, 1, 2],
      [false, 3, 4],
    ]);
  });
});

describe('the server', () => {
  it.each([
    ['is done', async () => undefined],
    [
      'has failed',
      async () => {
        throw new Error('it failed');
      },
    ],
  ])('is left in good order before another may work on the account, where the task %s', async (_, task) => {
    // However long it takes to close, by the machine's clock.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const order: string[] = [];
    closesBy(async () => {
      await setImmediate();
      order.push('closed');
    });
    const end = async () => {
      order.push('ended');
      return undefined;
    };
    await session(task, { end }).catch(() => undefined);
    expect(order).toEqual(['closed', 'ended']);
  });

  it('that does not let go keeps nobody from the account', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const leaving = Promise.withResolvers<void>();
    closesBy(() => {
      leaving.resolve();
      return new Promise(() => undefined);
    });
    const result = session(async () => 'done');
    await leaving.promise;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await result).toEqual({ kind: 'done', result: 'done' });
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
  });
});
