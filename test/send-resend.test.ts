import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type Answer, type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, openMessages, recordOf, send, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

let gate: StorageGate;
let mailroom: Mailroom;
let events: EventReader;
let shiftMs = 0;
const servers: ScriptedSmtp[] = [];

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) });
  events = new EventReader(mailroom);
}, 60_000);

afterAll(async () => {
  if (mailroom?.pid) process.kill(mailroom.pid, 'SIGCONT');
  gate?.release();
  await mailroom?.stop();
  for (const server of servers) await server.stop();
  await gate?.stop();
});

/** An account whose server answers as `answer` says; undefined: the ordinary yes. */
async function account(
  name: string,
  answer: (step: string, line: string) => Answer | undefined,
  transport: Readonly<Record<string, unknown>> = {},
): Promise<ScriptedSmtp> {
  const server = await startScriptedSmtp({ answer });
  servers.push(server);
  await smtpAccount(mailroom, name, { port: server.port, ...transport });
  return server;
}

async function later(ms: number): Promise<void> {
  shiftMs += ms;
  await mailroom.setClock(shiftMs);
}

const resend = (id: string) => mailroom.call('POST', `/api/messages/${id}/resend`);
const refusal = '550 5.1.1 no such user';
const outcomes = ({ attempts }: { readonly attempts: readonly { readonly outcome: string }[] }) =>
  attempts.map(({ outcome }) => outcome);

/** Who got the mail, copy by copy. */
const copies = ({ mails }: ScriptedSmtp) =>
  mails.map(({ recipients }) => recipients).filter((recipients) => recipients.length > 0);

/** A mail that its server has refused, to the last recipient. */
async function failed(name: string): Promise<string> {
  const { id } = await send(mailroom, name);
  expect((await endedRecord(mailroom, id)).status).toBe('failed');
  await until('closed books', 60, async () => !(await openMessages(mailroom)).includes(id));
  return id;
}

