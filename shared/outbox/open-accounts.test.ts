import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { recover, recoverEverywhere } from './delivering/recover.ts';
import { openKey, openPartition } from './keys.ts';
import { OpenAccounts } from './open-accounts.ts';

const minute = 60_000;
const options = { signal: new AbortController().signal };
const openKeyOf = (id: string) => openKey(id.split('.')[1] ?? '');
const many = Array.from({ length: 200 }, (_, n) => `account-${n}`);

/** Accounts that are noted as open; the rows that say until when mail was handed in begin with `~`. */
const notedIn = ({ rows }: MemoryOutbox) => rows.keys(openPartition).filter((key) => !key.startsWith('~'));

/** A mail that is accepted now, and that is to be looked after in a minute. */
async function accept(outbox: MemoryOutbox, account = accountName): Promise<string> {
  const id = await outbox.accept({ account });
  const columns = { checkAt: outbox.now + minute, waitMs: minute };
  await outbox.rows.write(account, [{ kind: 'put', key: openKeyOf(id), columns }]);
  return id;
}

/** A run of the timer: how many mails it queued, and how often storage was asked. */
async function run(outbox: MemoryOutbox) {
  const before = outbox.rows.requests;
  const queued = await recover(outbox.context, options);
  return { queued, requests: outbox.rows.requests - before };
}

const close = ({ rows }: MemoryOutbox, id: string) => rows.write(accountName, [{ kind: 'delete', key: openKeyOf(id) }]);

