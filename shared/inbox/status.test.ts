import { describe, expect, it } from 'vitest';
import { StoreError } from '../adapters/store.ts';
import { newestFirstId } from '../platform/ids.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { runImport } from './importing/run.ts';
import { fakeMail, TestInbox } from './inbox.test-support.ts';
import { droppedKey, dueKey, prefixes, quarantineKey } from './keys.ts';
import { announceRun, writeRun } from './ledger/runs.ts';
import { acquireLease } from './session/lease.ts';
import { accountStatus, currentBacklog } from './status.ts';

const options = { signal: new AbortController().signal };
const dayMs = 24 * 3_600_000;

/** `expiry`: what Key Vault says of a secret's end. */
const statusOf = (inbox: TestInbox, expiry: () => Date | null | undefined = () => null) =>
  accountStatus(inbox.context, { expiry: async () => expiry() } as unknown as SecretStore, inbox.account, options);

async function importNow(inbox: TestInbox): Promise<void> {
  inbox.now += 60_000;
  await runImport(inbox.context, inbox.name, {});
}

const broken = { kind: 'broken', reason: 'notMail' } as const;

describe('the status of an account', () => {
  it('that never imported says nothing but its secrets', async () => {
    const inbox = new TestInbox();
    expect(await statusOf(inbox)).toEqual({
      account: inbox.name,
      enabled: true,
      lastRun: null,
      backlog: 0,
      oldestNotImported: null,
      pending: 0,
      quarantined: 0,
      deletionsToCome: 0,
      disposalsFailing: { count: 0, last: null },
      disposalsDropped: 0,
      failing: [],
      lastErrors: [],
      secrets: [{ name: `${inbox.name}-imap`, state: 'ok', expiresAt: null }],
    });
  });

  it('counts what waits, each kind by itself', async () => {
    const inbox = new TestInbox();
    const rows = (count: number, key: (n: number) => string) =>
      Array.from({ length: count }, (_, n) => ({ kind: 'insert' as const, key: key(n), columns: { at: n } }));
    await inbox.rows.writeAll(inbox.name, [
      ...rows(2, (n) => quarantineKey(n, `${n}`)),
      ...rows(3, (n) => dueKey(n, `l:${n}`)),
      ...rows(4, (n) => droppedKey(n, `l:${n}`)),
    ]);
    expect(await statusOf(inbox)).toMatchObject({
      pending: 0,
      quarantined: 2,
      deletionsToCome: 3,
      disposalsDropped: 4,
      disposalsFailing: { count: 0 },
    });
  });

  it('counts up to 5,000 of a kind', async () => {
    const inbox = new TestInbox();
    for (let n = 0; n < 5_001; n += 1) {
      await inbox.rows.write(inbox.name, [{ kind: 'insert', key: dueKey(n, 'l:x'), columns: { at: n } }]);
    }
    expect((await statusOf(inbox)).deletionsToCome).toBe(5_000);
  });

  it('tells the oldest mail that is not imported: of those left, and of those pending', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [1, 2].map(fakeMail);
    inbox.store.content = ({ item }) => (item === fakeMail(2).item ? broken : undefined);
    await importNow(inbox);
    const pendingAt = fakeMail(2).receivedAt;
    expect(await statusOf(inbox)).toMatchObject({ pending: 1, oldestNotImported: new Date(pendingAt).toISOString() });
    const left = { backlog: 7, oldestWaitingAt: pendingAt - 1 };
    inbox.now += 60_000;
    await writeRun(inbox.context, inbox.name, { ...(await announceRun(inbox.context, inbox.name)), ...left });
    const oldestNotImported = new Date(pendingAt - 1).toISOString();
    expect(await statusOf(inbox)).toMatchObject({ backlog: 7, oldestNotImported });
  });

  it('keeps the backlog of the last run that knew it, while another is under way or has failed', async () => {
    const inbox = new TestInbox();
    await writeRun(inbox.context, inbox.name, {
      ...(await announceRun(inbox.context, inbox.name)),
      status: 'done',
      begun: true,
      backlog: 3,
      finishedAt: inbox.now,
    });
    inbox.store.failure = () => {
      throw new StoreError('connection', 'the line broke', { code: 'ECONNRESET' });
    };
    await importNow(inbox);
    const status = await statusOf(inbox);
    expect(status).toMatchObject({ backlog: 3, lastRun: { status: 'failed' }, failing: [{ code: 'ECONNRESET' }] });
    expect(status.lastErrors).toEqual([
      { runId: status.lastRun?.id, at: status.lastRun?.finishedAt, error: status.lastRun?.error },
    ]);
  });

  it('passes over a run that only waits on the queue, unless it has failed there', async () => {
    const inbox = new TestInbox();
    await importNow(inbox);
    const { lastRun } = await statusOf(inbox);
    expect(lastRun).toMatchObject({ status: 'done', startedAt: new Date(inbox.now).toISOString() });
    inbox.now += 1_000;
    const waiting = await announceRun(inbox.context, inbox.name);
    expect((await statusOf(inbox)).lastRun).toEqual(lastRun);
    const failed = { ...waiting, status: 'failed' as const, finishedAt: inbox.now, error: 'given up' };
    await writeRun(inbox.context, inbox.name, failed);
    expect(await statusOf(inbox)).toMatchObject({
      lastRun: { id: waiting.id },
      lastErrors: [{ runId: waiting.id, error: 'given up' }],
    });
  });

  it('tells of the last run, with a row or without one', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
    await importNow(inbox);
    expect((await statusOf(inbox)).lastRun).toMatchObject({ imported: 1 });
    // It finds nothing, so that it has no row.
    await importNow(inbox);
    const { lastRun } = await statusOf(inbox);
    expect(lastRun).toMatchObject({ imported: 0, startedAt: new Date(inbox.now).toISOString() });
  });

  it('tells of the run under way, beside the backlog and the errors of those before', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    const failed = await announceRun(context, name);
    inbox.now += 5_000;
    const finishedAt = inbox.now;
    const ended = { ...failed, status: 'failed' as const, begun: true, finishedAt, error: 'no', backlog: 3 };
    await writeRun(context, name, ended);
    inbox.now += 60_000;
    const runId = newestFirstId(inbox.now);
    const lease = await acquireLease(context, name, { runId, purpose: 'import' });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    expect(await statusOf(inbox)).toMatchObject({
      lastRun: { id: runId, status: 'running', startedAt: new Date(inbox.now).toISOString(), finishedAt: null },
      backlog: 3,
      lastErrors: [{ runId: failed.id, at: new Date(finishedAt).toISOString(), error: 'no' }],
    });
    await lease.release();
  });

  it('tells the latest refusal of a disposal', async () => {
    const inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
    inbox.store.mails = [1, 2].map(fakeMail);
    inbox.store.outcome = (item) => ({
      refused: new StoreError('protocol', `no to ${item}`, {
        code: 'NOPERM',
        ...(item === fakeMail(2).item ? { hint: 'Look' } : {}),
      }),
    });
    await importNow(inbox);
    const { disposalsFailing } = await statusOf(inbox);
    expect(disposalsFailing).toMatchObject({ count: 2, last: { at: new Date(inbox.now).toISOString() } });
    const rows = await inbox.rowsOf(prefixes.refused);
    const last = rows.at(-1)?.key ?? '';
    await inbox.rows.write(inbox.name, [
      { kind: 'merge', key: last, columns: { at: inbox.now + 5, reason: 'the last', hint: 'Look' } },
    ]);
    expect((await statusOf(inbox)).disposalsFailing.last).toEqual({
      at: new Date(inbox.now + 5).toISOString(),
      code: 'NOPERM',
      reason: 'the last',
      hint: 'Look',
    });
  });
});

