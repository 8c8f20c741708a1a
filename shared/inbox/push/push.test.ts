import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { SecretMissing, type SecretStore } from '../../secrets/secret-store.ts';
import { clientState, isOwnCode, newGeneration, parseClientState, parseName } from './client-state.ts';
import { ImportGate } from './import-gate.ts';
import { folderKey } from './keys.ts';
import { NotificationKey } from './notification-key.ts';

const minuteMs = 60_000;

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
  it('queues one for a minute and one for the next, over all processes, and loses nothing', async () => {
    let now = 1_000 * minuteMs + 10_000;
    const rows = new MemoryRows();
    const queued: number[] = [];
    const process = () =>
      new ImportGate({
        clock: { now: () => now },
        rows,
        enqueue: async (_, delayMs) => {
          queued.push(now + delayMs);
        },
      });
    const [one, other] = [process(), process()];
    // A burst at both.
    await Promise.all(Array.from({ length: 200 }, (_, n) => (n % 2 ? one : other).ask('corpus')));
    expect(queued).toEqual([now, 1_001 * minuteMs]);
    // What comes while one is queued that begins later is seen by that one.
    now += 40_000;
    expect(await process().ask('corpus')).toBe(false);
    // It has begun: what comes now is for the minute after.
    now = 1_001 * minuteMs + 1_000;
    expect([await one.ask('corpus'), await one.ask('corpus')]).toEqual([true, false]);
    now = 1_010 * minuteMs + 7;
    expect(await other.ask('corpus')).toBe(true);
    expect(queued.slice(2)).toEqual([1_002 * minuteMs, now]);
    await one.ask('another');
    expect(queued).toHaveLength(5);
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