describe('POST /messages/{id}/resend', { timeout: 120_000 }, () => {
  it('sends to those only who were not accepted, with the same Message-ID; each end is an event of its own', async () => {
    const server = await account('partial', (step, line) =>
      step === 'RCPT' && line.includes('nobody') ? refusal : undefined,
    );
    const to = ['good@example.org', 'nobody@example.org'];
    const { id, messageId } = await send(mailroom, 'partial', { to });
    const before = await endedRecord(mailroom, id);
    expect(before.status).toBe('partiallySent');
    await events.about(id);
    server.answers(() => undefined);
    const answer = await resend(id);
    expect(answer.status).toBe(202);
    expect(answer.json).toEqual({ id, status: 'queued', messageId });
    expect(answer.headers.get('location')).toBe(`/api/messages/${id}`);
    const record = await endedRecord(mailroom, id);
    expect(record).toMatchObject({ status: 'sent', messageId });
    expect(outcomes(record)).toEqual(['partiallySent', 'resend', 'sent']);
    expect(record.recipients.map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    expect(copies(server)).toEqual([['good@example.org'], ['nobody@example.org']]);
    const texts = new Set(server.mails.map(({ text }) => text.toString()));
    expect(texts.size).toBe(1);
    expect([...texts][0]).toContain(`Message-ID: ${messageId}`);
    const ids = async () => [...new Set((await events.about(id)).map((event) => event.id))];
    const resentAt = record.attempts[1]?.at ?? '';
    const expected = [`mailroom.message.failed:${id}`, `mailroom.message.sent:${id}:${resentAt}`];
    await expect.poll(ids).toEqual(expected);
    problem(await resend(id), 409);
  });

  it('asked for 20 times at once sends the mail once', async () => {
    const server = await account('crowd', (step) => (step === 'RCPT' ? refusal : undefined));
    const id = await failed('crowd');
    server.answers(() => undefined);
    const answers = await Promise.all(Array.from({ length: 20 }, () => resend(id)));
    expect(answers.map(({ status }) => status).filter((status) => status !== 202 && status !== 409)).toEqual([]);
    expect(answers.some(({ status }) => status === 202)).toBe(true);
    const record = await endedRecord(mailroom, id);
    expect(outcomes(record)).toEqual(['failed', 'resend', 'sent']);
    expect(copies(server)).toEqual([['anna@example.org']]);
  });

  it('says that there is no such mail where there is none', async () => {
    problem(await resend('corpus.0000000000000000000000'), 404);
    problem(await resend('none'), 404);
  });

  it.each([
    ['before', 'failed'],
    ['after', 'queued'],
  ] as const)(
    'of a process that is killed %s its record is written leaves it %s, and sends it once',
    async (at, status) => {
      const name = `killed-${at}`;
      const server = await account(name, (step) => (step === 'RCPT' ? refusal : undefined));
      const id = await failed(name);
      server.answers(() => undefined);
      const reached = gate.hold({
        at,
        fits: ({ service, body }) => service === 'table' && body.includes('\\"outcome\\":\\"resend\\"'),
      });
      const lost = resend(id).catch(() => undefined);
      await reached;
      await mailroom.kill();
      gate.release();
      await lost;
      shiftMs += 3 * minute;
      await mailroom.run({ shiftMs });
      expect((await recordOf(mailroom, id)).status).toBe(status);
      if (at === 'before') expect((await resend(id)).status).toBe(202);
      else await mailroom.fire('outbox-recovery');
      const record = await endedRecord(mailroom, id);
      expect(outcomes(record)).toEqual(['failed', 'resend', 'sent']);
      expect(copies(server)).toEqual([['anna@example.org']]);
    },
  );

  it('outlives the process of the earlier attempt, which stood still and goes on', async () => {
    let silent = true;
    const server = await account('zombie', (step) => (step === 'END' && silent ? { next: 'silent' } : undefined), {
      timeout: 5_000,
    });
    const { id } = await send(mailroom, 'zombie');
    await until('the whole mail at its server', 60, async () => server.mails.length === 1);
    process.kill(mailroom.pid, 'SIGSTOP');
    silent = false;
    const other = await mailroom.beside({ shiftMs: shiftMs + 3 * minute });
    const record = async () => (await mailroom.expect(200, 'GET', `/api/messages/${id}`, { url: other.url })).json;
    const ended = async (status: string) =>
      await until(`it is ${status}`, 40, async () => {
        const now = await record();
        return now.status === status && now;
      });
    try {
      await mailroom.expect(202, 'POST', '/admin/functions/outbox-recovery', { body: {}, url: other.url });
      await ended('uncertain');
      await mailroom.expect(202, 'POST', `/api/messages/${id}/resend`, { url: other.url });
      const sent = await ended('sent');
      process.kill(mailroom.pid, 'SIGCONT');
      await until('that process sees it', 40, async () => (await mailroom.log()).includes('"event":"lease.lost"'));
      expect(await record()).toEqual(sent);
      expect(outcomes(sent)).toEqual(['uncertain', 'resend', 'sent']);
      expect(copies(server)).toHaveLength(2);
    } finally {
      process.kill(mailroom.pid, 'SIGCONT');
      await other.kill();
    }
  });

  it('is 410 when the mail is not kept any more', async () => {
    await account('old', (step) => (step === 'RCPT' ? refusal : undefined));
    const id = await failed('old');
    await later(29 * day);
    await mailroom.fireToEnd('retention');
    expect((await recordOf(mailroom, id)).status).toBe('failed');
    await later(2 * day);
    await mailroom.fireToEnd('retention');
    const answer = await resend(id);
    problem(answer, 410);
    expect(answer.json.detail).toContain('OUTBOX_RETENTION_DAYS');
    expect((await recordOf(mailroom, id)).status).toBe('failed');
  });
});
