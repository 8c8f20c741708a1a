import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catcher, type StorageMoment } from './support/kill-moments.ts';
import { Mailroom, takenOverSeconds, until } from './support/mailroom.ts';
import { random } from './support/mails.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { send, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

/** Random moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 20 : 2;
const mailsPerKill = 10;

/** Every lease has lapsed by then, and the timer looks at what nobody works on. */
const lapseMs = 3 * 60_000;

let gate: StorageGate;
let mailroom: Mailroom;
let smtp: ScriptedSmtp;
let receiver: WebhookReceiver;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({
    env: (azurite) => ({ MailStorage: gate.lead(azurite), WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' }),
  });
  smtp = await startScriptedSmtp();
  receiver = await WebhookReceiver.start();
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
  await smtp?.stop();
  await receiver?.stop();
});

async function account(name: string): Promise<void> {
  const secret = `${name}-webhook`;
  await mailroom.secret(name, secret, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  await smtpAccount(mailroom, name, { port: smtp.port }, { webhook: { url: receiver.url, secret } });
}

/** Kills the process and starts it again when its leases have lapsed. */
async function killAndRecover(): Promise<void> {
  await mailroom.kill();
  gate.release();
  shiftMs += lapseMs;
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

/** The event of a mail's end at the receiver, under one id however often it came. */
async function arrived(id: string): Promise<void> {
  await until(`the event of ${id}`, 90, async () => receiver.about(id).length > 0).catch(async (error) => {
    const record = await mailroom.call('GET', `/api/messages/${id}`);
    throw new Error(`no event of ${JSON.stringify(record.json)}`, { cause: error });
  });
  for (const { headers, event } of receiver.about(id)) {
    expect(event.id).toBe(`${event.type}:${id}`);
    expect(headers['webhook-id']).toBe(event.id);
  }
}

const recorded = 'mailroom.message.sent:';

const moments: readonly (readonly [string, StorageMoment])[] = [
  ['the event is not recorded yet', { at: 'before', service: 'table', method: 'POST', text: recorded }],
  [
    'the event is recorded, and the process does not know',
    { at: 'after', service: 'table', method: 'POST', text: recorded },
  ],
  [
    'the event is recorded, and nobody is to look at it',
    { at: 'before', service: 'queue', text: '/mail-webhooks/messages' },
  ],
  ['a process is to look, and has no lease', { at: 'before', service: 'table', method: 'POST', text: '"RowKey":"s"' }],
  [
    'the receiver has it, and storage does not know',
    { at: 'before', service: 'table', method: 'DELETE', text: '/events(' },
  ],
  ['storage knows that the receiver has it', { at: 'after', service: 'table', method: 'DELETE', text: '/events(' }],
];

describe('an event for a webhook arrives, though the process is killed when', () => {
  it.each(moments.map(([when, moment], n) => ({ when, moment, name: `moment-${n}` })))(
    '$when',
    async ({ moment, name }) => {
      await account(name);
      const held = gate.hold({ at: moment.at, fits: catcher(name, moment) });
      const { id } = await send(mailroom, name);
      await held;
      await killAndRecover();
      await arrived(id);
    },
    180_000,
  );

  it('the receiver has it and has not answered', async () => {
    await account('unanswered');
    receiver.answers(() => 'stall');
    const { id } = await send(mailroom, 'unanswered');
    await receiver.got(id);
    receiver.answers(() => ({ status: 204 }));
    await killAndRecover();
    await receiver.got(id, 2, 90);
    await arrived(id);
  }, 180_000);
});

it(`events arrive at least once, killed ${kills} times at random moments`, async () => {
  await account('random');
  const chance = random(20_260_301);
  const ids: string[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    const before = receiver.requests.length;
    for (let n = 0; n < mailsPerKill; n += 1) ids.push((await send(mailroom, 'random')).id);
    const some = before + Math.floor(chance() * mailsPerKill);
    await until('some events at the receiver', takenOverSeconds, async () => receiver.requests.length >= some);
    await delay(chance() * 20);
    await killAndRecover();
  }
  for (const id of ids) await arrived(id);
}, 900_000);
