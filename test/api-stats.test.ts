import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send, smtpAccount, waitingRecord } from './support/sending.ts';

let mailroom: Mailroom;
let imap: ImapMailbox;
/** Refuses everybody whose address begins with "nobody", and puts off "later". */
let smtp: ScriptedSmtp;

beforeAll(async () => {
  [mailroom, imap, smtp] = await Promise.all([
    Mailroom.start(),
    startImapMailbox({ accounts: ['reader', 'both'].map((user) => ({ user, password: passwordOf(user) })) }),
    startScriptedSmtp({
      answer: (step, line) => {
        if (step !== 'RCPT') return undefined;
        if (line.includes('<nobody')) return '550 5.1.1 no such user';
        return line.includes('<later') ? '451 4.7.1 come again' : undefined;
      },
    }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
  await smtp?.stop();
});

const statsOf = async (path: string) => (await mailroom.expect(200, 'GET', path)).json.items;
const none = {
  ...{ imported: 0, bytes: 0, quarantined: 0, accepted: 0, sent: 0, failed: 0, uncertain: 0, bounced: 0 },
  ...{ backlog: null, medianSeconds: null, p95Seconds: null },
};
/** The newest two days together: a test may begin before midnight and end after it. */
const lately = (items: readonly Record<string, number>[], name: string) =>
  items.slice(0, 2).reduce((sum, day) => sum + (day[name] ?? 0), 0);
const counts = (items: readonly Record<string, number>[]) =>
  Object.fromEntries(
    ['imported', 'bytes', 'accepted', 'sent', 'failed', 'uncertain', 'quarantined'].map((name) => [
      name,
      lately(items, name),
    ]),
  );

describe('stats', () => {
  const subjects = ['first', 'second', 'third'];
  const bytes = subjects.reduce((sum, subject) => sum + simpleMail(subject).length, 0);
  const sender = { ...{ imported: 0, bytes: 0, accepted: 5, sent: 3, failed: 1 }, uncertain: 0, quarantined: 0 };
  const reader = { ...{ imported: 3, bytes, accepted: 0, sent: 0, failed: 0 }, uncertain: 0, quarantined: 0 };

  it('list what came and went on each day', async () => {
    await smtpAccount(mailroom, 'sender', { port: smtp.port });
    await mailboxAccount(mailroom, imap, 'reader');
    for (const subject of subjects) imap.deliver('reader', simpleMail(subject));
    expect(await mailroom.import('reader')).toMatchObject({ imported: 3 });
    // Nothing new: nothing is counted.
    await mailroom.import('reader');
    const to = ['anna@example.org', 'bert@example.org', 'carl@example.org', 'nobody@example.org'];
    const ids = await Promise.all(to.map((each) => send(mailroom, 'sender', { to: each })));
    for (const { id } of ids) await endedRecord(mailroom, id);
    await waitingRecord(mailroom, (await send(mailroom, 'sender', { to: 'later@example.org' })).id);

    const items = await statsOf('/api/accounts/sender/stats');
    expect(items).toHaveLength(30);
    expect(items.map(({ day }: { day: string }) => day)).toEqual(
      items
        .map(({ day }: { day: string }) => day)
        .sort()
        .reverse(),
    );
    expect(items[0].day).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(items[5]).toEqual({ day: expect.any(String), ...none });
    expect(counts(items)).toEqual(sender);
    const seconds = items.find(({ sent }: { sent: number }) => sent > 0);
    expect(seconds.medianSeconds).toBeGreaterThan(0);
    expect(seconds.p95Seconds).toBeGreaterThanOrEqual(seconds.medianSeconds);
    expect(counts(await statsOf('/api/accounts/reader/stats?days=2'))).toEqual(reader);
    await mailroom.fireToEnd('retention');
    const backlogs = async (path: string) =>
      (await statsOf(path))
        .map(({ backlog }: { backlog: number | null }) => backlog)
        .filter((one: number | null) => one !== null);
    expect(await backlogs('/api/accounts/reader/stats?days=2')).toEqual([0]);
    // It imports nothing: there is nothing to be left.
    expect(await backlogs('/api/accounts/sender/stats?days=2')).toEqual([]);
    expect(await statsOf('/api/accounts/reader/stats?days=90')).toHaveLength(90);
  });

  it('of all accounts are the sum, and those of an account that was deleted are in it', async () => {
    const sum = { ...sender, imported: 3, bytes };
    expect(counts(await statsOf('/api/stats'))).toEqual(sum);
    await smtpAccount(mailroom, 'gone', { port: smtp.port });
    await endedRecord(mailroom, (await send(mailroom, 'gone')).id);
    await mailroom.expect(204, 'DELETE', '/api/accounts/gone');
    expect(counts(await statsOf('/api/stats?days=2'))).toEqual({ ...sum, accepted: 6, sent: 4 });
  });

  it('are the same after the process was killed', async () => {
    await mailroom.kill();
    await mailroom.run();
    expect(counts(await statsOf('/api/accounts/sender/stats'))).toEqual(sender);
    expect(counts(await statsOf('/api/accounts/reader/stats'))).toEqual(reader);
  });

  it('are asked for 1 to 90 days of an account that there is', async () => {
    for (const days of ['0', '91', '100', '-1', '1.5', 'x', '']) {
      for (const path of ['/api/stats', '/api/accounts/sender/stats']) {
        expect(problem(await mailroom.call('GET', `${path}?days=${days}`), 400).pointers).toEqual(['/days']);
      }
    }
    expect(problem(await mailroom.call('GET', '/api/stats?day=3'), 400).pointers).toEqual(['/day']);
    problem(await mailroom.call('GET', '/api/accounts/never-was/stats'), 404);
  });
});

describe('the list of accounts with health', () => {
  it('has of each what its status has, without a call to a mail server', async () => {
    await mailboxAccount(
      mailroom,
      imap,
      'both',
      {},
      {
        transport: { protocol: 'smtp', host: '127.0.0.1', port: smtp.port, tls: { starttls: 'never' } },
      },
    );
    const connections = smtp.connections();
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts?health=true');
    expect(json.items.map(({ name }: { name: string }) => name)).toEqual(['both', 'reader', 'sender']);
    for (const { health, ...account } of json.items) {
      expect(account).toEqual((await mailroom.expect(200, 'GET', `/api/accounts/${account.name}`)).json);
      expect(health).toEqual((await mailroom.expect(200, 'GET', `/api/accounts/${account.name}/status`)).json);
    }
    expect(smtp.connections()).toBe(connections);
  });

  it('comes in pages, and is left out where it is not asked for', async () => {
    const first = await mailroom.expect(200, 'GET', '/api/accounts?health=true&top=2');
    expect(first.json.items).toHaveLength(2);
    const more = await mailroom.expect(200, 'GET', `/api/accounts?health=true&top=2&continue=${first.json.continue}`);
    expect(more.json.items.map(({ health }: { health: { account: string } }) => health.account)).toEqual(['sender']);
    expect(more.json).not.toHaveProperty('continue');
    for (const query of ['', '?health=false']) {
      const { json } = await mailroom.expect(200, 'GET', `/api/accounts${query}`);
      expect(json.items.some((item: object) => 'health' in item)).toBe(false);
    }
    const wrong = await mailroom.call('GET', '/api/accounts?health=maybe&top=0&healthy=true');
    expect(problem(wrong, 400).pointers).toEqual(['/health', '/healthy', '/top']);
  });
});

describe('status', () => {
  it('says what waits to be sent, and what failed last', async () => {
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/sender/status');
    expect(json.transport).toEqual({
      waiting: 1,
      oldestWaiting: expect.stringMatching(/^20\d\d-/),
      failedWithinDay: 1,
      lastFailure: {
        at: expect.stringMatching(/^20\d\d-/),
        message: expect.stringMatching(/^sender\./),
        code: '550',
        hint: expect.stringContaining('recipient'),
      },
    });
    const failed = await mailroom.expect(200, 'GET', `/api/messages/${json.transport.lastFailure.message}`);
    expect(failed.json.status).toBe('failed');
  });
});
