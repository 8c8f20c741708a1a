import { describe, expect, it } from 'vitest';
import { accepted, accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { openKey, recordKey, releasePartition } from '../keys.ts';
import { deliver } from './deliver.ts';
import { releaseWaiting, requestRelease, resumeReleases, tryAt } from './release.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };

/** An outbox with a mail that waits for its second attempt for an hour, as its server asked. */
async function withWaiting(): Promise<{ readonly outbox: MemoryOutbox; readonly id: string }> {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept();
  outbox.transport.onSend = async ({ envelope: { to } }) => ({
    recipients: to.map((address) => ({ address, outcome: 'deferred' })),
    trouble: { scope: 'throttled', code: '450', retryAfterMs: hour },
  });
  await deliver(outbox.context, id, options);
  outbox.transport.onSend = async (mail) => accepted(mail);
  outbox.queued();
  outbox.now += minute;
  return { outbox, id };
}

const dueIn = async (outbox: MemoryOutbox, id: string) => ((await outbox.record(id)).nextAttemptAt ?? 0) - outbox.now;

describe('a release', () => {
  it.each([
    ['asked', 0],
    ['changed', 6_000],
  ] as const)('%s: waiting mail is due in %d ms, whatever its server asked for', async (reason, ms) => {
    const { outbox, id } = await withWaiting();
    await requestRelease(outbox.context, accountName, reason);
    expect(outbox.queued()).toEqual([{ kind: 'release', id: accountName, delayMs: 0 }]);
    await releaseWaiting(outbox.context, accountName, options);
    expect(await dueIn(outbox, id)).toBe(ms);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: ms }]);
    outbox.now += ms;
    expect(await deliver(outbox.context, id, options)).toBe('ended');
  });

  it('of an account that works again: not before the time its server asked for', async () => {
    const { outbox, id } = await withWaiting();
    const asked = await dueIn(outbox, id);
    await requestRelease(outbox.context, accountName, 'works');
    await releaseWaiting(outbox.context, accountName, options);
    expect(await dueIn(outbox, id)).toBe(asked);
  });

  it('leaves alone what its sender scheduled, what was tried since, and what has ended', async () => {
    const { outbox, id } = await withWaiting();
    const scheduled = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + hour });
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.now += 1;
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'deferred' })),
      trouble: { scope: 'message' },
    });
    const tried = await outbox.accept();
    await deliver(outbox.context, tried, options);
    outbox.queued();
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toMatchObject([{ kind: 'mail', id }]);
    expect(await dueIn(outbox, scheduled)).toBe(hour - 1);
    expect(await dueIn(outbox, tried)).toBe(minute);
  });

  it('asked for twice is carried out once; asked for later, again', async () => {
    const { outbox, id } = await withWaiting();
    await requestRelease(outbox.context, accountName, 'works');
    await requestRelease(outbox.context, accountName, 'works');
    expect(outbox.queued().filter(({ kind }) => kind === 'release')).toHaveLength(1);
    await releaseWaiting(outbox.context, accountName, options);
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toEqual([]);
    // An account that starts and stops working is not released with every mail.
    await requestRelease(outbox.context, accountName, 'works');
    expect(outbox.queued()).toEqual([{ kind: 'release', id: accountName, delayMs: 10 * minute }]);
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toEqual([{ kind: 'release', id: accountName, delayMs: 10 * minute }]);
    await requestRelease(outbox.context, accountName, 'asked');
    await releaseWaiting(outbox.context, accountName, options);
    expect(await dueIn(outbox, id)).toBe(0);
  });

  it('whose queue message is lost is resumed by the timer', async () => {
    const { outbox } = await withWaiting();
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.queued();
    await resumeReleases(outbox.context, options);
    expect(outbox.queued()).toEqual([{ kind: 'release', id: accountName, delayMs: 0 }]);
    await releaseWaiting(outbox.context, accountName, options);
    outbox.queued();
    await resumeReleases(outbox.context, options);
    expect(outbox.queued()).toEqual([]);
  });

  it('of many mails goes on by another message of the queue, and is done when all are released', async () => {
    const outbox = new MemoryOutbox();
    const nextAttemptAt = outbox.now + hour;
    const attempts = [{ at: new Date(outbox.now - minute).toISOString(), outcome: 'deferred' as const }];
    for (let n = 0; n < 700; n += 1) await outbox.accept({ nextAttemptAt, attempts });
    const keys = outbox.rows.keys(accountName, 'o:');
    await outbox.rows.writeAll(
      accountName,
      keys.map((key) => ({ kind: 'merge', key, columns: { checkAt: nextAttemptAt + minute } })),
    );
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.queued();
    await releaseWaiting(outbox.context, accountName, options);
    const first = outbox.queued();
    expect(first.filter(({ kind }) => kind === 'mail')).toHaveLength(500);
    expect(first.at(-1)).toEqual({ kind: 'release', id: accountName, delayMs: 0 });
    await releaseWaiting(outbox.context, accountName, options);
    const second = outbox.queued();
    expect(second.filter(({ kind }) => kind === 'mail')).toHaveLength(200);
    expect(new Set([...first, ...second].map(({ id }) => id)).size).toBe(701);
    expect((await outbox.rows.get(releasePartition, accountName))?.columns.doneAt).toBe(outbox.now);
  });

  it('brings forward a mail whose attempt was under way when it was asked for', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.transport.onSend = async ({ envelope: { to } }) => {
      outbox.now += 1_000;
      await requestRelease(outbox.context, accountName, 'changed');
      await releaseWaiting(outbox.context, accountName, options);
      return {
        recipients: to.map((address) => ({ address, outcome: 'deferred' })),
        trouble: { scope: 'account', code: '535' },
      };
    };
    expect(await deliver(outbox.context, id, options)).toBe('waiting');
    expect(await dueIn(outbox, id)).toBe(6_000);
  });
});

