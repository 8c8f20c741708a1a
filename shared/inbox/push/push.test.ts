import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { untilAborted } from '../../platform/abort.ts';
import { RowConflict } from '../../platform/rows.ts';
import { SecretMissing, type SecretStore } from '../../secrets/secret-store.ts';
import { clientState, isOwnCode, nameText, newGeneration, parseClientState, parseName } from './client-state.ts';
import { gapMs, ImportGate } from './import-gate.ts';
import { askedKey, folderKey, partition } from './keys.ts';
import { NotificationKey } from './notification-key.ts';

describe('the state of a subscription', () => {
  const name = { account: `a${'b'.repeat(31)}`, folder: folderKey('inbox'), generation: '0123456789abcdef' };

  it('names its row and proves itself, in what Graph takes', () => {
    const state = clientState('key', name);
    expect(state.length).toBeLessThanOrEqual(128);
    const parsed = parseClientState(state);
    expect(parsed?.name).toEqual(name);
    expect(isOwnCode('key', name, parsed?.code ?? '')).toBe(true);
    expect(isOwnCode('other', name, parsed?.code ?? '')).toBe(false);
    expect(isOwnCode('key', { ...name, generation: newGeneration() }, parsed?.code ?? '')).toBe(false);
    expect(isOwnCode('key', name, '')).toBe(false);
  });

  const [text, code] = [nameText(name), 'x'.repeat(43)];
  it.each([
    ...['', '.', 'x'.repeat(128), 'a.b.c.d', text, 'ä'.repeat(64)],
    ...[`x.${code}`, `.${code}`, `${text}!${code}`, `${text}..${code}`],
  ])('%s is none', (given) => {
    expect(parseClientState(given)).toBeUndefined();
    expect(parseName(`${given}!`)).toBeUndefined();
  });
});

describe('the gate of imports', () => {
  let now: number;
  let rows: MemoryRows;
  /** When the imports begin. */
  let queued: number[];
  const gate = (aheadMs = 0) =>
    new ImportGate({
      clock: { now: () => now + aheadMs },
      rows,
      enqueue: async (_, delayMs) => {
        queued.push(now + Math.max(0, delayMs));
      },
    });
  const burst = (gates: readonly ImportGate[]) =>
    Promise.all(Array.from({ length: 200 }, (_, n) => gates[n % gates.length]?.ask('corpus')));

  beforeEach(() => {
    now = 1_790_000_000_000;
    rows = new MemoryRows(() => now);
    queued = [];
  });

  it('queues one now and one for the end of a second, over all processes', async () => {
    const [one, other] = [gate(), gate()];
    await burst([one, other]);
    expect(queued).toEqual([now, now + gapMs]);
    // What comes while one is queued that begins later is seen by that one.
    now += 500;
    expect([one.isQueued('corpus'), await gate().ask('corpus'), await other.ask('corpus')]).toEqual([
      true,
      false,
      false,
    ]);
    await one.ask('another');
    expect(queued.slice(2)).toEqual([now]);
  });

  it('costs storage one read and one write for each import, however many ask', async () => {
    const one = gate();
    await burst([one]);
    expect([queued.length, rows.requests]).toEqual([2, 4]);
    expect([await one.ask('corpus'), rows.requests]).toEqual([false, 4]);
  });

  it.each([
    ['at once where storage is away', new Error('storage is away'), 1],
    ['where others are faster time and again', new RowConflict('exists'), 5],
  ])('gives up %s, and nothing is queued', async (_, error, times) => {
    let tries = 0;
    rows.onWrite = () => {
      tries += 1;
      if (tries <= times) throw error;
    };
    const one = gate();
    await expect(one.ask('corpus')).rejects.toBe(error);
    expect([tries, queued]).toEqual([times, []]);
    // The next one that asks is none the worse for it.
    rows.onWrite = () => undefined;
    expect([await one.ask('corpus'), queued]).toEqual([true, [now]]);
  });

  it('loses nothing that comes when the queued one begins', async () => {
    await burst([gate()]);
    const [first = 0, second = 0] = queued;
    // It may have begun by another clock.
    for (const at of [second - 250, second, second + 100]) {
      now = at;
      rows = await copyOf(first, second);
      queued = [];
      expect(await gate().ask('corpus')).toBe(true);
      expect(queued).toEqual([second + gapMs]);
    }
  });

  /** Rows of which the last import begins at `second`. */
  async function copyOf(first: number, second: number): Promise<MemoryRows> {
    const copy = new MemoryRows(() => now);
    await copy.write(partition, [{ kind: 'put', key: askedKey('corpus'), columns: { beginsAt: second, at: first } }]);
    return copy;
  }

  it('queues at once where nothing was queued for a second', async () => {
    await burst([gate()]);
    now += 2 * gapMs;
    expect(await gate().ask('corpus')).toBe(true);
    expect(queued.at(-1)).toBe(now);
  });

  it('keeps to a second for as long as mail comes', async () => {
    const one = gate();
    const began = now;
    for (; now < began + 20 * gapMs; now += 90) await one.ask('corpus');
    const ends = queued.map((at) => at - began);
    expect(ends.length).toBeLessThanOrEqual(22);
    for (const [n, end] of ends.entries()) {
      if (n > 0) expect(end - (ends[n - 1] ?? 0)).toBeGreaterThanOrEqual(gapMs);
    }
  });

  it('believes no time that a clock far ahead has written', async () => {
    await gate(3_600_000).ask('corpus');
    queued = [];
    expect(await gate().ask('corpus')).toBe(true);
    expect(queued).toEqual([now]);
  });
});

