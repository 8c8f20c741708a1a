import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logLines } from './support/log-lines.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import {
  EventReader,
  endedRecord,
  queueOf,
  recordOf,
  recordWhen,
  send,
  smtpAccount,
  waitingRecord,
} from './support/sending.ts';
import { filesUnder, formsOf, holds } from './support/storage-files.ts';

const minute = 60_000;
const connections = 3;
const secret = 'gläsernes-pa55wort-42';
/** Stands in the text of a mail and nowhere else. */
const privateWord = 'Quartalsgeheimnis';

let mailroom: Mailroom;
let events: EventReader;
let sink: ScriptedSmtp;
/** When the server had the whole of a mail, by its recipient. */
const arrivals = new Map<string, number[]>();
/** While it is, messages stay on the queue. */
let paused = false;
let shiftMs = 0;

beforeAll(async () => {
  sink = await startScriptedSmtp({
    extensions: ['AUTH PLAIN LOGIN', 'PIPELINING', '8BITMIME'],
    answer(step) {
      if (step === 'END') {
        for (const to of sink.mails.at(-1)?.recipients ?? []) {
          arrivals.set(to, [...(arrivals.get(to) ?? []), Date.now() + shiftMs]);
        }
      }
      return undefined;
    },
  });
  mailroom = await Mailroom.start({
    durable: true,
    env: () => ({
      'AzureWebJobs.mail-send.Disabled': String(paused),
      // What fails is tried again at once instead of after half a minute.
      AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:00',
    }),
  });
  events = new EventReader(mailroom);
  await mailroom.secret('corpus', 'corpus-smtp', secret);
  const auth = { type: 'password', user: 'corpus', secret: 'corpus-smtp' };
  await smtpAccount(mailroom, 'corpus', { port: sink.port, auth }, { limits: { connections } });
});

afterAll(async () => {
  await mailroom?.stop();
  await sink?.stop();
});

async function restart(options: { readonly paused?: boolean; readonly laterMs?: number } = {}): Promise<void> {
  await mailroom.kill();
  paused = options.paused === true;
  shiftMs += options.laterMs ?? 0;
  await mailroom.run({ shiftMs });
}

const copiesFor = (to: string) => arrivals.get(to)?.length ?? 0;
const fromNow = (milliseconds: number) => new Date(Date.now() + shiftMs + milliseconds);

/** Puts a message on the send queue as it stands there: base64. */
async function enqueue(text: string): Promise<void> {
  await queueOf(mailroom, 'mail-send').sendMessage(Buffer.from(text).toString('base64'));
}

async function queueIsEmpty(): Promise<void> {
  const queue = queueOf(mailroom, 'mail-send');
  await until('an empty send queue', 60, async () => {
    const { approximateMessagesCount } = await queue.getProperties();
    return approximateMessagesCount === 0;
  });
}

describe('connections', () => {
  it('are few, and carry many mails of many invocations', async () => {
    const to = Array.from({ length: 30 }, (_, n) => `reader-${n}@example.org`);
    const ids: string[] = [];
    for (let at = 0; at < to.length; at += 10) {
      const wave = await Promise.all(
        to.slice(at, at + 10).map((address) => send(mailroom, 'corpus', { to: address, text: privateWord })),
      );
      for (const { id } of wave) expect((await endedRecord(mailroom, id)).status).toBe('sent');
      ids.push(...wave.map(({ id }) => id));
    }
    expect(to.map(copiesFor)).toEqual(to.map(() => 1));
    expect(sink.connections()).toBeLessThanOrEqual(connections);
    expect(sink.commands.filter((command) => command.startsWith('AUTH'))).toHaveLength(sink.connections());
    // Each in an invocation of its own.
    const log = await mailroom.log();
    for (const id of ids) expect(log).toContain(id);
    await expect
      .poll(async () => new Set((await events.all()).map(({ id }) => id)))
      .toEqual(new Set(ids.map((id) => `mailroom.message.sent:${id}`)));
  });
});

describe('a server that quotes the sign-in it refuses', () => {
  it('puts it into no record', async () => {
    const echo = await startScriptedSmtp({
      extensions: ['AUTH PLAIN'],
      answer: (step, line) => (step === 'AUTH' ? `535 5.7.8 ${line} is ${secret}` : undefined),
    });
    try {
      const auth = { type: 'password', user: 'echo', secret: 'echo-smtp' };
      await mailroom.secret('echo', 'echo-smtp', secret);
      await smtpAccount(mailroom, 'echo', { port: echo.port, auth });
      const record = await waitingRecord(mailroom, (await send(mailroom, 'echo')).id);
      expect(record.attempts).toEqual([expect.objectContaining({ code: '535' })]);
      expect(holds(JSON.stringify(record), secret)).toBe(false);
      expect((await events.about('echo')).map(({ type }) => type)).toEqual(['mailroom.account.failing']);
      await mailroom.expect(200, 'DELETE', `/api/messages/${record.id}`);
    } finally {
      await echo.stop();
    }
  });
});

