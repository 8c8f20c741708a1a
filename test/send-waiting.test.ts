import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type Answer, type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, recordOf, recordWhen, send, smtpAccount, waitingRecord } from './support/sending.ts';

let mailroom: Mailroom;
let events: EventReader;
const servers: ScriptedSmtp[] = [];

beforeAll(async () => {
  mailroom = await Mailroom.start();
  events = new EventReader(mailroom);
});

afterAll(async () => {
  await mailroom?.stop();
  for (const server of servers) await server.stop();
});

/** An account whose server answers as `answer` says; undefined: the ordinary yes. */
async function account(
  name: string,
  answer: (step: string, line: string) => Answer | undefined,
  extensions?: readonly string[],
): Promise<ScriptedSmtp> {
  const server = await startScriptedSmtp({ answer, ...(extensions ? { extensions } : {}) });
  servers.push(server);
  await smtpAccount(mailroom, name, { port: server.port });
  return server;
}

const mail = { to: 'anna@example.org', subject: 'Zahlen', text: 'Eins.' };

describe('a caller who waits (Prefer: wait)', () => {
  it('hears of the attempt that was made, and when the next one is', async () => {
    await account('grey', (step) => (step === 'RCPT' ? '450 4.7.1 greylisted, come again' : undefined));
    const path = '/api/accounts/grey/messages';
    const { json, headers } = await mailroom.expect(202, 'POST', path, { body: mail, headers: { prefer: 'wait=30' } });
    expect(json).toEqual({
      id: expect.any(String),
      status: 'queued',
      messageId: expect.any(String),
      attempt: { outcome: 'deferred', code: '450', reply: '4.7.1 greylisted, come again', hint: expect.any(String) },
      nextAttemptAt: expect.any(String),
    });
    // The wish was for the end of it, which did not come.
    expect(headers.get('preference-applied')).toBeNull();
    const record = await recordOf(mailroom, json.id);
    expect(record.nextAttemptAt).toBe(json.nextAttemptAt);
    expect(record.attempts).toEqual([
      { at: expect.any(String), outcome: 'deferred', code: '450', reply: '4.7.1 greylisted, come again' },
    ]);
  });

  it('hears of none where none came to its end', async () => {
    await account('slow', (step) => (step === 'MAIL' ? { next: 'silent' } : undefined));
    const path = '/api/accounts/slow/messages';
    const { json } = await mailroom.expect(202, 'POST', path, { body: mail, headers: { prefer: 'wait=1' } });
    expect(Object.keys(json).sort()).toEqual(['id', 'messageId', 'status']);
  });
});

const needsSignIn = '530 5.7.0 Authentication required';

async function waiting(name: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await send(mailroom, name)).id);
  for (const id of ids) await waitingRecord(mailroom, id);
  return ids;
}

async function allSent(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { status, attempts } = await endedRecord(mailroom, id, 40);
    expect({ status, attempts: attempts.map(({ outcome }) => outcome) }).toEqual({
      status: 'sent',
      attempts: ['deferred', 'sent'],
    });
  }
}

const types = async (about: string) => [...new Set((await events.about(about)).map(({ type }) => type))].sort();

const minute = 60_000;

