import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes, singleKeys } from '../keys.ts';
import { runImport } from './run.ts';

/** What is said of a run that has failed. */

let inbox: TestInbox;
let logged: Record<string, unknown>[];

beforeEach(() => {
  inbox = new TestInbox();
  logged = [];
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((text: unknown) => void logged.push(JSON.parse(String(text))));
  }
  inbox.store.failure = () => {
    throw new StoreError('signIn', 'wrong password');
  };
});
afterEach(() => vi.restoreAllMocks());

const logs = () => logged.map(({ event }) => event);
const run = () => runImport(inbox.context, inbox.name, {});

describe('a run that fails', () => {
  it('before it has the account is recorded as failed', async () => {
    Object.assign(inbox.context, {
      account: async () => {
        throw new Error('the account cannot be read');
      },
    });
    await run();
    expect((await inbox.rowsOf(prefixes.run)).map(({ columns }) => columns)).toMatchObject([
      { status: 'failed', finishedAt: inbox.now, error: 'Error: the account cannot be read' },
    ]);
  });

  it('is written down once, with the end of its turn', async () => {
    const written: string[][] = [];
    inbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ key }) => key.startsWith(prefixes.run))) written.push(writes.map(({ key }) => key));
    };
    await importOnce(inbox);
    expect(written).toEqual([[singleKeys.turn, expect.stringMatching(`^${prefixes.run}`)]]);
  });

  it('has no log line of what waits where nothing does', async () => {
    await run();
    expect(logs()).toContain('inbox.runFailed');
    expect(logs()).not.toContain('inbox.backlog');
  });

  it('ends in good order where storage is away as well, and says what it could not write', async () => {
    inbox.store.failure = () => {
      inbox.rows.onWrite = () => {
        throw new Error('storage is away');
      };
      inbox.rows.range = () => {
        throw new Error('storage is away');
      };
      throw new StoreError('signIn', 'wrong password');
    };
    await run();
    expect(logs()).toEqual(
      expect.arrayContaining([
        'inbox.runFailed',
        'inbox.runNotRecorded',
        'inbox.backlogUnknown',
        'inbox.healthNotRecorded',
      ]),
    );
  });
});
