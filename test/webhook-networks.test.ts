import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { send } from './support/sending.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

const changingName = pathToFileURL(fileURLToPath(new URL('./support/changing-name.mjs', import.meta.url))).href;

let mailroom: Mailroom;
let receiver: WebhookReceiver;
let smtp: ScriptedSmtp;

beforeAll(async () => {
  mailroom = await Mailroom.start({
    env: { NODE_OPTIONS: `--import ${changingName} --max-http-header-size=65536` },
  });
  smtp = await startScriptedSmtp();
  receiver = await WebhookReceiver.start({ certificate: mailroom.certificate });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await receiver?.stop();
  await smtp?.stop();
});

it('a name that leads to the internet as it is saved and to this machine later is not connected to', async () => {
  await mailroom.secret('corpus', 'corpus-webhook', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  const transport = { protocol: 'smtp', host: '127.0.0.1', port: smtp.port, tls: { starttls: 'never' } };
  const webhook = { url: `https://changing.example:${receiver.port}/events`, secret: 'corpus-webhook' };
  const body = { from: 'corpus@example.com', transport, import: { schedule: null }, webhook };
  const saved = await mailroom.expect(201, 'PUT', '/api/accounts/corpus', { body });
  expect(saved.json.warnings).toEqual([]);
  const { json } = await mailroom.expect(200, 'POST', '/api/accounts/corpus/webhook/test');
  expect(json).toMatchObject({ delivered: false, code: 'ADDRESS_REFUSED' });
  await send(mailroom, 'corpus');
  await until('a failed delivery', 60, async () => {
    const status = await mailroom.expect(200, 'GET', '/api/accounts/corpus/webhook');
    return status.json.lastFailures.some(({ code }: { code?: string }) => code === 'ADDRESS_REFUSED');
  });
  expect(receiver.connections).toBe(0);
  // Saved again, it is looked at again.
  const again = await mailroom.expect(400, 'PUT', '/api/accounts/corpus', { body });
  expect(again.json.errors).toEqual([{ pointer: '/webhook/url', detail: expect.stringContaining('internet') }]);
}, 120_000);