describe('the key of notifications', () => {
  const dayMs = 24 * 3_600_000;
  let now: number;
  /** The newest first, and since when each is the current one. */
  let versions: { readonly value: string; readonly since: number }[];
  let asked: { recent: number; set: number };
  /** What Key Vault fails with. */
  let away: { recent?: Error; set?: Error };
  let key: NotificationKey;
  /** Key Vault answers when this has settled. */
  let answers: Promise<void>;
  let whileSet: () => void;

  beforeEach(() => {
    for (const level of ['info', 'warn'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
    now = 1_790_000_000_000;
    versions = [];
    asked = { recent: 0, set: 0 };
    away = {};
    answers = Promise.resolve();
    whileSet = () => undefined;
    key = new NotificationKey(vault, { now: () => now });
    return () => vi.restoreAllMocks();
  });

  const vault: Pick<SecretStore, 'recent' | 'set'> = {
    recent: async (name, since, { signal } = {}) => {
      signal?.throwIfAborted();
      asked.recent += 1;
      if (away.recent) throw away.recent;
      const found = versions.length;
      await untilAborted(answers, signal);
      if (found === 0) throw new SecretMissing(name, 'is not in Key Vault');
      // One is the current one until the next.
      const ended = (n: number) => versions[n - 1]?.since ?? Number.POSITIVE_INFINITY;
      return versions.filter((_, n) => ended(n) >= since).map(({ value }) => ({ value, tags: {} }));
    },
    set: async (name, value, { signal } = {}) => {
      signal?.throwIfAborted();
      asked.set += 1;
      if (away.set) throw away.set;
      await whileSet();
      replaceBy(value);
      return { name, version: '', expiresAt: null };
    },
  };
  const replaceBy = (value: string) => versions.unshift({ value, since: now });
  const signal = new AbortController().signal;
  const fits = (own: string) => key.fits((value) => value === own, signal);
  const newest = async () => (await key.newest(signal)).value;

  it('is made once, and a newer one fits as soon as it is met, at the price of one read a minute', async () => {
    const made = await Promise.all([key.newest(signal), key.newest(signal)]);
    expect([made[0], asked.set]).toEqual([made[1], 1]);
    const before = asked.recent;
    for (let n = 0; n < 1_000; n += 1) expect(await fits('forged')).toBe(false);
    expect(asked.recent - before).toBe(0);
    // Somebody replaces it; both fit for a while.
    replaceBy('newer');
    now += 61_000;
    expect(await fits('newer')).toBe(true);
    expect(await fits(made[0].value)).toBe(true);
    expect(await newest()).toBe('newer');
    expect(asked.recent - before).toBe(1);
    // A forged code is none for having been looked up.
    now += 61_000;
    expect(await fits('forged')).toBe(false);
    expect(asked.recent - before).toBe(2);
  });

  it('is found once it is made, also where somebody looked for it meanwhile', async () => {
    const slow = Promise.withResolvers<void>();
    let looking: Promise<boolean> | undefined;
    whileSet = () => {
      answers = slow.promise;
      now += 61_000;
      looking = fits('forged');
      setImmediate(slow.resolve);
    };
    const made = await newest();
    expect(versions).toEqual([{ value: made, since: now }]);
    expect([await looking, await fits(made), asked.set]).toEqual([false, true, 1]);
  });

  it.each([
    ['read', true],
    ['made', false],
  ])('is %s for all who wait for it, also where the first of them goes away', async (_, there) => {
    if (there) replaceBy('known');
    const slow = Promise.withResolvers<void>();
    answers = slow.promise;
    const first = new AbortController();
    const gone = key.newest(first.signal).catch((error: unknown) => error);
    const second = newest();
    // The second of them waits for the same read, or for the key that is made.
    if (!there) {
      whileSet = () => first.abort(new Error('it went away'));
      slow.resolve();
    } else {
      first.abort(new Error('it went away'));
    }
    expect(await gone).toMatchObject({ message: 'it went away' });
    slow.resolve();
    expect(await second).toBe(versions[0]?.value);
    expect(asked).toEqual(there ? { recent: 1, set: 0 } : { recent: 2, set: 1 });
  });

  it('fits for a day after it was replaced', async () => {
    const first = await newest();
    replaceBy('newer');
    now += dayMs;
    expect([await fits(first), await newest()]).toEqual([true, 'newer']);
    now += 5 * 60_000;
    expect([await fits(first), await newest()]).toEqual([false, 'newer']);
  });

  it('is made though somebody has looked for it in vain just before, which costs one read a minute too', async () => {
    for (let n = 0; n < 1_000; n += 1) expect(await fits('forged')).toBe(false);
    expect(asked.recent).toBe(1);
    const made = await newest();
    expect(versions).toEqual([{ value: made, since: now }]);
  });

  it('is made by the next one that asks, where it could not be written', async () => {
    away.set = new Error('Key Vault is away');
    await expect(newest()).rejects.toThrow('is away');
    away = {};
    expect(await newest()).toBe(versions[0]?.value);
  });

  it('is not made where Key Vault cannot say whether there is one, and no code is refused', async () => {
    replaceBy('there');
    away.recent = new Error('Key Vault is away');
    await expect(newest()).rejects.toThrow('is away');
    await expect(fits('there')).rejects.toThrow('is away');
    expect(asked.set).toBe(0);
  });

  it('is believed as it was for as long as Key Vault is away, which is asked every five minutes', async () => {
    const made = await newest();
    away.recent = new Error('Key Vault is away');
    const before = asked.recent;
    for (let minute = 1; minute <= 60; minute += 1) {
      now += 60_000;
      expect([await fits(made), await newest()]).toEqual([true, made]);
    }
    expect([asked.recent - before, asked.set]).toEqual([12, 1]);
    expect(await fits('forged')).toBe(false);
  });

  it('is no other than what is in Key Vault', async () => {
    away.recent = new SecretMissing('MailroomNotificationsKey', 'is not in Key Vault');
    await expect(newest()).rejects.toThrow('is not there');
  });

  it('is neither read nor made once the time of the caller is over', async () => {
    await expect(key.newest(AbortSignal.abort())).rejects.toThrow('abort');
    expect(asked).toEqual({ recent: 0, set: 0 });
    const end = new AbortController();
    const recent: SecretStore['recent'] = (...args) => vault.recent(...args).finally(() => end.abort());
    const slow = new NotificationKey({ ...vault, recent }, { now: () => now });
    await expect(slow.newest(end.signal)).rejects.toThrow('abort');
    expect(asked).toEqual({ recent: 1, set: 0 });
  });
});
