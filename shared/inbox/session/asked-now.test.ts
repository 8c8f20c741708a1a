import { describe, expect, it } from 'vitest';
import { resultOf } from './asked-now.ts';
import type { SessionResult } from './with-session.ts';

describe('a caller who waits for a session', () => {
  it('gets what came of it', () => {
    expect(resultOf({ kind: 'done', result: 7 })).toBe(7);
  });

  it.each([
    ['is worked on', { kind: 'leased', holder: { purpose: 'import', runId: 'one' } }, 'is busy (import)'],
    ['was worked on a moment ago', { kind: 'leased', holder: { purpose: '', runId: '' } }, 'is busy; try again'],
    ['has no connection to spare', { kind: 'noConnection', retryAfterMs: 7_000 }, 'All connections'],
    ['is not to be worked on', { kind: 'inactive' }, 'disabled or has no store'],
  ] satisfies [string, SessionResult<never>, string][])('is told why, where the account %s', (_, session, why) => {
    const refused = { name: 'Refusal', reason: 'conflict', message: expect.stringContaining(why) };
    expect(() => resultOf(session)).toThrow(expect.objectContaining(refused));
  });
});
