import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { type FindOptions, findInAccounts, findMessages } from './find-messages.ts';
import { indexRow, recipientPrefix } from './index-rows.ts';

/** Pages of the mail of several accounts, where looking for it ends before all of it was looked at. */

const signal = new AbortController().signal;
const recipient = 'anna@example.org';
let outbox: MemoryOutbox;
let context: MemoryOutbox['context'];

beforeEach(() => {
  outbox = new MemoryOutbox();
  context = outbox.context;
});

async function accept(account: string): Promise<string> {
  outbox.now += 60_000;
  return (await outbox.accept({ account })).split('.')[1] ?? '';
}

/** Rows that tell of mail which is gone: an index is looked at a thousand rows at a time. */
async function leaveRows(account: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    outbox.now += 1;
    await outbox.rows.write(account, [indexRow(recipientPrefix(recipient) + newestFirstId(outbox.now))]);
  }
}

async function allPages(accounts: readonly string[], options: Partial<FindOptions> = {}): Promise<readonly string[][]> {
  const pages: string[][] = [];
  let after: string | undefined;
  do {
    const page = await findInAccounts(
      context,
      accounts.map((name) => ({ name })),
      { signal, top: 3, recipient, ...options, ...(after === undefined ? {} : { after }) },
    );
    pages.push(page.records.map(({ localId }) => localId));
    after = page.next;
  } while (after !== undefined && pages.length < 20);
  return pages;
}

describe('pages of several accounts', () => {
  it('have every mail once, newest first, and end', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 7; n += 1) ids.unshift(await accept(n % 2 === 0 ? 'one' : 'two'));
    expect(await allPages(['one', 'two'])).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
  });

  it('leave out none and turn none around, where looking in one account ended early', async () => {
    const old = await accept('one');
    const older = await accept('two');
    await leaveRows('one', 2_100);
    const newest = await accept('two');
    const pages = await allPages(['one', 'two']);
    expect(pages.flat()).toEqual([newest, older, old].toSorted());
    // What is behind the place where looking ended waits for its page.
    expect(pages[0]).toEqual([newest]);
  });

  it('end exactly where the last thousand rows were looked at', async () => {
    await leaveRows('one', 999);
    const found = await findMessages(context, 'one', { signal, top: 3, recipient });
    expect(found).toEqual({ records: [] });
    await leaveRows('one', 1);
    expect((await findMessages(context, 'one', { signal, top: 3, recipient })).lookedTo).toBeDefined();
  });

  it('have no more than was asked for, and do not say that looking ended where it found enough', async () => {
    for (let n = 0; n < 5; n += 1) await accept('one');
    await leaveRows('one', 1_000);
    const first = await findMessages(context, 'one', { signal, top: 3, recipient });
    expect(first.records).toEqual([]);
    const after = first.lookedTo ?? expect.fail('it looked at all of them');
    const second = await findMessages(context, 'one', { signal, top: 3, recipient, after });
    expect([second.records.length, second.lookedTo]).toEqual([3, undefined]);
  });

  it('of times between which there can be none read nothing', async () => {
    await accept('one');
    const before = outbox.rows.requests;
    for (const options of [{ recipient }, { status: 'failed' }, {}] as const) {
      const empty = { signal, top: 3, since: outbox.now, until: outbox.now - 1, ...options };
      expect(await findMessages(context, 'one', empty)).toEqual({ records: [] });
    }
    expect(outbox.rows.requests).toBe(before);
  });

  it('stop when their caller has gone', async () => {
    for (let n = 0; n < 3; n += 1) await accept('one');
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(findMessages(context, 'one', { signal: gone, top: 3, recipient })).rejects.toThrow('gone');
  });
});
