import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { documentedEvents, type LogLine, logLines } from './support/log-lines.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type Answer, type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send, smtpAccount, waitingRecord } from './support/sending.ts';

const hourMs = 3_600_000;
const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

let mailroom: Mailroom;
let imap: ImapMailbox;
let smtp: ScriptedSmtp;
/** What the SMTP server says at a step; undefined: the ordinary. */
let answer: (step: string) => Answer | undefined = () => undefined;

beforeAll(async () => {
  const users = ['reader', 'broken', 'locked', 'clean'];
  [mailroom, imap, smtp] = await Promise.all([
    Mailroom.start(),
    startImapMailbox({ accounts: users.map((user) => ({ user, password: passwordOf(user) })) }),
    startScriptedSmtp({ answer: (step) => answer(step) }),
  ]);
  await smtpAccount(mailroom, 'corpus', { port: smtp.port });
});

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
  await smtp?.stop();
});

async function lines(event: string, about: Readonly<Record<string, unknown>> = {}): Promise<LogLine[]> {
  const all = logLines(await mailroom.log()).filter((line) => line.event === event);
  return all.filter((line) => Object.entries(about).every(([name, value]) => line[name] === value));
}

/** The first such line; it may be written a moment after the answer that a test has waited for. */
async function line(event: string, about: Readonly<Record<string, unknown>> = {}): Promise<LogLine> {
  return await until(`a line ${event}`, 60, async () => (await lines(event, about))[0]);
}

const whole = expect.toSatisfy((value: unknown) => Number.isInteger(value) && Number(value) >= 0);

describe('a message', () => {
  it('is followed from the call to its delivery by the trace id of the call', async () => {
    const { id } = await send(mailroom, 'corpus', {}, { traceparent });
    expect(await endedRecord(mailroom, id)).toMatchObject({ status: 'sent' });
    expect(await line('outbox.accepted', { message: id })).toEqual({
      ...{ event: 'outbox.accepted', account: 'corpus', message: id, traceId, status: 'queued', recipients: 1 },
      ...{ bytes: whole, ms: whole },
    });
    expect(await line('outbox.attempt', { message: id })).toEqual({
      ...{ event: 'outbox.attempt', account: 'corpus', message: id, traceId, status: 'sent', attempt: 1, accepted: 1 },
      ...{ rejected: 0, bytes: whole, ms: whole, sinceDueMs: whole },
    });
  });

  it('keeps the trace id over attempts and restarts; a call that names none has one as well', async () => {
    answer = (step) => (step === 'MAIL' ? '451 4.3.0 later' : undefined);
    const { id } = await send(mailroom, 'corpus', {}, { traceparent });
    const { id: other } = await send(mailroom, 'corpus');
    await waitingRecord(mailroom, id);
    await waitingRecord(mailroom, other);
    answer = () => undefined;
    await mailroom.kill();
    await mailroom.run({ shiftMs: hourMs });
    await mailroom.fire('outbox-recovery');
    for (const each of [id, other]) expect(await endedRecord(mailroom, each)).toMatchObject({ status: 'sent' });
    const attempts = await lines('outbox.attempt', { message: id });
    expect(attempts.map((each) => [each.status, each.attempt, each.traceId])).toEqual([
      ['queued', 1, traceId],
      ['sent', 2, traceId],
    ]);
    expect(attempts[0]).toMatchObject({ code: '451', scope: 'message' });
    expect(await line('outbox.recovered', { message: id })).toMatchObject({ account: 'corpus', traceId });
    const own = (await line('outbox.accepted', { message: other })).traceId;
    expect(own).toMatch(/^[0-9a-f]{32}$/);
    expect(own).not.toBe(traceId);
    expect((await lines('outbox.attempt', { message: other })).map((each) => each.traceId)).toEqual([own, own]);
  });

  it('that is taken back, and one whose server asks to slow down, are logged', async () => {
    const sendAt = new Date(Date.now() + 10 * hourMs).toISOString();
    const { id } = await send(mailroom, 'corpus', { sendAt });
    await mailroom.expect(200, 'DELETE', `/api/messages/${id}`);
    expect(await line('outbox.canceled', { message: id })).toMatchObject({ account: 'corpus', status: 'canceled' });

    answer = (step) => (step === 'MAIL' ? '421 4.7.0 too many messages, slow down' : undefined);
    const { id: slow } = await send(mailroom, 'corpus');
    await waitingRecord(mailroom, slow);
    answer = () => undefined;
    expect(await line('provider.throttled', { message: slow })).toMatchObject({ account: 'corpus', code: '421' });
  });
});

