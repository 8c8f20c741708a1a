import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send, smtpAccount, waitingRecord } from './support/sending.ts';

const minute = 60_000;
const maxWaiting = 5;

let mailroom: Mailroom;
let server: ScriptedSmtp;
/** While it is, messages stay on the queue. */
let paused = true;

beforeAll(async () => {
  server = await startScriptedSmtp();
  mailroom = await Mailroom.start({
    env: () => ({
      'AzureWebJobs.mail-send.Disabled': String(paused),
      OUTBOX_MAX_WAITING: String(maxWaiting),
      RETRY_MINUTES: '2,30',
    }),
  });
  for (const account of ['full', 'other', 'put-off']) await smtpAccount(mailroom, account, { port: server.port });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await server?.stop();
});

const mail = { to: 'anna@example.org', subject: 'Zahlen', text: 'Eins.' };

const post = (account: string, key: string): Promise<Answer> =>
  mailroom.call('POST', `/api/accounts/${account}/messages`, { body: mail, headers: { 'idempotency-key': key } });

describe('as much mail as may wait (OUTBOX_MAX_WAITING)', { timeout: 120_000 }, () => {
  let accepted = 0;

  it('more is refused with 429 and Retry-After; other accounts, and keys that were used, are not', async () => {
    const refused = await until('a refusal', 60, async () => {
      const answer = await post('full', `key ${accepted}`);
      if (answer.status === 202) accepted += 1;
      return answer.status !== 202 && answer;
    });
    problem(refused, 429);
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(refused.json.detail).toContain('OUTBOX_MAX_WAITING');
    expect(accepted).toBeGreaterThanOrEqual(maxWaiting);
    expect((await post('full', 'key 0')).status).toBe(202);
    expect((await post('other', 'key 0')).status).toBe(202);
  });

  it('is over when some of it has left; the refused call had held no key', async () => {
    await mailroom.kill();
    paused = false;
    await mailroom.run();
    const answer = await until('room for another one', 60, async () => {
      const tried = await post('full', `key ${accepted}`);
      return tried.status === 202 && tried;
    });
    expect((await endedRecord(mailroom, answer.json.id)).status).toBe('sent');
    expect(server.mails.length).toBeGreaterThanOrEqual(maxWaiting);
  });
});

it('attempts come as RETRY_MINUTES says', { timeout: 180_000 }, async () => {
  server.answers((step) => (step === 'RCPT' ? '450 4.7.1 come again' : undefined));
  const { id } = await send(mailroom, 'put-off');
  for (const [attempt, minutes] of [2, 30, 30].entries()) {
    const record = await until(`attempt ${attempt + 1}`, 60, async () => {
      const now = await waitingRecord(mailroom, id);
      return now.attempts.length === attempt + 1 && now;
    });
    const waits = Date.parse(record.nextAttemptAt ?? '') - Date.parse(record.attempts.at(-1)?.at ?? '');
    expect(waits).toBeGreaterThanOrEqual(minutes * minute);
    expect(waits).toBeLessThan((minutes + 1) * minute);
    await mailroom.expect(202, 'POST', `/api/messages/${id}/retry`);
  }
});
