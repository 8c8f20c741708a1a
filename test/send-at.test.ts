import { afterAll, beforeAll, expect, it } from 'vitest';
import { logLines } from './support/log-lines.ts';
import { Mailroom } from './support/mailroom.ts';
import { readOutbox } from './support/outbox-audit.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, openMessages, queueOf, recordOf, send, smtpAccount } from './support/sending.ts';

const day = 86_400_000;

let mailroom: Mailroom;
let server: ScriptedSmtp;

beforeAll(async () => {
  server = await startScriptedSmtp();
  mailroom = await Mailroom.start();
  await smtpAccount(mailroom, 'corpus', { port: server.port });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await server?.stop();
});

async function later(shiftMs: number): Promise<void> {
  await mailroom.setClock(shiftMs);
  await mailroom.fireToEnd('outbox-recovery');
}

it('a mail for a year ahead waits, comes to its time, and is kept from then on', { timeout: 180_000 }, async () => {
  const sendAt = new Date(Date.now() + 365 * day).toISOString();
  const { id, status } = await send(mailroom, 'corpus', { to: 'year@example.org', sendAt });
  const canceled = await send(mailroom, 'corpus', { to: 'canceled@example.org', sendAt });
  expect([status, canceled.status]).toEqual(['scheduled', 'scheduled']);
  // A queue hides a message for seven days at most; a longer wait would be refused.
  expect(logLines(await mailroom.log()).filter(({ event }) => event === 'outbox.enqueueFailed')).toEqual([]);
  expect((await queueOf(mailroom, 'mail-send').getProperties()).approximateMessagesCount).toBe(2);
  // It comes back before its time.
  const text = Buffer.from(JSON.stringify({ id })).toString('base64');
  await queueOf(mailroom, 'mail-send').sendMessage(text);
  await later(364 * day);
  await mailroom.fireToEnd('retention');
  expect(await recordOf(mailroom, id)).toMatchObject({ status: 'scheduled', sendAt, attempts: [] });
  await mailroom.expect(200, 'DELETE', `/api/messages/${canceled.id}`);
  await later(366 * day);
  expect((await endedRecord(mailroom, id)).status).toBe('sent');
  await expect.poll(() => openMessages(mailroom)).toEqual([]);
  expect(server.mails.map(({ recipients }) => recipients)).toEqual([['year@example.org']]);
  await mailroom.fireToEnd('retention');
  const kept = await readOutbox(mailroom.azurite.connectionString);
  expect(kept.messages.map((message) => message.status).sort()).toEqual(['canceled', 'sent']);
  expect(kept.blobs).toHaveLength(2);
  const tooFar = new Date(Date.now() + (366 + 367) * day).toISOString();
  const body = { to: 'year@example.org', subject: 'Zahlen', text: 'x', sendAt: tooFar };
  problem(await mailroom.call('POST', '/api/messages', { body }), 400);
});
