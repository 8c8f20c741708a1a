import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import type { Rows } from '../../platform/rows.ts';
import { openKey } from '../keys.ts';
import { BacklogLimit } from './backlog-limit.ts';

const second = 1_000;
const hour = 3_600_000;

/** An account's open mail, and how often it is counted. */
class Site {
  now = Date.UTC(2026, 5, 1);
  counts = 0;
  readonly rows = new MemoryRows(() => this.now);
  readonly #clock = { now: () => this.now };

  limit(max: number | undefined): BacklogLimit {
    const range: Rows['range'] = (...asked) => {
      this.counts += 1;
      return this.rows.range(...asked);
    };
    return new BacklogLimit({ range }, this.#clock, { max, withinMs: hour });
  }

  async waits(from: number, to: number, dueInMs = 0): Promise<void> {
    for (let n = from; n < to; n += 1) {
      const columns = { checkAt: this.now + dueInMs + 60 * second, waitMs: 0 };
      await this.rows.write('corpus', [{ kind: 'put', key: openKey(`mail${n}`), columns }]);
    }
  }

  async leaves(from: number, to: number): Promise<void> {
    for (let n = from; n < to; n += 1) await this.rows.write('corpus', [{ kind: 'delete', key: openKey(`mail${n}`) }]);
  }
}

describe('the limit of what waits', () => {
  it('is none unless it is set, and then nothing is counted', async () => {
    const site = new Site();
    await site.waits(0, 50);
    await site.limit(undefined).check('corpus');
    expect(site.counts).toBe(0);
  });

  it('refuses with a time to come again while as much waits, of that account alone', async () => {
    const site = new Site();
    const limit = site.limit(10);
    await site.waits(0, 10);
    await expect(limit.check('corpus')).rejects.toMatchObject({ reason: 'tooMany', retryAfterMs: 60_000 });
    await limit.check('other');
    await site.leaves(0, 1);
    site.now += 2 * second;
    await limit.check('corpus');
  });

  it('counts what waits for another attempt, and not what its sender scheduled for later', async () => {
    const site = new Site();
    const limit = site.limit(10);
    await site.waits(0, 30, 2 * hour);
    await limit.check('corpus');
    await site.waits(30, 40, hour);
    site.now += 11 * second;
    await expect(limit.check('corpus')).rejects.toMatchObject({ reason: 'tooMany' });
  });

  it('counts seldom, however many calls there are, and once for many at a time', async () => {
    const site = new Site();
    const limit = site.limit(1_000);
    await Promise.all(Array.from({ length: 50 }, () => limit.check('corpus')));
    for (let call = 0; call < 500; call += 1) {
      await limit.check('corpus');
      limit.accepted('corpus');
    }
    expect(site.counts).toBe(1);
    site.now += 10 * second;
    await limit.check('corpus');
    expect(site.counts).toBe(2);
  });

  it('counts again where the calls of this process alone would reach it, and refuses by that count only', async () => {
    const site = new Site();
    const limit = site.limit(10);
    await limit.check('corpus');
    for (let call = 0; call < 10; call += 1) limit.accepted('corpus');
    site.now += 2 * second;
    // They have left meanwhile.
    await limit.check('corpus');
    expect(site.counts).toBe(2);
    await site.waits(0, 10);
    for (let call = 0; call < 10; call += 1) limit.accepted('corpus');
    site.now += 2 * second;
    await expect(limit.check('corpus')).rejects.toMatchObject({ reason: 'tooMany' });
  });

  it('does not count mail that has ended', async () => {
    const site = new Site();
    await site.waits(0, 10);
    await site.rows.write('corpus', [{ kind: 'merge', key: openKey('mail3'), columns: { ended: true } }]);
    await site.limit(10).check('corpus');
  });

  it('counts the more seldom the more there is to count', async () => {
    const site = new Site();
    const limit = site.limit(10_000);
    await site.waits(0, 2_000);
    await limit.check('corpus');
    site.now += 12 * second - 1;
    await limit.check('corpus');
    expect(site.counts).toBe(1);
    site.now += 1;
    await limit.check('corpus');
    expect(site.counts).toBe(2);
  });
});
