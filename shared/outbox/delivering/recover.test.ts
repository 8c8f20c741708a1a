import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { copyKey, localIdOf, openKey, openPartition, recordKey } from '../keys.ts';
import { copyColumns, newCopy } from '../sent-copies/sent-copy-state.ts';
import { claimMs } from './claim.ts';
import { deliver } from './deliver.ts';
import { recover, recoverEverywhere } from './recover.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };
const openKeyOf = (id: string) => openKey(id.split('.')[1] ?? '');

/** A run of the timer, at a time when it looks at every account. */
async function look(outbox: MemoryOutbox): Promise<number> {
  for (const key of outbox.accounts.keys()) {
    const columns = { checkAt: outbox.now, waitMs: 0, keepUntil: outbox.now };
    await outbox.rows.write(openPartition, [{ kind: 'put', key, columns }]);
  }
  return await recover(outbox.context, options);
}

describe('the recovery timer', () => {
  it('queues a message that nobody has looked at in time, and not again before somebody could have', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    expect(await look(outbox)).toBe(1);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
    outbox.now += minute;
    expect(await look(outbox)).toBe(0);
    outbox.now += minute;
    expect(await look(outbox)).toBe(1);
  });

  it('leaves a message alone whose time has not come', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + minute });
    await outbox.rows.write(accountName, [
      { kind: 'put', key: openKeyOf(id), columns: { checkAt: outbox.now + 2 * minute } },
    ]);
    expect(await look(outbox)).toBe(0);
    outbox.now += 2 * minute;
    expect(await look(outbox)).toBe(1);
  });

  it('queues a message whose claim has lapsed, and none that somebody delivers', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    let queued = -1;
    outbox.transport.onSend = async () => {
      queued = await look(outbox);
      outbox.rows.onWrite = () => {
        throw new Error('gone');
      };
      throw new Error('gone');
    };
    await expect(deliver(outbox.context, id, options)).rejects.toThrow('gone');
    outbox.rows.onWrite = () => undefined;
    expect(queued).toBe(0);
    expect(await look(outbox)).toBe(0);
    outbox.now += 2 * claimMs;
    expect(await look(outbox)).toBe(1);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  });

  it('does not believe a time that only a clock ahead of ours can have written', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const wrong = { checkAt: outbox.now + 120 * minute, waitMs: minute };
    await outbox.rows.write(accountName, [{ kind: 'put', key: openKeyOf(id), columns: wrong }]);
    expect(await look(outbox)).toBe(0);
    outbox.now += minute;
    expect(await look(outbox)).toBe(1);
  });

  it('removes the row of a message that is no more', async () => {
    const outbox = new MemoryOutbox();
    await outbox.rows.write(accountName, [
      { kind: 'put', key: openKey('gone'), columns: { checkAt: outbox.now, waitMs: 0 } },
    ]);
    expect(await look(outbox)).toBe(0);
    expect(outbox.rows.keys(accountName, 'o:')).toEqual([]);
    expect(outbox.queued()).toEqual([]);
  });

  it('queues a copy for Sent that nobody makes', async () => {
    const outbox = new MemoryOutbox();
    const key = copyKey('0123456789abcdef');
    await outbox.rows.write(accountName, [{ kind: 'put', key, columns: copyColumns(newCopy(outbox.now), outbox.now) }]);
    expect(await look(outbox)).toBe(0);
    outbox.now += minute;
    expect(await look(outbox)).toBe(1);
    expect(outbox.queued()).toEqual([{ kind: 'copy', id: `${accountName}.${localIdOf(key)}`, delayMs: 0 }]);
  });

  it('goes on with the other mail of an account where the record of one cannot be read', async () => {
    const outbox = new MemoryOutbox();
    const ids = [await outbox.accept(), await outbox.accept(), await outbox.accept()];
    for (const id of ids.slice(0, 2)) {
      const key = recordKey(id.split('.')[1] ?? '');
      await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { status: 'of a newer version' } }]);
    }
    expect(await look(outbox)).toBe(3);
    expect(new Set(outbox.queued().map(({ id }) => id))).toEqual(new Set(ids));
  });

  it('goes on with the other accounts where one has trouble', async () => {
    const outbox = new MemoryOutbox();
    outbox.account({ name: 'another' });
    await outbox.accept();
    const id = await outbox.accept({ account: 'another' });
    outbox.rows.onWrite = (partition) => {
      if (partition === accountName) throw new Error('storage is away');
    };
    expect(await look(outbox)).toBe(1);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  });
});

