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

  it('are not forgotten by a timer that looked before the note', async () => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    await close(outbox, id);
    outbox.now += 2 * minute;
    const [row] = await outbox.open.due(options);
    if (!row) throw new Error('nothing is due');
    // Another process: it does not know what this one noted.
    await new OpenAccounts(outbox.rows, outbox.context.clock).note(accountName);
    await outbox.open.looked(row, undefined);
    expect(notedIn(outbox)).toEqual([accountName]);
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