describe('an account', () => {
  it('that fails is reported once, hourly while it does, and once more when it works again', async () => {
    await mailboxAccount(mailroom, imap, 'locked');
    await mailroom.secret('locked', 'locked-imap', 'no longer its password');
    for (const _ of [1, 2]) expect(await mailroom.import('locked')).toMatchObject({ status: 'failed' });
    const failed = await lines('inbox.runFailed', { account: 'locked' });
    expect(failed.map(({ kind, run, ms, imported }) => ({ kind, run, ms, imported }))).toEqual([
      { kind: 'signIn', run: expect.any(String), ms: whole, imported: 0 },
      { kind: 'signIn', run: expect.any(String), ms: whole, imported: 0 },
    ]);
    const reported = () => lines('account.failing', { account: 'locked' });
    const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const trouble = {
      event: 'account.failing',
      account: 'locked',
      side: 'store',
      since: instant,
      code: expect.any(String),
    };
    const first = await reported();
    expect(first).toEqual([{ ...trouble, run: failed[0]?.run }]);
    await mailroom.fireToEnd('retention');
    expect(await reported()).toEqual([...first, { ...trouble, since: first[0]?.since, code: first[0]?.code }]);
    expect(await lines('account.recovered', { account: 'locked' })).toEqual([]);

    await mailroom.secret('locked', 'locked-imap', passwordOf('locked'));
    const { id } = await mailroom.import('locked');
    expect(await lines('account.recovered', { account: 'locked' })).toEqual([
      { event: 'account.recovered', account: 'locked', run: id, side: 'store', seconds: whole },
    ]);
    await mailroom.fireToEnd('retention');
    expect(await reported()).toHaveLength(2);
    // It never had a mail.
    expect(await lines('inbox.backlog', { account: 'locked' })).toEqual([]);
  });
});

describe('an import', () => {
  it('is reported in numbers, under the id of its run', async () => {
    await mailboxAccount(mailroom, imap, 'reader', { delete: { afterDays: 1 } });
    for (const subject of ['one', 'two']) imap.deliver('reader', simpleMail(subject));
    const { id } = await mailroom.import('reader');
    expect(await line('inbox.run', { account: 'reader' })).toEqual({
      ...{ event: 'inbox.run', account: 'reader', run: id, imported: 2, skipped: 0, pending: 0, quarantined: 0 },
      ...{ disposed: 0, ms: whole },
    });
    expect(await lines('inbox.backlog', { account: 'reader' })).toEqual([]);
  });

  const restarts = { timeout: 180_000 };
  it('says what waits while it waits, also when it fails, and once when nothing waits any more', restarts, async () => {
    await mailboxAccount(mailroom, imap, 'broken');
    const receivedAt = Date.now() + hourMs - 600_000;
    imap.deliver('broken', Buffer.from('\r\n \r\n'), { receivedAt });
    await mailroom.import('broken');
    const waits = () => lines('inbox.backlog', { account: 'broken' });
    // The process writes its log a moment behind its answers.
    const reported = (mails: readonly number[]) =>
      expect.poll(async () => (await waits()).map((each) => each.mails)).toEqual(mails);
    const first = await line('inbox.backlog', { account: 'broken' });
    expect(first).toMatchObject({ run: expect.any(String), mails: 1 });
    // Ten minutes by the service's clock, and the time that this test takes.
    expect(first.oldestAgeSeconds).toBeGreaterThanOrEqual(600);
    expect(first.oldestAgeSeconds).toBeLessThan(660);
    expect(await line('inbox.mailFailed', { account: 'broken' })).toMatchObject({ run: first.run, attempts: 1 });

    await mailroom.secret('broken', 'broken-imap', 'not its password');
    expect(await mailroom.import('broken')).toMatchObject({ status: 'failed' });
    await mailroom.secret('broken', 'broken-imap', passwordOf('broken'));
    await reported([1, 1]);

    const mails = [1, 1];
    for (let attempt = 2; attempt <= 5; attempt += 1) {
      await mailroom.kill();
      await mailroom.run({ shiftMs: attempt * 2 * hourMs });
      await mailroom.import('broken');
      // Before the process is killed with what it has not written yet.
      mails.push(attempt < 5 ? 1 : 0);
      await reported(mails);
    }
    expect(await line('inbox.quarantined', { account: 'broken' })).toMatchObject({ run: expect.any(String) });
    await mailroom.import('broken');
    await reported([1, 1, 1, 1, 1, 0]);
  });

  it('says what an earlier run had left, until one comes to its end', async () => {
    await mailboxAccount(mailroom, imap, 'clean');
    await mailroom.import('clean');
    // As a run leaves it whose time was over.
    const { connectionString } = mailroom.azurite;
    const table = TableClient.fromConnectionString(connectionString, 'inbox', { allowInsecureConnection: true });
    const turn = await table.getEntity<{ last: string }>('clean', 'turn');
    const last = { ...JSON.parse(turn.last), backlog: 3, oldestWaitingAt: Date.now() - hourMs };
    await table.updateEntity({ partitionKey: 'clean', rowKey: 'turn', last: JSON.stringify(last) });
    const reported = async () => (await lines('inbox.backlog', { account: 'clean' })).map(({ mails }) => mails);
    await mailroom.secret('clean', 'clean-imap', 'not its password');
    for (const _ of [1, 2]) expect(await mailroom.import('clean')).toMatchObject({ status: 'failed' });
    await expect.poll(reported).toEqual([3, 3]);
    expect((await line('inbox.backlog', { account: 'clean' })).oldestAgeSeconds).toBeGreaterThanOrEqual(3600);
    const status = await mailroom.expect(200, 'GET', '/api/accounts/clean/status');
    expect(status.json).toMatchObject({ backlog: 3, oldestNotImported: expect.any(String) });

    await mailroom.secret('clean', 'clean-imap', passwordOf('clean'));
    for (const _ of [1, 2]) expect(await mailroom.import('clean')).toMatchObject({ status: 'done' });
    await expect.poll(reported).toEqual([3, 3, 0]);
  });

  it('and what the timers do, is reported under a run of its own', async () => {
    await mailroom.fire('sweep');
    expect(await line('inbox.sweep', { account: 'reader' })).toMatchObject({
      imported: 0,
      run: expect.any(String),
      ms: whole,
    });
    await mailroom.kill();
    await mailroom.run({ shiftMs: 48 * hourMs });
    await mailroom.fire('retention');
    expect(await line('inbox.retention', { account: 'reader' })).toMatchObject({
      disposed: 2,
      run: expect.any(String),
      ms: whole,
    });
  });
});