describe('the accounts that have open mail', () => {
  it('are all that the timer looks at, in one reading where none is due', async () => {
    const outbox = new MemoryOutbox();
    for (const name of many) outbox.account({ name });
    expect(await run(outbox)).toEqual({ queued: 0, requests: 1 });
    const id = await accept(outbox);
    expect(await run(outbox)).toEqual({ queued: 0, requests: 1 });
    outbox.now += minute;
    const { queued, requests } = await run(outbox);
    expect(queued).toBe(1);
    expect(requests).toBeLessThan(10);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  });

  it('are forgotten when nothing is open any more, and not before a note could be relied on', async () => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    await close(outbox, id);
    outbox.now += minute;
    expect(await run(outbox)).toMatchObject({ queued: 0 });
    expect(notedIn(outbox)).toEqual([accountName]);
    outbox.now += minute;
    await run(outbox);
    expect(notedIn(outbox)).toEqual([]);
    await accept(outbox);
    expect(notedIn(outbox)).toEqual([accountName]);
  });

  it('are looked at when the first of their mails may need it', async () => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    const at = (minutes: number) =>
      outbox.rows.write(accountName, [
        {
          kind: 'put',
          key: openKeyOf(id),
          columns: { checkAt: outbox.now + minutes * minute, waitMs: minutes * minute },
        },
      ]);
    await at(5);
    outbox.now += minute;
    expect(await run(outbox)).toMatchObject({ queued: 0 });
    outbox.now += 3 * minute;
    expect(await run(outbox)).toEqual({ queued: 0, requests: 1 });
    outbox.now += minute;
    expect(await run(outbox)).toMatchObject({ queued: 1 });
  });

  it('are looked at within ten minutes, however long their mail waits', async () => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    const columns = { checkAt: outbox.now + 5_000 * minute };
    await outbox.rows.write(accountName, [{ kind: 'put', key: openKeyOf(id), columns }]);
    outbox.now += minute;
    await run(outbox);
    outbox.now += 10 * minute;
    expect((await run(outbox)).requests).toBeGreaterThan(1);
    expect(notedIn(outbox)).toEqual([accountName]);
  });

  it('are found by any name that an account can have', async () => {
    const outbox = new MemoryOutbox();
    const names = ['0', '9-lives', 'a', 'z'.repeat(32)];
    for (const name of names) await outbox.open.note(name);
    expect([...(await outbox.open.names(options))]).toEqual(names);
    outbox.now += minute;
    expect((await outbox.open.due(options)).map(({ key }) => key)).toEqual(names);
  });

  it('are noted once for a burst, and again after half a minute', async () => {
    const outbox = new MemoryOutbox();
    const notes = async () => {
      const before = outbox.rows.requests;
      await Promise.all(Array.from({ length: 50 }, () => outbox.open.note(accountName)));
      return outbox.rows.requests - before;
    };
    expect(await notes()).toBe(1);
    expect(await notes()).toBe(0);
    outbox.now += minute / 2;
    expect(await notes()).toBe(3);
  });

  it('are named, and those that have none open any more with the time until when they had', async () => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    await outbox.open.note('another');
    outbox.now += 2 * minute;
    await close(outbox, id);
    const rows = await outbox.open.due(options);
    for (const row of rows) await outbox.open.looked(row, row.key === accountName ? undefined : outbox.now + minute);
    expect([...(await outbox.open.names(options))]).toEqual(['another']);
    const { open, handedUntil } = await outbox.open.noted(options);
    expect([[...open], [...handedUntil]]).toEqual([['another'], [[accountName, outbox.now]]]);
  });

  it.each([
    ['are not there', undefined, 7],
    ['say less', 6, 7],
    ['say the same', 7, 7],
    ['say more', 8, 8],
  ])('are known to have had mail until then, whose notes %s', async (_, before, until) => {
    const outbox = new MemoryOutbox();
    if (before !== undefined) await outbox.open.found(accountName, before, options);
    const etags = async () => (await openRows(outbox)).map(({ etag }) => etag);
    const noted = await etags();
    await outbox.open.found(accountName, 7, options);
    expect((await outbox.open.noted(options)).handedUntil.get(accountName)).toBe(until);
    // What says enough is not written again.
    if (before !== undefined && before >= 7) expect(await etags()).toEqual(noted);
  });

  it.each([undefined, 6])('are not known for less than another process says meanwhile (before: %s)', async (before) => {
    const outbox = new MemoryOutbox();
    if (before !== undefined) await outbox.open.found(accountName, before, options);
    outbox.rows.onWrite = async () => {
      outbox.rows.onWrite = () => undefined;
      await outbox.open.found(accountName, 9, options);
    };
    await outbox.open.found(accountName, 7, options);
    expect((await outbox.open.noted(options)).handedUntil.get(accountName)).toBe(9);
  });

  it('are looked at in time, where a clock that runs ahead wrote when', async () => {
    const outbox = new MemoryOutbox();
    await new OpenAccounts(outbox.rows, { now: () => outbox.now + 600 * minute }).note(accountName);
    const due = async () => (await outbox.open.due(options)).length;
    expect(await due()).toBe(0);
    outbox.now += minute;
    expect(await due()).toBe(1);
  });

  it('are kept as long as the note of a clock that runs ahead says', async () => {
    const outbox = new MemoryOutbox();
    await new OpenAccounts(outbox.rows, { now: () => outbox.now + 10 * minute }).note(accountName);
    await outbox.open.note(accountName);
    outbox.now += 11 * minute;
    for (const row of await openRows(outbox)) await outbox.open.looked(row, undefined);
    expect(notedIn(outbox)).toEqual([accountName]);
  });

  it('are kept as long as the last of several notes can be relied on', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open.note(accountName);
    outbox.now += 100_000;
    await outbox.open.note(accountName);
    outbox.now += 119_999;
    for (const row of await openRows(outbox)) await outbox.open.looked(row, undefined);
    expect(notedIn(outbox)).toEqual([accountName]);
    outbox.now += 1;
    for (const row of await openRows(outbox)) await outbox.open.looked(row, undefined);
    expect(notedIn(outbox)).toEqual([]);
  });

  it('are kept as long as a note can be relied on, also where the timer found mail in between', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open.note(accountName);
    outbox.now += minute;
    for (const next of [outbox.now + 10_000, undefined]) {
      for (const row of await openRows(outbox)) await outbox.open.looked(row, next);
      outbox.now += 10_000;
    }
    expect(notedIn(outbox)).toEqual([accountName]);
  });

  it('are noted also where they are forgotten, or noted by others, at that very moment', async () => {
    const outbox = new MemoryOutbox();
    const note = () => new OpenAccounts(outbox.rows, outbox.context.clock).note(accountName);
    await note();
    const get = outbox.rows.get.bind(outbox.rows);
    outbox.rows.get = async (...asked) => {
      outbox.rows.get = get;
      await outbox.rows.write(openPartition, [{ kind: 'delete', key: accountName }]);
      return await get(...asked);
    };
    await note();
    expect(notedIn(outbox)).toEqual([accountName]);
    outbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind }) => kind === 'merge')) return;
      outbox.rows.onWrite = () => undefined;
      await note();
    };
    await note();
    expect(notedIn(outbox)).toEqual([accountName]);
  });

  it('are not taken to be noted where all others note them again and again', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open.note(accountName);
    outbox.now += minute;
    let left = 40;
    outbox.rows.onWrite = async (partition, writes) => {
      if (left === 0 || !writes.some(({ kind, key }) => kind === 'merge' && key === accountName)) return;
      left -= 1;
      await outbox.rows.write(partition, [{ kind: 'put', key: accountName, columns: { checkAt: left } }]);
    };
    await expect(outbox.open.note(accountName)).rejects.toThrow('noted by too many others');
  });

  it.each(['insert', 'merge'])('are not taken to be noted where storage is away (%s)', async (kind) => {
    const outbox = new MemoryOutbox();
    if (kind === 'merge') await outbox.open.note(accountName);
    outbox.now += minute;
    outbox.rows.onWrite = (_, writes) => {
      if (writes.some((write) => write.kind === kind)) throw new Error('storage is away');
    };
    await expect(outbox.open.note(accountName)).rejects.toThrow('storage is away');
  });

  it.each([
    ['nothing open', undefined],
    ['mail that waits', 9 * minute],
  ])('are not put off by a timer that looked before the note, and found %s', async (_, waitMs) => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    await close(outbox, id);
    outbox.now += 2 * minute;
    const [row] = await outbox.open.due(options);
    if (!row) throw new Error('nothing is due');
    // Another process: it does not know what this one noted.
    await new OpenAccounts(outbox.rows, outbox.context.clock).note(accountName);
    await outbox.open.looked(row, waitMs === undefined ? undefined : outbox.now + waitMs);
    outbox.now += minute;
    expect((await outbox.open.due(options)).map(({ key }) => key)).toEqual([accountName]);
  });

  it('are looked at no later for new mail', async () => {
    const outbox = new MemoryOutbox();
    await accept(outbox);
    for (const row of await openRows(outbox)) await outbox.open.looked(row, outbox.now + 40_000);
    outbox.now += 31_000;
    await outbox.open.note(accountName);
    outbox.now += 9_000;
    expect((await outbox.open.due(options)).map(({ key }) => key)).toEqual([accountName]);
  });

  it('are looked at sooner where new mail needs it sooner', async () => {
    const outbox = new MemoryOutbox();
    await accept(outbox);
    const [row] = await openRows(outbox);
    if (!row) throw new Error('nothing is noted');
    await outbox.open.looked(row, outbox.now + 9 * minute);
    outbox.now += minute / 2;
    await outbox.open.note(accountName);
    outbox.now += minute;
    expect((await outbox.open.due(options)).map(({ key }) => key)).toEqual([accountName]);
  });
});

describe('a process that stands still', () => {
  it('between its note and its mail notes the account once more', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open.opening(accountName, async () => {
      outbox.now += 5 * minute;
      await run(outbox);
      expect(notedIn(outbox)).toEqual([]);
    });
    expect(notedIn(outbox)).toEqual([accountName]);
  });

  it('and is ended then has its mail found by the look at every account', async () => {
    const outbox = new MemoryOutbox();
    for (const name of many) outbox.account({ name });
    const id = await accept(outbox, 'account-7');
    await outbox.rows.write(openPartition, [{ kind: 'delete', key: 'account-7' }]);
    outbox.now += minute;
    expect((await run(outbox)).queued).toBe(0);
    await recoverEverywhere(outbox.context, options);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
    expect(notedIn(outbox)).toEqual(['account-7']);
  });
});

async function openRows({ rows }: MemoryOutbox) {
  const found = [];
  for await (const row of rows.prefix(openPartition, '')) found.push(row);
  return found;
}
