import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eachAccount } from './each-account.ts';

const patienceMs = 300_000;
let elapsedMs: number;
let warned: unknown[];
let cut: AbortController;

beforeEach(() => {
  elapsedMs = 0;
  warned = [];
  cut = new AbortController();
  vi.spyOn(performance, 'now').mockImplementation(() => elapsedMs);
  vi.spyOn(console, 'warn').mockImplementation((line: unknown) => {
    warned.push(JSON.parse(String(line)));
  });
});
afterEach(() => vi.restoreAllMocks());

const each = (names: readonly string[], task: (name: string) => Promise<unknown>) =>
  eachAccount(names, task, { signal: cut.signal, label: 'sweep' });

describe('accounts that others work on', () => {
  it('all the time are left to the next turn of the timer, and the log says how many', async () => {
    const asked = new Set<string>();
    await each(['idle', 'busy', 'busier'], async (name) => {
      if (asked.has(name)) cut.abort(new Error(`${name} was come back to`));
      asked.add(name);
      elapsedMs = patienceMs + 1;
      return name === 'idle' ? undefined : 'leased';
    });
    expect([...asked].sort()).toEqual(['busier', 'busy', 'idle']);
    expect(warned).toEqual([{ event: 'inbox.accountsBusy', task: 'sweep', accounts: 2 }]);
  });

  it('are not what the log tells of where the work itself took that long', async () => {
    await each(['slow'], async () => {
      elapsedMs = patienceMs + 1;
    });
    expect(warned).toEqual([]);
  });

  it('are not come back to at once, and the end of the process is not kept waiting for it', async () => {
    let asked = 0;
    const task = async () => {
      asked += 1;
      if (asked > 1) {
        cut.abort(new Error('come back to at once'));
        throw cut.signal.reason;
      }
      queueMicrotask(() => cut.abort(new Error('the process is to end')));
      return 'leased';
    };
    await expect(each(['busy'], task)).rejects.toThrow('the process is to end');
  });
});