/** Goes on so much later, in a new process. */
async function at(shiftMs: number): Promise<void> {
  await mailroom.kill();
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

describe('mail that waits for its account (design section 4.6)', () => {
  it('is released when the account works again', async () => {
    let refuses = true;
    const server = await account('works', (step) => (step === 'MAIL' && refuses ? needsSignIn : undefined));
    const ids = await waiting('works', 12);
    expect((await recordOf(mailroom, ids[0] ?? '')).attempts).toMatchObject([{ outcome: 'deferred', code: '530' }]);
    expect(await types('works')).toEqual(['mailroom.account.failing']);
    // What its sender scheduled stays so.
    const later = await send(mailroom, 'works', { sendAt: new Date(Date.now() + 3_600_000).toISOString() });
    refuses = false;
    const { id } = await send(mailroom, 'works');
    expect((await endedRecord(mailroom, id)).attempts).toHaveLength(1);
    await allSent(ids);
    expect(await types('works')).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
    expect((await recordOf(mailroom, later.id)).status).toBe('scheduled');
    expect(server.mails).toHaveLength(13);
  });

  it('is released when the transport is changed', async () => {
    await account('moved', (step) => (step === 'MAIL' ? needsSignIn : undefined));
    const ids = await waiting('moved', 2);
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/moved');
    // Nothing that is sent by: nothing is released.
    await mailroom.expect(200, 'PUT', '/api/accounts/moved', { body: { ...json, webhook: undefined, debug: true } });
    await account('moved', () => undefined);
    await allSent(ids);
  });

  it('is released also where an attempt was under way when the transport was changed', async () => {
    const server = await account('meanwhile', (step) => (step === 'MAIL' ? { next: 'silent' } : undefined));
    await smtpAccount(mailroom, 'meanwhile', { port: server.port, timeout: 4_000 });
    const { id } = await send(mailroom, 'meanwhile');
    await recordWhen(mailroom, id, 'under way', ({ status }) => status === 'sending');
    await account('meanwhile', () => undefined);
    expect((await recordOf(mailroom, id)).attempts).toEqual([]);
    await allSent([id]);
  });

  it('is released when the account is enabled again', async () => {
    const server = await account('paused', () => undefined);
    await smtpAccount(mailroom, 'paused', { port: server.port });
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/paused');
    server.answers((step) => (step === 'MAIL' ? '451 4.3.0 not now' : undefined));
    const ids = await waiting('paused', 2);
    await mailroom.expect(200, 'PATCH', '/api/accounts/paused', { body: { enabled: false } });
    problem(await mailroom.call('POST', '/api/accounts/paused/retry'), 409);
    problem(await mailroom.call('POST', `/api/messages/${ids[0]}/retry`), 409);
    server.answers(() => undefined);
    await mailroom.expect(200, 'PATCH', '/api/accounts/paused', { body: { enabled: json.enabled } });
    await allSent(ids);
  });

  it('is released when its secret is written anew', async () => {
    await mailroom.secret('signs', 'signs-smtp', 'wrong-password');
    const right = Buffer.from('\0signs\0right-password').toString('base64');
    const server = await startScriptedSmtp({
      extensions: ['AUTH PLAIN', '8BITMIME'],
      answer: (step, line) => (step === 'AUTH' && !line.endsWith(right) ? '535 5.7.8 no' : undefined),
    });
    servers.push(server);
    const auth = { type: 'password', user: 'signs', secret: 'signs-smtp' };
    await smtpAccount(mailroom, 'signs', { port: server.port, auth });
    const ids = await waiting('signs', 2);
    await mailroom.secret('signs', 'signs-smtp', 'right-password');
    await allSent(ids);
  });
});

describe('mail that a person has tried now', () => {
  it('one by its id', async () => {
    const server = await account('single', (step) => (step === 'RCPT' ? '450 4.7.1 greylisted' : undefined));
    const [id = '', other = ''] = await waiting('single', 2);
    server.answers(() => undefined);
    const answer = await mailroom.expect(202, 'POST', `/api/messages/${id}/retry`);
    expect(answer.json).toEqual({ id, status: expect.any(String), messageId: expect.any(String) });
    expect(answer.headers.get('location')).toBe(`/api/messages/${id}`);
    await allSent([id]);
    expect((await recordOf(mailroom, other)).status).toBe('queued');
    problem(await mailroom.call('POST', `/api/messages/${id}/retry`), 409);
    problem(await mailroom.call('POST', '/api/messages/single.0000000000000000000000/retry'), 404);
    const { id: later } = await send(mailroom, 'single', { sendAt: new Date(Date.now() + 3_600_000).toISOString() });
    problem(await mailroom.call('POST', `/api/messages/${later}/retry`), 409);
  });

  it('all of an account', async () => {
    const server = await account('many', (step) => (step === 'RCPT' ? '450 4.7.1 greylisted' : undefined));
    const ids = await waiting('many', 3);
    server.answers(() => undefined);
    await mailroom.expect(202, 'POST', '/api/accounts/many/retry');
    await allSent(ids);
    problem(await mailroom.call('POST', '/api/accounts/nobody/retry'), 404);
  });
});

describe('a password that was rotated two hours ago at the server alone', { timeout: 240_000 }, () => {
  it('fails no mail, and all of it leaves as soon as the new one is written', async () => {
    let word = 'old-password';
    const server = await startScriptedSmtp({
      extensions: ['AUTH PLAIN', '8BITMIME'],
      answer: (step, line) => {
        const right = Buffer.from(`\0rotated\0${word}`).toString('base64');
        return step === 'AUTH' && !line.endsWith(right) ? '535 5.7.8 no' : undefined;
      },
    });
    servers.push(server);
    await mailroom.secret('rotated', 'rotated-smtp', word);
    const auth = { type: 'password', user: 'rotated', secret: 'rotated-smtp' };
    await smtpAccount(mailroom, 'rotated', { port: server.port, auth });
    expect((await endedRecord(mailroom, (await send(mailroom, 'rotated')).id)).status).toBe('sent');
    word = 'new-password';
    const ids: string[] = [];
    for (const shiftMs of [0, 10 * minute, 40 * minute, 120 * minute]) {
      await at(shiftMs);
      ids.push((await send(mailroom, 'rotated', { to: `at-${shiftMs}@example.org` })).id);
      for (const id of ids) {
        const waits = ({ nextAttemptAt = '' }: { readonly nextAttemptAt?: string | undefined }) =>
          Date.parse(nextAttemptAt) > Date.now() + shiftMs;
        const { status, attempts } = await recordWhen(mailroom, id, 'tried and waiting', waits, 60);
        expect([status, ...new Set(attempts.map(({ code }) => code))]).toEqual(['queued', '535']);
      }
    }
    expect((await recordOf(mailroom, ids[0] ?? '')).attempts).toHaveLength(4);
    await mailroom.secret('rotated', 'rotated-smtp', word);
    for (const id of ids) expect((await endedRecord(mailroom, id, 60)).status).toBe('sent');
    expect(server.mails.map(({ recipients }) => recipients[0]).sort()).toEqual(
      ['anna@example.org', ...[0, 10, 40, 120].map((minutes) => `at-${minutes * minute}@example.org`)].sort(),
    );
    const reported = async () => await types('rotated');
    await expect.poll(reported).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
    const { json } = await mailroom.expect(200, 'GET', '/api/messages?account=rotated&status=failed');
    expect(json.items).toEqual([]);
  });
});

describe('mail that is refused for policy', () => {
  it('fails, and after five in a row the account is reported as failing', async () => {
    const server = await account('blocked', (step) =>
      step === 'END' ? '554 5.7.1 your address is blocked' : undefined,
    );
    const refused = async () => (await endedRecord(mailroom, (await send(mailroom, 'blocked')).id)).status;
    for (let n = 0; n < 4; n += 1) expect(await refused()).toBe('failed');
    server.answers(() => undefined);
    expect((await endedRecord(mailroom, (await send(mailroom, 'blocked')).id)).status).toBe('sent');
    server.answers((step) => (step === 'END' ? '554 5.7.1 your address is blocked' : undefined));
    for (let n = 0; n < 4; n += 1) expect(await refused()).toBe('failed');
    const failing = async () => (await events.all()).filter(({ subject }) => subject.startsWith('blocked/'));
    expect(await failing()).toEqual([]);
    expect(await refused()).toBe('failed');
    expect(await types('blocked')).toEqual(['mailroom.account.failing']);
  });
});
