import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { SecretMissing, type SecretStore } from '../../secrets/secret-store.ts';
import { clientState, isOwnCode, newGeneration, parseClientState, parseName } from './client-state.ts';
import { gapMs, ImportGate } from './import-gate.ts';
import { askedKey, folderKey, partition } from './keys.ts';
import { NotificationKey } from './notification-key.ts';

describe('the state of a subscription', () => {
  const name = { account: `a${'b'.repeat(31)}`, folder: folderKey('inbox'), generation: newGeneration() };

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

  it.each(['', '.', 'x'.repeat(128), 'a.b.c.d', `corpus.${'0'.repeat(24)}.${'0'.repeat(16)}`, 'ä'.repeat(64)])(
    '%s is none',
    (text) => {
      expect(parseClientState(text)).toBeUndefined();
      expect(parseName(`${text}!`)).toBeUndefined();
    },
  );
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

  it('loses nothing that comes when the queued one begins', async () => {
    await burst([gate()]);
    const [first = 0, second = 0] = queued;
    // It may have begun by another clock.
    for (const at of [second - 100, second, second + 100]) {
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
  /** A vault with this one secret; how often it was read. */
  function vault() {
    const versions: string[] = [];
    const asked = { recent: 0, set: 0 };
    const store: Pick<SecretStore, 'recent' | 'set'> = {
      recent: async (name) => {
        asked.recent += 1;
        if (versions.length === 0) throw new SecretMissing(name, 'is not in Key Vault');
        return versions.map((value) => ({ value, tags: {} }));
      },
      set: async (name, value) => {
        asked.set += 1;
        versions.unshift(value);
        return { name, version: '', expiresAt: null };
      },
    };
    return { asked, versions, store };
  }
  const signal = AbortSignal.timeout(60_000);

  it('is made once, and a newer one fits as soon as it is met, at the price of one read a minute', async () => {
    let now = 0;
    const { asked, versions, store } = vault();
    const key = new NotificationKey(store, { now: () => now });
    const made = await Promise.all([key.newest(signal), key.newest(signal)]);
    expect([made[0], asked.set]).toEqual([made[1], 1]);
    const before = asked.recent;
    for (let n = 0; n < 1_000; n += 1) expect(await key.fits((value) => value === 'forged', signal)).toBe(false);
    expect(asked.recent - before).toBe(0);
    // Somebody replaces it; both fit for a while.
    versions.unshift('newer');
    now += 61_000;
    expect(await key.fits((value) => value === 'newer', signal)).toBe(true);
    expect(await key.fits((value) => value === made[0]?.value, signal)).toBe(true);
    expect((await key.newest(signal)).value).toBe('newer');
    expect(asked.recent - before).toBe(1);
  });
});
