import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, heldKeys, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const minute = 60_000;
const callers = 50;

let gate: StorageGate;
let mailroom: Mailroom;
let server: ScriptedSmtp;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  server = await startScriptedSmtp({
    answer: (step, line) => (step === 'RCPT' && line.includes('nobody') ? '550 5.1.1 no such user' : undefined),
  });
  mailroom = await Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) });
  await smtpAccount(mailroom, 'corpus', { port: server.port });
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await server?.stop();
  await gate?.stop();
});

const mailTo = (to: string) => ({ to, subject: 'Zahlen', text: 'Eins.' });
const post = (key: string, body: unknown) =>
  mailroom.call('POST', '/api/messages', { body, headers: { 'idempotency-key': key } });

/** Many calls at the same time with one key; one that comes while another is being accepted comes again. */
async function together(key: string, body: unknown) {
  return await Promise.all(
    Array.from({ length: callers }, () =>
      until('an answer other than 409', 60, async () => {
        const answer = await post(key, body);
        if (answer.status === 409) problem(answer, 409);
        return answer.status !== 409 && answer;
      }),
    ),
  );
}

const copiesFor = (to: string) => server.mails.filter(({ recipients }) => recipients.includes(to)).length;

async function expectOneMail(answers: Awaited<ReturnType<typeof together>>, to: string): Promise<void> {
  expect([...new Set(answers.map(({ status }) => status))]).toEqual([202]);
  expect(new Set(answers.map(({ json }) => json.messageId)).size).toBe(1);
  const [id, ...others] = new Set(answers.map(({ json }) => json.id));
  expect(others).toEqual([]);
  expect((await endedRecord(mailroom, id, 40)).status).toBe('sent');
  expect(copiesFor(to)).toBe(1);
  expect(await heldKeys(mailroom)).toBe(0);
}

describe('one key', { timeout: 120_000 }, () => {
  it('in 50 calls at the same time is one mail', async () => {
    const to = 'parallel@example.org';
    await expectOneMail(await together('parallel', mailTo(to)), to);
  });

  it.each(['before', 'after'] as const)(
    'in 50 calls, whose process is killed %s the record is written, and 50 more is one mail',
    async (at) => {
      const to = `killed-${at}@example.org`;
      const reached = gate.hold({ at, fits: ({ service, body }) => service === 'table' && body.includes(to) });
      const lost = Promise.allSettled(Array.from({ length: callers }, () => post(`killed ${at}`, mailTo(to))));
      await reached;
      await mailroom.kill();
      gate.release();
      await lost;
      // The lock of a key lapses with its process.
      shiftMs += minute;
      await mailroom.run({ shiftMs });
      await expectOneMail(await together(`killed ${at}`, mailTo(to)), to);
    },
  );

  it('of a mail that has failed still names it, and its state', async () => {
    const body = mailTo('nobody@example.org');
    const first = await post('failing', body);
    await endedRecord(mailroom, first.json.id);
    const answers = await together('failing', body);
    for (const { status, json } of answers) {
      expect([status, json]).toEqual([202, { ...first.json, status: 'failed' }]);
    }
    problem(await post('failing', mailTo('other@example.org')), 422);
    await mailroom.expect(202, 'POST', `/api/messages/${first.json.id}/resend`);
    const again = await post('failing', body);
    expect([again.status, again.json.id]).toEqual([202, first.json.id]);
  });

  it('names its mail while its account is disabled', async () => {
    const body = mailTo('disabled@example.org');
    const first = await post('disabled', body);
    await endedRecord(mailroom, first.json.id);
    await mailroom.expect(200, 'PATCH', '/api/accounts/corpus', { body: { enabled: false } });
    problem(await post('not used', body), 409);
    const again = await post('disabled', body);
    expect([again.status, again.json]).toEqual([202, { ...first.json, status: 'sent' }]);
    await mailroom.expect(200, 'PATCH', '/api/accounts/corpus', { body: { enabled: true } });
  });
});