describe('a release that is asked for', () => {
  const releaseRow = async (outbox: MemoryOutbox) => (await outbox.rows.get(releasePartition, accountName))?.columns;

  it('begins ten minutes after the last one where the account starts and stops working, at once where a person asks', async () => {
    const outbox = new MemoryOutbox();
    const doneAt = outbox.now - 4 * minute;
    const done = () => outbox.rows.write(releasePartition, [{ kind: 'put', key: accountName, columns: { doneAt } }]);
    await done();
    await requestRelease(outbox.context, accountName, 'works');
    expect(await releaseRow(outbox)).toEqual({
      requestedAt: outbox.now,
      startAt: outbox.now + 6 * minute,
      goAt: outbox.now + 6 * minute,
      heedsServer: true,
    });
    await done();
    await requestRelease(outbox.context, accountName, 'changed');
    expect(await releaseRow(outbox)).toEqual({
      requestedAt: outbox.now,
      startAt: outbox.now,
      goAt: outbox.now + 6_000,
      heedsServer: false,
    });
    expect(outbox.queued().map(({ delayMs }) => delayMs)).toEqual([6 * minute, 0]);
  });

  it('long after the last one begins now, and no later because that one’s clock ran ahead', async () => {
    const outbox = new MemoryOutbox();
    for (const [doneAt, startAt] of [
      [outbox.now - hour, outbox.now],
      [outbox.now + 2 * hour, outbox.now + 10 * minute],
    ] as const) {
      await outbox.rows.write(releasePartition, [{ kind: 'put', key: accountName, columns: { doneAt } }]);
      await requestRelease(outbox.context, accountName, 'works');
      expect((await releaseRow(outbox))?.startAt).toBe(startAt);
    }
  });

  it('is not begun before its time, but for what clocks differ by; done, or never asked for, it does nothing', async () => {
    const { outbox, id } = await withWaiting();
    await releaseWaiting(outbox.context, accountName, options);
    const columns = { requestedAt: outbox.now, startAt: outbox.now + 1_001, goAt: 0 };
    await outbox.rows.write(releasePartition, [{ kind: 'put', key: accountName, columns }]);
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toEqual([{ kind: 'release', id: accountName, delayMs: 1_001 }]);
    outbox.now += 1;
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toMatchObject([{ kind: 'mail', id }]);
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toEqual([]);
  });

  it('whose time has not come is not resumed', async () => {
    const outbox = new MemoryOutbox();
    const put = (columns: Record<string, number>) =>
      outbox.rows.write(releasePartition, [{ kind: 'put', key: accountName, columns }]);
    for (const [columns, resumed] of [
      [{ startAt: outbox.now + 1 }, 0],
      [{ startAt: outbox.now }, 1],
      [{ startAt: outbox.now, doneAt: outbox.now }, 0],
      [{}, 0],
    ] as const) {
      await put({ ...columns });
      await resumeReleases(outbox.context, options);
      expect(outbox.queued()).toHaveLength(resumed);
    }
  });

  it('stops with its caller, and is begun anew by whoever comes next', async () => {
    const { outbox, id } = await withWaiting();
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.queued();
    const stopped = releaseWaiting(outbox.context, accountName, { signal: AbortSignal.abort(new Error('stopped')) });
    await expect(stopped).rejects.toThrow('stopped');
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toMatchObject([{ id }]);
  });

  it('passes over a mail that is gone, was never tried, or whose record cannot be written', async () => {
    const { outbox, id } = await withWaiting();
    const checkAt = outbox.now + hour;
    await outbox.rows.write(accountName, [{ kind: 'put', key: openKey('gone'), columns: { checkAt } }]);
    const untried = await outbox.accept({ nextAttemptAt: outbox.now + hour });
    const columns = { checkAt };
    await outbox.rows.write(accountName, [{ kind: 'put', key: openKey(untried.split('.')[1] ?? ''), columns }]);
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.queued();
    outbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ key }) => key.startsWith(recordKey('')))) throw new Error('storage is away');
    };
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toEqual([]);
    outbox.rows.onWrite = () => undefined;
    await requestRelease(outbox.context, accountName, 'asked');
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued().filter(({ kind }) => kind === 'mail')).toMatchObject([{ id }]);
    expect(await dueIn(outbox, untried)).toBe(hour);
  });

  it('leaves alone what was tried at the very moment that it was asked for', async () => {
    const { outbox, id } = await withWaiting();
    outbox.now = Date.parse((await outbox.record(id)).attempts[0]?.at ?? '');
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.queued();
    await releaseWaiting(outbox.context, accountName, options);
    expect(outbox.queued()).toEqual([]);
  });
});

