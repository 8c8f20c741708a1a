import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { cloudEvent, type MailroomEvent } from '../events/events.ts';
import { AccountHealth } from './health.ts';
import { healthPartition } from './keys.ts';

const options = { signal: new AbortController().signal };
const start = Date.parse('2026-01-01T00:00:00Z');
const trouble = { code: 'EAUTH', hint: 'Check the password.' };

let now: number;
let rows: MemoryRows;
let events: MailroomEvent[];
/** Publishing fails from now on. */
let away: boolean;

beforeEach(() => {
  now = start;
  rows = new MemoryRows(() => now);
  events = [];
  away = false;
});

/** As one process knows it. */
const process = () =>
  new AccountHealth(
    rows,
    {
      async publish(event) {
        if (away) throw new Error('the queue is away');
        events.push(event);
      },
    },
    { now: () => now },
  );

const ids = () => events.map((event) => cloudEvent(event).id);

describe('AccountHealth', () => {
  it('publishes once that a side fails, and once that it works again, however many processes see it', async () => {
    const [one, two] = [process(), process()];
    await one.failing('corpus', 'store', trouble);
    now += 5_000;
    await one.failing('corpus', 'store', trouble);
    await two.failing('corpus', 'store', trouble);
    expect(ids()).toEqual(['mailroom.account.failing:corpus/store/2026-01-01T00:00:00.000Z']);
    expect(await two.current('corpus', options)).toEqual([
      { side: 'store', since: '2026-01-01T00:00:00.000Z', ...trouble },
    ]);
    now += 5_000;
    expect(await two.working('corpus', 'store')).toBe(true);
    expect(await two.working('corpus', 'store')).toBe(false);
    expect(ids().slice(1)).toEqual(['mailroom.account.recovered:corpus/store/2026-01-01T00:00:00.000Z']);
    expect(await one.current('corpus', options)).toEqual([]);
  });

  it('publishes again under the same id where the first try failed', async () => {
    away = true;
    await expect(process().failing('corpus', 'transport', trouble)).rejects.toThrow('the queue is away');
    expect(await process().ongoing(options)).toEqual([]);
    away = false;
    now += 60_000;
    await process().failing('corpus', 'transport', trouble);
    expect(ids()).toEqual(['mailroom.account.failing:corpus/transport/2026-01-01T00:00:00.000Z']);
    expect(await process().ongoing(options)).toEqual([
      { account: 'corpus', side: 'transport', since: start, code: 'EAUTH' },
    ]);
  });

  it('keeps the sides of an account apart, and forgets those that are gone without an event', async () => {
    const health = process();
    await health.failing('corpus', 'transport', {});
    await health.failing('corpus', 'originals', {});
    expect(await health.working('corpus', 'store')).toBe(false);
    await health.forget('corpus', ['transport', 'store']);
    expect((await health.current('corpus', options)).map(({ side }) => side)).toEqual(['originals']);
    expect(events.map(({ type }) => type)).toEqual(['mailroom.account.failing', 'mailroom.account.failing']);
    // Forgotten, it fails anew.
    await health.failing('corpus', 'transport', {});
    expect(events).toHaveLength(3);
  });

  it('asks storage again after a minute: another process may have seen the opposite', async () => {
    const [one, two] = [process(), process()];
    await one.failing('corpus', 'store', trouble);
    await two.working('corpus', 'store');
    await one.failing('corpus', 'store', trouble);
    expect(await rows.get(healthPartition, 'corpus:store')).toBeUndefined();
    now += 60_001;
    await one.failing('corpus', 'store', trouble);
    expect((await rows.get(healthPartition, 'corpus:store'))?.columns).toMatchObject({ since: now, published: true });
  });
});