describe('the send queue', () => {
  const lost = { now: '', later: '', canceled: '' };

  it('may lose what is on it: the record stays', async () => {
    const queue = queueOf(mailroom, 'mail-send');
    await restart({ paused: true });
    // The canceled mail's next attempt still stood there.
    await queue.clearMessages();
    const sendAt = fromNow(20 * minute).toISOString();
    lost.now = (await send(mailroom, 'corpus', { to: 'now@example.org' })).id;
    lost.later = (await send(mailroom, 'corpus', { to: 'later@example.org', sendAt })).id;
    lost.canceled = (await send(mailroom, 'corpus', { to: 'canceled@example.org', sendAt })).id;
    await mailroom.expect(200, 'DELETE', `/api/messages/${lost.canceled}`);
    expect((await queue.getProperties()).approximateMessagesCount).toBe(3);
    await queue.clearMessages();
    expect(await recordOf(mailroom, lost.now)).toMatchObject({ status: 'queued', attempts: [] });
    expect(await recordOf(mailroom, lost.later)).toMatchObject({ status: 'scheduled', sendAt, nextAttemptAt: sendAt });
    expect(copiesFor('now@example.org')).toBe(0);
  });

  it('may hold a message many times: it leaves once', async () => {
    const { id } = await send(mailroom, 'corpus', { to: 'many@example.org' });
    for (let copy = 0; copy < 12; copy += 1) await enqueue(JSON.stringify({ id }));
    await restart({ laterMs: 2 * minute });
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    await queueIsEmpty();
    for (let copy = 0; copy < 4; copy += 1) await enqueue(JSON.stringify({ id }));
    await queueIsEmpty();
    expect(copiesFor('many@example.org')).toBe(1);
    const reported = (await events.all()).filter(({ subject }) => subject === id);
    expect(new Set(reported.map((event) => event.id))).toEqual(new Set([`mailroom.message.sent:${id}`]));
  });

  it('is made up for by the recovery timer, at the time that was asked for', async () => {
    await mailroom.fire('outbox-recovery');
    expect((await endedRecord(mailroom, lost.now)).status).toBe('sent');
    expect(await recordOf(mailroom, lost.later)).toMatchObject({ status: 'scheduled', attempts: [] });
    // A message in the hands of a host that is killed stays on the queue for ten minutes, unseen.
    await queueIsEmpty();
    await restart({ laterMs: 22 * minute });
    await mailroom.fire('outbox-recovery');
    expect((await endedRecord(mailroom, lost.later)).status).toBe('sent');
    expect((await recordOf(mailroom, lost.canceled)).status).toBe('canceled');
    expect(['now', 'later', 'canceled'].map((name) => copiesFor(`${name}@example.org`))).toEqual([1, 1, 0]);
  });

  it('may hold what is no message of ours: it ends in the log or nowhere, and mail still leaves', async () => {
    const known = lost.now.slice(0, -1);
    const strange = ['{"no":"id"}', 'no JSON', '{"id":7}'];
    const unknown = [`${known}${lost.now.endsWith('a') ? 'b' : 'a'}`, '../../corpus', 'corpus.', "x' or 1 eq 1"];
    for (const text of strange) await enqueue(text);
    for (const id of unknown) await enqueue(JSON.stringify({ id }));
    await queueOf(mailroom, 'mail-send').sendMessage('not base64!');
    const { id } = await send(mailroom, 'corpus', { to: 'after@example.org' });
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    await queueIsEmpty();
    await until('what was given up, in the log', 40, async () => {
      await mailroom.fireToEnd('outbox-recovery');
      const lines = logLines(await mailroom.log()).filter(({ event }) => event === 'queue.gaveUp');
      return lines.filter(({ result }) => result === 'unknown').length >= strange.length + 1;
    });
    expect(copiesFor('now@example.org')).toBe(1);
  });
});

describe('sendAt', () => {
  it('is kept by the queue: not earlier, and soon after', async () => {
    const sendAt = fromNow(4_000);
    const { id, status } = await send(mailroom, 'corpus', { to: 'soon@example.org', sendAt: sendAt.toISOString() });
    expect(status).toBe('scheduled');
    // A copy that comes too early is put back.
    await enqueue(JSON.stringify({ id }));
    const record = await recordWhen(mailroom, id, 'sent', (each) => each.status === 'sent');
    const [arrived = 0, ...more] = arrivals.get('soon@example.org') ?? [];
    expect(more).toEqual([]);
    // Clocks of queue and service may differ by two seconds.
    expect(arrived - sendAt.getTime()).toBeGreaterThan(-2_100);
    expect(Date.parse(record.sentAt ?? '')).toBeGreaterThanOrEqual(arrived - 1_000);
  });
});

describe('all that is left behind', () => {
  it('has neither the secret nor what a mail says, but for the mail itself', async () => {
    const log = await mailroom.log();
    await mailroom.kill();
    await mailroom.azurite.stop();
    const files = await filesUnder(join(mailroom.directory, 'azurite'));
    const where = (text: string) => files.filter(({ bytes }) => holds(bytes, text)).map(({ path }) => path);
    // What must be there is found, so that what is not found is not there.
    expect(log).toContain('outbox.attempt');
    expect(where('mailroom.message.sent').join()).toContain('queue');
    expect(where('reader-7@example.org').join()).toContain('table');
    expect(where(privateWord).join()).toContain('blob');
    const signIn = Buffer.from(`\0corpus\0${secret}`).toString('base64');
    expect(sink.commands.join()).toContain(signIn);
    for (const form of [...formsOf(secret), signIn]) {
      expect(log).not.toContain(form);
      expect(where(form)).toEqual([]);
    }
    for (const text of [privateWord, 'reader-7@example.org', 'Zahlen']) expect(holds(log, text)).toBe(false);
    expect(where(privateWord).filter((path) => !path.includes('blob'))).toEqual([]);
  });
});
