import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../adapters/transport.ts';
import {
  afterCopy,
  type CopyState,
  checkColumns,
  copyColumns,
  endedCopy,
  newCopy,
  requeuedCopy,
} from './sent-copy-state.ts';

const now = Date.UTC(2026, 5, 1);
const minute = 60_000;
const receipt = (outcome: Receipt['recipients'][number]['outcome'], retryAfterMs?: number): Receipt => ({
  recipients: [{ address: 'a', outcome }],
  ...(retryAfterMs === undefined ? {} : { trouble: { scope: 'connection', retryAfterMs } }),
});
const held: CopyState = { ...newCopy(now), note: 'where it stood' };

describe('a copy for Sent', () => {
  it('is due at once, and looked after in a minute', () => {
    expect(newCopy(now)).toEqual({ since: now, attempts: 0, dueAt: now, checkAt: now + minute });
  });

  it.each<[string, object, object]>([
    ['is requeued', requeuedCopy(held, now + 5), { ...held, dueAt: now + 5, checkAt: now + 5 + minute }],
    ['is requeued unread', checkColumns(now + 5, now), { checkAt: now + 5 + minute, waitMs: 5 + minute }],
    ['was put off', afterCopy(held, receipt('deferred'), now), { dueAt: now + minute, checkAt: now + 2 * minute }],
    ['its record is still to tell of', endedCopy(held, 'saved', now), { dueAt: now + minute, checkAt: now + minute }],
    ['waits', copyColumns(held, now + 5), { ...held, waitMs: minute - 5 }],
    ['waited long', copyColumns(held, now + 2 * minute), { waitMs: 0 }],
  ])('that %s is looked after once its queue message seems to be lost', (_, copy, times) => {
    expect(copy).toMatchObject(times);
  });

  it('is tried again as a mail is, for 48 hours', () => {
    let state = held;
    let at = now;
    const waits: number[] = [];
    while (state.ended === undefined) {
      const after = afterCopy(state, receipt('deferred'), at);
      if (after.ended === undefined) waits.push((after.dueAt - at) / minute);
      at = after.dueAt;
      state = after;
    }
    expect(waits.slice(0, 5)).toEqual([1, 5, 15, 60, 60]);
    expect(state.ended).toBe('failed');
    expect(at).toBeLessThanOrEqual(now + 48 * 60 * minute);
    for (const field of ['note', 'committedAt']) expect(state).not.toHaveProperty(field);
  });

  it('waits as long as the server asks, and no server gets it that refuses it for good', () => {
    expect(afterCopy(held, receipt('deferred', 30 * minute), now).dueAt).toBe(now + 30 * minute);
    expect(afterCopy(held, receipt('rejected'), now).ended).toBe('failed');
    expect(afterCopy(held, receipt('accepted'), now).ended).toBe('saved');
  });

  it('in doubt is asked about for fifteen minutes with its note, and never made again meanwhile', () => {
    const committed = { ...held, committedAt: now };
    for (const answer of [receipt('uncertain'), undefined]) {
      const doubt = afterCopy(committed, answer, now + 2 * minute);
      expect(doubt).toMatchObject({ committedAt: now, note: 'where it stood', dueAt: now + 3 * minute, attempts: 0 });
      expect(doubt).not.toHaveProperty('owner');
      expect(afterCopy(committed, answer, now + 15 * minute).ended).toBe('uncertain');
    }
    const again = afterCopy(committed, receipt('deferred'), now + 11 * minute);
    expect(again).toMatchObject({ attempts: 1, dueAt: now + 12 * minute });
    expect(again).not.toHaveProperty('committedAt');
  });
});