describe('a mail that is brought forward', () => {
  it.each([
    ['to a time before its own', { status: 'queued' }, 1, true],
    ['to its own time', { status: 'queued' }, hour, false],
    ['that is scheduled', { status: 'scheduled' }, 1, false],
    ['that is being sent', { status: 'sending' }, 1, false],
  ] as const)('%s', async (_, fields, ms, brought) => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ ...fields, nextAttemptAt: outbox.now + hour });
    const key = recordKey(id.split('.')[1] ?? '');
    const etag = (await outbox.rows.get(accountName, key))?.etag ?? '';
    expect(await tryAt(outbox.context, await outbox.record(id), etag, outbox.now + ms)).toBe(brought);
    expect(outbox.queued()).toEqual(brought ? [{ kind: 'mail', id, delayMs: ms }] : []);
    expect(await dueIn(outbox, id)).toBe(brought ? ms : hour);
  });

  it('is left to whoever has taken it up since; trouble of storage is told', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ nextAttemptAt: outbox.now + hour });
    const record = await outbox.record(id);
    expect(await tryAt(outbox.context, record, 'another etag', outbox.now)).toBe(false);
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(tryAt(outbox.context, record, 'another etag', outbox.now)).rejects.toThrow('storage is away');
    expect(outbox.queued()).toEqual([]);
  });

  it.each([
    ['works', 1_000, hour],
    ['asked', 1_000, 0],
    // At the moment it began, or before: the attempt has seen what there is.
    ['asked', 0, hour],
  ] as const)(
    'after its attempt, by a release of an account that %s %d ms after it began',
    async (reason, after, due) => {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept();
      outbox.transport.onSend = async ({ envelope: { to } }) => {
        outbox.now += after;
        await requestRelease(outbox.context, accountName, reason);
        return {
          recipients: to.map((address) => ({ address, outcome: 'deferred' })),
          trouble: { scope: 'throttled', code: '450', retryAfterMs: hour },
        };
      };
      await deliver(outbox.context, id, options);
      expect(await dueIn(outbox, id)).toBe(due);
    },
  );
});
