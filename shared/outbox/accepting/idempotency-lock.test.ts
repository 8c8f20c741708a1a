import { beforeEach, describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import { idempotencyRowKey } from '../keys.ts';
import { IdempotencyLock, keepKeyMs, type UsedKey, usedKey } from './idempotency-lock.ts';

const options = { signal: new AbortController().signal };
const key = idempotencyRowKey('order 7');
let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

const acquire = () => IdempotencyLock.acquire(outbox.context, accountName, 'order 7', options);
const row = () => outbox.rows.get(accountName, key);

async function locked(): Promise<IdempotencyLock> {
  const lock = await acquire();
  return lock instanceof IdempotencyLock ? lock : expect.fail('the key is used');
}

/** The key names a mail, as its acceptance leaves it. */
async function used(): Promise<UsedKey> {
  const named = { message: 'corpus.m1', requestHash: 'hash' };
  await outbox.rows.write(accountName, [await (await locked()).naming(named.message, named.requestHash)]);
  return named;
}

describe('a caller’s key', () => {
  it('is one request’s until that names its mail, and then says which it was', async () => {
    const lock = await locked();
    expect(await refusalOf(acquire())).toMatchObject({ reason: 'conflict' });
    await outbox.rows.write(accountName, [await lock.naming('corpus.m1', 'hash')]);
    expect(await acquire()).toEqual({ message: 'corpus.m1', requestHash: 'hash' });
  });

  it('is another account’s own', async () => {
    await locked();
    const other = await IdempotencyLock.acquire(outbox.context, 'other', 'order 7', options);
    expect(other).toBeInstanceOf(IdempotencyLock);
  });

  it('leaves nothing where its request was refused, and is free again', async () => {
    const lock = await locked();
    await lock.release();
    expect(await row()).toBeUndefined();
    await (await locked()).release();
  });

  it('lapses with its process', async () => {
    await locked();
    outbox.now += 14_000;
    expect(await refusalOf(acquire())).toMatchObject({ reason: 'conflict' });
    outbox.now += 30_000;
    await (await locked()).release();
  });

  it('that lapsed, and is another request’s now, names nothing of the first', async () => {
    const slow = await locked();
    outbox.now += 44_000;
    const second = await locked();
    const write = await slow.naming('corpus.slow', 'hash');
    await expect(outbox.rows.write(accountName, [write])).rejects.toThrow();
    await outbox.rows.write(accountName, [await second.naming('corpus.second', 'hash')]);
    expect(await acquire()).toMatchObject({ message: 'corpus.second' });
  });

  it('is not given back by a request that lost it', async () => {
    const slow = await locked();
    outbox.now += 44_000;
    const second = await locked();
    await slow.release();
    expect(await refusalOf(acquire())).toMatchObject({ reason: 'conflict' });
    await second.release();
  });

  it('is given back as far as storage lets it', async () => {
    const lock = await locked();
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await lock.release();
    expect(await row()).toBeDefined();
  });

  it('that somebody was faster with is theirs, or what they used it for', async () => {
    const race = (then: () => Promise<unknown>) => {
      outbox.rows.onWrite = async () => {
        outbox.rows.onWrite = () => undefined;
        await then();
      };
      return acquire();
    };
    expect(await race(used)).toEqual({ message: 'corpus.m1', requestHash: 'hash' });
    await outbox.rows.write(accountName, [{ kind: 'delete', key }]);
    expect(await refusalOf(race(locked))).toMatchObject({ reason: 'conflict' });
  });

  it('is kept for seven days', async () => {
    const named = await used();
    const usedAt = outbox.now;
    const found = await row();
    expect(usedKey(found, usedAt + keepKeyMs - 1)).toEqual(named);
    expect(usedKey(found, usedAt + keepKeyMs)).toBeUndefined();
    outbox.now = usedAt + keepKeyMs;
    await (await locked()).release();
  });

  it.each([
    ['has no message', { requestHash: 'h', at: 0 }],
    ['has no hash', { message: 'm', at: 0 }],
    ['has no time', { message: 'm', requestHash: 'h' }],
  ])('names nothing where its row %s', (_, columns) => {
    expect(usedKey({ key, etag: '1', columns, writtenAt: 0 }, 1)).toBeUndefined();
    expect(usedKey(undefined, 1)).toBeUndefined();
  });
});
