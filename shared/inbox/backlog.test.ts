import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { logBacklog } from './backlog.ts';
import { TestInbox } from './inbox.test-support.ts';
import { pendingRow } from './ledger/pending.ts';
import type { Run } from './ledger/runs.ts';
import { noCounts } from './run-counts.ts';

/** The line that a run writes at its end, for the alert of mail that waits. */

const signal = new AbortController().signal;
let inbox: TestInbox;
let lines: Record<string, unknown>[];

beforeEach(() => {
  inbox = new TestInbox();
  lines = [];
  vi.spyOn(console, 'info').mockImplementation((text: unknown) => void lines.push(JSON.parse(String(text))));
});
afterEach(() => vi.restoreAllMocks());

const secondsAgo = (seconds: number) => inbox.now - seconds * 1_000;

/** A mail that is tried again, received so long ago. */
async function pend(item: string, seconds: number): Promise<void> {
  const source = { store: 's', scope: 'i', item };
  const mail = { source, folder: 'INBOX', receivedAt: secondsAgo(seconds) };
  await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: 1, reason: 'failed', now: inbox.now })]);
}

async function logged(run: Partial<Run>, options: { before?: number; pending?: boolean | undefined }) {
  const ended: Run = { ...noCounts(), id: 'run', status: 'done', startedAt: inbox.now, begun: true, ...run };
  await logBacklog(inbox.context, inbox.name, ended, { before: 0, pending: false, ...options, signal });
  return lines.map(({ event, mails, oldestAgeSeconds }) => ({ event, mails, oldestAgeSeconds }));
}

const line = (mails: number, oldestAgeSeconds: number) => [{ event: 'inbox.backlog', mails, oldestAgeSeconds }];

it.each([
  ['the run met no pending mail', false],
  ['the run ended before it looked for any', undefined],
])('there is none where nothing waits and nothing did: %s', async (_, pending) => {
  expect(await logged({ backlog: 0 }, { pending })).toEqual([]);
});

it('there is one while mail is left, and says when the oldest came', async () => {
  expect(await logged({ backlog: 2, oldestWaitingAt: secondsAgo(90) }, {})).toEqual(line(2, 90));
});

it.each([
  ['the run before had left mail', { before: 3 }],
  ['the run met pending mail, which is done', { pending: true }],
])('there is one more when nothing waits any longer: %s', async (_, options) => {
  expect(await logged({ backlog: 0 }, options)).toEqual(line(0, 0));
});

it.each([
  ['the oldest is pending', 30, 90],
  ['the oldest is left', 120, 120],
])('it tells of mail left and of mail pending together: %s', async (_, left, oldest) => {
  await pend('1', 60);
  await pend('2', 90);
  const run = { backlog: 2, oldestWaitingAt: secondsAgo(left) };
  expect(await logged(run, { pending: true })).toEqual(line(4, oldest));
});

it('it tells of mail that is pending alone, also where the run did not look', async () => {
  await pend('1', 60);
  expect(await logged({}, { pending: undefined })).toEqual(line(1, 60));
});

it('mail whose time lies ahead has waited no time', async () => {
  expect(await logged({ backlog: 1, oldestWaitingAt: inbox.now + 5_000 }, {})).toEqual(line(1, 0));
});
