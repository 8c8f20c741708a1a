import { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ListedMail } from '../../adapters/store.ts';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { maxAttempts, type PendingState, pendingRow } from '../ledger/pending.ts';
import { RunTime } from './run-time.ts';

/** Mails that could not be imported before, and are tried again: which of them, in which order, and for how long. */

const hourMs = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** An inbox whose mails 1, 2, 3, ... are all pending, each in its state. They are due unless that says otherwise. */
async function waiting(...states: readonly Partial<PendingState>[]) {
  const inbox = new TestInbox();
  inbox.store.mails = states.map((_, at) => fakeMail(at + 1));
  for (const [at, state] of states.entries()) {
    const { item, bytes, receivedAt } = fakeMail(at + 1);
    const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item };
    const mail: ListedMail = { source, folder: 'INBOX', size: bytes.length, receivedAt };
    await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: 1, reason: 'failed', now: 0, ...state })]);
  }
  /** The mails that were asked for, in order. */
  const asked: number[] = [];
  inbox.store.content = ({ item }) => {
    asked.push(Number(item));
    return undefined;
  };
  return { inbox, asked };
}

/** A mail that stands still the first time it is asked for; the answer is fulfilled then. The others come. */
function standsStillOnce({ inbox, asked }: Awaited<ReturnType<typeof waiting>>, number: number): Promise<void> {
  const { content } = inbox.store;
  const { promise, resolve } = Promise.withResolvers<void>();
  inbox.store.content = (mail) => {
    const given = content(mail);
    const again = asked.indexOf(number) < asked.length - 1;
    if (Number(mail.item) !== number || again) return given;
    return { kind: 'stream', stream: new Readable({ read: () => resolve() }) };
  };
  return promise;
}

const pendingStates = async (inbox: TestInbox) => (await inbox.rowsOf(prefixes.pending)).map(({ columns }) => columns);

describe('mails that are tried again', () => {
  it('have their turn by how often they were tried, also where that was no attempt of theirs', async () => {
    const { inbox, asked } = await waiting({ attempts: 1 }, { attempts: 1, troubles: 2 }, { attempts: 2 });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 3 });
    expect(asked).toEqual([1, 3, 2]);
  });

  it('come before new mail, but one that was slow comes after it, and one that is not due does not come', async () => {
    const { inbox, asked } = await waiting({ cause: { kind: 'slow' } }, { now: 2_000_000_000_000 }, {});
    inbox.store.mails.push(fakeMail(4));
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 3 });
    expect(asked).toEqual([3, 4, 1]);
    expect(await pendingStates(inbox)).toMatchObject([{ attempts: 1, nextTryAt: 2_000_000_060_000 }]);
  });

  it('wait as they are once the process is to end', async () => {
    const { inbox, asked } = await waiting({}, {});
    const [, second] = await pendingStates(inbox);
    const { content } = inbox.store;
    inbox.store.content = (mail) => {
      void inbox.context.shutdown.announce(0);
      return content(mail);
    };
    expect(await importOnce(inbox)).toMatchObject({ imported: 1 });
    expect([asked, await pendingStates(inbox)]).toEqual([[1], [second]]);
  });
});

describe('a mail that stands still', () => {
  it('has a quarter of the run, then the others come, and then it is tried once more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const stage = await waiting({ attempts: 0 }, { attempts: 1 });
    const still = standsStillOnce(stage, 1);
    const run = importOnce(stage.inbox);
    await still;
    await vi.advanceTimersByTimeAsync(stage.inbox.context.budgetMs / 4);
    expect(await run).toMatchObject({ status: 'done', imported: 2 });
    expect(stage.asked).toEqual([1, 2, 1]);
  });

  it('when nothing else waits has the rest of the run: that was a fair try, and counts', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const stage = await waiting({ cause: { kind: 'slow' } });
    const still = standsStillOnce(stage, 1);
    const run = importOnce(stage.inbox);
    await still;
    await vi.advanceTimersByTimeAsync(23 * hourMs);
    expect(await run).toMatchObject({ status: 'done', imported: 0 });
    expect(await pendingStates(stage.inbox)).toMatchObject([{ attempts: 2, troubles: 1, cause: 'slow' }]);
  });

  it('and has failed too often is waited for no longer than another is, and given up', async () => {
    const stage = await waiting({ attempts: maxAttempts });
    vi.spyOn(RunTime.prototype, 'aloneMs').mockReturnValue(1);
    void standsStillOnce(stage, 1);
    expect(await importOnce(stage.inbox)).toMatchObject({ status: 'done', imported: 0, quarantined: 1 });
    expect((await stage.inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns.hasMime)).toEqual([false]);
  });
});