describe('what the recovery timer leaves to others', () => {
  it('a copy that somebody makes now', async () => {
    const outbox = new MemoryOutbox();
    const key = copyKey('0123456789abcdef');
    const columns = { checkAt: outbox.now, waitMs: 0, leaseOwner: 'me', leaseUntil: outbox.now + minute };
    await outbox.rows.write(accountName, [{ kind: 'put', key, columns }]);
    expect(await look(outbox)).toBe(0);
    outbox.now += minute;
    expect(await look(outbox)).toBe(1);
  });

  it('a mail, or a copy, that another process’s timer has queued at this moment', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const open = openKeyOf(id);
    outbox.rows.onWrite = async (partition, [first]) => {
      if (first?.kind !== 'merge' || first.key !== open) return;
      outbox.rows.onWrite = () => undefined;
      await outbox.rows.write(partition, [{ kind: 'merge', key: open, columns: { checkAt: outbox.now + minute } }]);
    };
    expect(await look(outbox)).toBe(0);
    expect(outbox.queued()).toEqual([]);
  });

  it('a row without a time', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await outbox.rows.write(accountName, [{ kind: 'put', key: openKeyOf(id), columns: { waitMs: 0 } }]);
    expect(await look(outbox)).toBe(0);
  });

  it('everything, once its caller has stopped', async () => {
    const outbox = new MemoryOutbox();
    await outbox.accept();
    const stopped = recover(outbox.context, { signal: AbortSignal.abort(new Error('stopped')) });
    await expect(stopped).rejects.toThrow('stopped');
    expect(outbox.queued()).toEqual([]);
  });

  it('looks again after two minutes, and says for how long', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await look(outbox);
    const row = await outbox.rows.get(accountName, openKeyOf(id));
    expect(row?.columns).toEqual({ checkAt: outbox.now + 2 * minute, waitMs: 2 * minute });
  });
});

describe('the look at every account', () => {
  it('notes an account again whose note was lost, and whose mail would wait for ever', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    for (const key of outbox.rows.keys(openPartition)) {
      const { etag = '' } = (await outbox.rows.get(openPartition, key)) ?? {};
      await outbox.rows.write(openPartition, [{ kind: 'delete', key, etag }]);
    }
    outbox.now += 10 * minute;
    expect(await recover(outbox.context, options)).toBe(0);
    await recoverEverywhere(outbox.context, options);
    expect(outbox.queued().map((queued) => queued.id)).toEqual([id]);
    outbox.now += 10 * minute;
    expect(await recover(outbox.context, options)).toBe(1);
  });

  it('notes until when mail was handed in, of an account that has none open, and no other', async () => {
    const outbox = new MemoryOutbox();
    outbox.account({ name: 'quiet' });
    const handedIn = outbox.now;
    const id = await outbox.accept();
    await deliver(outbox.context, id, options);
    const handedUntil = async () => (await outbox.open.noted(options)).handedUntil;
    outbox.now += hour;
    await recoverEverywhere(outbox.context, options);
    const first = await handedUntil();
    expect(first.get(accountName)).toBeGreaterThanOrEqual(handedIn);
    let written = 0;
    outbox.rows.onWrite = () => {
      written += 1;
    };
    await recoverEverywhere(outbox.context, options);
    expect(await handedUntil()).toEqual(first);
    expect(written).toBe(0);
  });
});
