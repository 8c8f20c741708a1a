import { describe, expect, it } from 'vitest';
import { StoreError, type StoreErrorKind } from '../../adapters/store.ts';
import type { ImportContext } from '../session/import-context.ts';
import { FolderFailures } from './folder-failures.ts';

function site() {
  const cut = new AbortController();
  const notes: unknown[] = [];
  const note = (...given: unknown[]) => void notes.push(given);
  const failures = new FolderFailures({ signal: cut.signal, note } as unknown as ImportContext);
  const fail = (folder: string, error: unknown) =>
    failures.attempt(folder, async () => {
      throw error;
    });
  const serve = (folder: string) => failures.attempt(folder, async () => 'served', { serves: true });
  return { cut, notes, failures, fail, serve };
}

const trouble = (kind: StoreErrorKind, details: ConstructorParameters<typeof StoreError>[2] = {}) =>
  new StoreError(kind, 'it went wrong', details);

describe('what goes wrong at a folder', () => {
  it.each<StoreErrorKind>(['folderMissing', 'permission', 'protocol', 'connection', 'resync'])(
    '%s is noted, and the next one has its turn',
    async (kind) => {
      const { failures, fail, serve } = site();
      expect(await fail('A', trouble(kind))).toBeUndefined();
      expect(await serve('B')).toBe('served');
      expect([failures.has('A'), failures.has('B')]).toEqual([true, false]);
      expect([failures.mayBeThere('A'), failures.mayBeThere('B')]).toEqual([kind !== 'folderMissing', false]);
    },
  );

  it.each<StoreErrorKind>(['signIn', 'throttled', 'noConnection'])('%s concerns them all', async (kind) => {
    const { failures, fail } = site();
    await expect(fail('A', trouble(kind))).rejects.toMatchObject({ kind });
    expect(failures.has('A')).toBe(false);
  });

  it('is thrown where it is no trouble of the server, or everything is to end', async () => {
    const { cut, fail } = site();
    await expect(fail('A', new Error('ours'))).rejects.toThrow('ours');
    cut.abort();
    await expect(fail('A', trouble('folderMissing'))).rejects.toThrow('it went wrong');
  });

  it('is over once the folder is gone through', async () => {
    const { failures, fail, serve, notes } = site();
    await fail('A', trouble('protocol'));
    expect(await failures.attempt('A', async () => 'looked at')).toBe('looked at');
    expect(failures.has('A')).toBe(true);
    await serve('A');
    failures.finish(['A']);
    expect([failures.has('A'), notes]).toEqual([false, []]);
  });
});

describe('a connection that is lost', () => {
  it('is its folder’s trouble where another one is gone through afterwards', async () => {
    const { failures, fail, serve, notes } = site();
    await fail('A', trouble('connection', { code: 'ECONNRESET' }));
    expect(failures.lostAt).toBe('A');
    await serve('B');
    expect(failures.lostAt).toBeUndefined();
    failures.finish(['A', 'B']);
    expect(notes).toMatchObject([[expect.stringContaining('folder "A": it went wrong'), { code: 'ECONNRESET' }]]);
  });

  it('is the session’s else, and is named after the first', async () => {
    const { failures, fail, serve } = site();
    await serve('A');
    await fail('B', trouble('connection', { retryAfterMs: 7 }));
    await fail('C', trouble('connection'));
    expect(failures.lostAt).toBe('B');
    expect(() => failures.finish(['A', 'B', 'C'])).toThrow(
      expect.objectContaining({ kind: 'connection', message: 'folder "B": it went wrong', retryAfterMs: 7 }),
    );
  });
});

describe('at the end', () => {
  it('nothing is said where nothing failed', async () => {
    const { failures, serve, notes } = site();
    await serve('A');
    failures.finish(['A', 'B']);
    expect(notes).toEqual([]);
  });

  it('some that failed are noted, each with its code or kind', async () => {
    const { failures, fail, serve, notes } = site();
    await serve('A');
    await fail('B', trouble('folderMissing'));
    await fail('C', trouble('permission', { code: 'NOPERM' }));
    failures.finish(['A', 'B', 'C']);
    expect(notes).toMatchObject([
      [expect.stringContaining('folder "B"'), { code: 'folderMissing', hint: 'folder "B": it went wrong' }],
      [expect.stringContaining('folder "C"'), { code: 'NOPERM', hint: 'folder "C": it went wrong' }],
    ]);
  });

  it('all that failed are the failure of the run, by the first one, which is named where there are several', async () => {
    const error = trouble('folderMissing', { code: 'GONE', hint: 'Look' });
    const one = site();
    await one.fail('A', error);
    expect(() => one.failures.finish(['A'])).toThrow(error);
    const two = site();
    await two.fail('A', error);
    await two.fail('B', trouble('permission'));
    expect(() => two.failures.finish(['A', 'B'])).toThrow(
      expect.objectContaining({ message: 'folder "A": it went wrong', code: 'GONE', hint: 'Look', cause: error }),
    );
    expect([one.notes, two.notes]).toEqual([[], []]);
  });

  it('a name and a reason that never end are cut', async () => {
    const { failures, fail, notes, serve } = site();
    await serve('A');
    await fail('n'.repeat(500), new StoreError('protocol', 'r'.repeat(500)));
    failures.finish(['A', 'n'.repeat(500)]);
    const [[, { hint }]] = notes as [[string, { hint: string }]];
    expect(hint).toBe(`folder "${'n'.repeat(100)}": ${'r'.repeat(300)}`.slice(0, 300));
  });
});