describe('the backlog of an account', () => {
  const backlogOf = (inbox: TestInbox) => currentBacklog(inbox.context, inbox.name, options);
  const done = { status: 'done', begun: true } as const;

  it('is unknown where no run knew it', async () => {
    const inbox = new TestInbox();
    expect(await backlogOf(inbox)).toBeUndefined();
    await announceRun(inbox.context, inbox.name);
    expect(await backlogOf(inbox)).toBeUndefined();
  });

  it('is what the last run has left, though it has no row of its own', async () => {
    const inbox = new TestInbox();
    await importNow(inbox);
    inbox.now += 1_000;
    const before = await announceRun(inbox.context, inbox.name);
    await writeRun(inbox.context, inbox.name, { ...before, ...done, backlog: 7 });
    await importNow(inbox);
    expect(await backlogOf(inbox)).toBe(0);
  });

  it('is what the last run with a row knew, where the turn does not say', async () => {
    const inbox = new TestInbox();
    for (const backlog of [7, 3, undefined]) {
      inbox.now += 1_000;
      const run = { ...(await announceRun(inbox.context, inbox.name)), ...done };
      await writeRun(inbox.context, inbox.name, backlog === undefined ? run : { ...run, backlog });
    }
    expect(await backlogOf(inbox)).toBe(3);
  });
});

describe('a secret that the account names', () => {
  const at = (ms: number) => (inbox: TestInbox) => new Date(inbox.now + ms);

  it.each<[string, (inbox: TestInbox) => Date | null | undefined, string]>([
    ['is good beyond 30 days', at(30 * dayMs + 1), 'ok'],
    ['ends within 30 days', at(30 * dayMs), 'ending'],
    ['ends in a moment', at(1), 'ending'],
    ['has ended', at(0), 'ended'],
    ['has no end', () => null, 'ok'],
    ['is not there', () => undefined, 'missing'],
  ])('%s', async (_, expiry, state) => {
    const inbox = new TestInbox();
    const expiresAt = expiry(inbox)?.toISOString() ?? null;
    expect((await statusOf(inbox, () => expiry(inbox))).secrets).toEqual([
      { name: `${inbox.name}-imap`, state, expiresAt },
    ]);
  });

  it('is unknown while Key Vault is away, and all else is told', async () => {
    const inbox = new TestInbox();
    const status = await statusOf(inbox, () => {
      throw new Error('Key Vault is away');
    });
    expect(status).toMatchObject({ account: inbox.name, secrets: [{ state: 'unknown', expiresAt: null }] });
  });
});