it('a secret that will end, and the dialogue of an account with debug', async () => {
  const expiresAt = new Date(Date.now() + 20 * 24 * hourMs).toISOString();
  const body = { value: passwordOf('reader'), expiresAt };
  await mailroom.expect(200, 'PUT', '/api/accounts/reader/secrets/reader-imap', { body });
  await mailroom.fire('retention');
  expect(await line('secrets.expiring')).toMatchObject({ account: 'reader', secret: 'reader-imap', days: whole });
  const { json } = await mailroom.expect(200, 'GET', '/api/accounts/reader');
  await mailroom.expect(200, 'PUT', '/api/accounts/reader', { body: { ...json, debug: true } });
  await mailroom.import('reader');
  expect(await line('debug.dialogue', { account: 'reader', by: 'client' })).toMatchObject({ protocol: 'imap' });
});

it('a call that fails by our own trouble says which account it was about, and how long it took', async () => {
  await mailroom.keyVault.stop();
  await mailroom.expect([500, 502, 503], 'PUT', '/api/accounts/corpus/secrets/corpus-x', { body: { value: 'x' } });
  expect(await line('http.failed')).toMatchObject({ function: 'account-secret-put', account: 'corpus', ms: whole });
});

it('every line has the fields that docs/queries.md lists, and no other', async () => {
  const events = documentedEvents();
  const all = logLines(await mailroom.log());
  const seen = new Set(all.map(({ event }) => event));
  expect([...events.main.keys()].filter((event) => !seen.has(event))).toEqual([
    // A mail that comes back: see bounces.test.ts.
    'outbox.bounced',
    // A person has a mail sent again: see send-resend.test.ts.
    'outbox.resend',
    'outbox.deliverFailed',
    // Notifications of Graph: see graph-push.test.ts.
    'push.subscribed',
    'push.unsubscribed',
    'push.subscriptionGone',
    'push.failed',
    'push.refused',
    // It comes when a server that gave a note gives the mail: see import-doubts.test.ts.
    'inbox.substituteReplaced',
    // Deliveries of events: see webhooks.test.ts, event-grid.test.ts, and shared/events/event-grid/event-grid.test.ts for
    // what comes after hours and days.
    'webhook.delivered',
    'webhook.failing',
    'webhook.givenUp',
    'webhook.replayed',
    'events.topicFailing',
    'events.topicStillFailing',
    'events.topicWorks',
    'events.topicRefusedEvent',
    'events.topicGivenUp',
    // A queue message that was given up: see poison-queues.test.ts.
    'queue.gaveUp',
    'debug.dialogueCut',
    'timer.jobFailed',
    // Storage's trouble while accounts are listed.
    'accounts.changeNotNoted',
    'accounts.summariesNotKept',
    'timer.accountFailed',
    'http.settings',
    'app.settings',
  ]);
  for (const { event, ...fields } of all) {
    const known = events.fields(event) ?? [];
    expect(
      Object.keys(fields).filter((field) => !known.includes(field)),
      event,
    ).toEqual([]);
  }
  for (const [event, fields] of events.main) {
    if (!seen.has(event)) continue;
    const written = new Set(all.flatMap((each) => (each.event === event ? Object.keys(each) : [])));
    // Where the trouble is of a kind that this test does not make.
    const aboutMail = ['account.failing', 'account.recovered', 'debug.dialogue'].includes(event);
    const elsewhere = aboutMail ? ['message'] : ['retryAfterMs', 'run'];
    expect(
      fields.filter((field) => !written.has(field) && !elsewhere.includes(field)),
      event,
    ).toEqual([]);
  }
});

it('every line about a message names it, and every line of an import its run', async () => {
  const all = logLines(await mailroom.log());
  const outbox = all.filter(({ event }) => event.startsWith('outbox.'));
  const inbox = all.filter(({ event }) => event.startsWith('inbox.'));
  expect(outbox.length).toBeGreaterThan(5);
  expect(outbox.filter(({ account, message }) => !account || !message)).toEqual([]);
  expect(inbox.length).toBeGreaterThan(10);
  expect(inbox.filter(({ account, run }) => !account || !run)).toEqual([]);
});
