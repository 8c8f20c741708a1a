import { TableClient } from '@azure/data-tables';
import { QueueClient } from '@azure/storage-queue';
import { addDelivery, countDeliveries } from '../shared/events/deliveries/delivery-rows.ts';
import { cloudEvent } from '../shared/events/events.ts';
import { RowTable } from '../shared/platform/rows.ts';
import { type Dovecot, startDovecot } from '../test/support/dovecot.ts';
import { deliverAll } from '../test/support/imap-account.ts';
import type { Mailroom } from '../test/support/mailroom.ts';
import { WebhookReceiver } from '../test/support/webhook-receiver.ts';
import { importSeconds, password } from './import-seconds.ts';
import { officeMails } from './mails.ts';
import { digits, median, type SectionResult } from './report.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

const seed = 20_264;
const warmUpMails = 50;
/** The account whose webhook has a dead target. */
const dead = 'dead';

/**
 * An import while events wait for a webhook whose target takes every request and never answers, against the same import
 * while they wait for nothing: the same rows are there, but the account has no webhook.
 */
export async function eventsWaiting(options: { readonly quick: boolean }): Promise<SectionResult> {
  const events = options.quick ? 2_000 : 10_000;
  const mails = officeMails(options.quick ? 200 : 800, seed);
  const rounds = options.quick ? 2 : 5;
  const seconds = { with: [] as number[], without: [] as number[] };
  let requests = 0;
  await withStarted(async (started) => {
    const users = { bench: password, warm: password };
    const dovecot = await started.add(startDovecot({ users }), (part) => part.remove());
    const target = await started.add(WebhookReceiver.start({ answer: () => 'stall' }), (part) => part.stop());
    await deliverAll(dovecot, mails, { user: 'bench' });
    await deliverAll(dovecot, officeMails(warmUpMails, seed + 1), { user: 'warm' });
    for (let round = 0; round < rounds; round += 1) {
      // Whoever is second finds warmer files and a machine that others use otherwise.
      const order = round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const);
      for (const which of order) {
        const before = target.requests.length;
        const url = which === 'with' ? target.url : undefined;
        seconds[which].push(await timeImport(dovecot, { mails: mails.length, events, url }));
        if (which === 'with') requests += target.requests.length - before;
      }
    }
  });
  if (requests === 0) throw new Error('the target was never asked');
  const ratios = seconds.with.map((took, round) => took / (seconds.without[round] ?? Number.NaN));
  const row = (name: string, took: readonly number[]) => [
    name,
    digits(median(took)),
    digits(mails.length / median(took)),
    took.map(digits).join(' '),
  ];
  return {
    title: `Events: an import of ${mails.length} mails while ${events.toLocaleString('en')} webhook events wait for a dead target`,
    notes: [
      `The target takes every request and never answers; it was asked ${requests} times while mail was imported.`,
      'Without: the same rows are in the table, but no webhook. Each import goes into a new Azurite with its lookups indexed (bench/azurite-tuned.ts).',
      `${rounds} rounds of both in turn, first one, then the other ahead; the ratio is of the same round, and the median counts.`,
    ],
    table: [
      ['', 'seconds', 'mails/s', 'seconds of each round'],
      row('events wait', seconds.with),
      row('without', seconds.without),
      ['ratio', digits(median(ratios)), '', ratios.map(digits).join(' ')],
    ],
    goals: [
      {
        what: 'events: import while they wait, times the same without',
        figure: median(ratios),
        bound: 'atMost',
        target: 1.1,
        unit: 'x',
      },
    ],
  };
}

interface Site {
  readonly mails: number;
  readonly events: number;
  /** The webhook's target; undefined: there is no webhook. */
  readonly url: string | undefined;
}

/** Seconds of the run. */
async function timeImport(dovecot: Dovecot, { mails, events, url }: Site): Promise<number> {
  const mailroom = await startMailroom('tuned', { env: { WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' } });
  try {
    await mailroom.secret(dead, 'dead-webhook', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    await mailroom.expect(201, 'PUT', `/api/accounts/${dead}`, {
      body: {
        from: 'dead@example.com',
        transport: { protocol: 'sink' },
        ...(url === undefined ? {} : { webhook: { url, secret: 'dead-webhook' } }),
      },
    });
    await putEvents(mailroom, events);
    await importSeconds(mailroom, dovecot, 'warm', warmUpMails);
    const queue = new QueueClient(mailroom.azurite.connectionString, 'mail-webhooks');
    await queue.createIfNotExists();
    await queue.sendMessage(Buffer.from(JSON.stringify({ target: dead })).toString('base64'));
    const took = await importSeconds(mailroom, dovecot, 'bench', mails);
    const waiting = await countDeliveries(placeOf(mailroom), dead, 'waiting', {
      signal: AbortSignal.timeout(60_000),
      top: events,
    });
    if (waiting < events) throw new Error(`only ${waiting} of ${events} events wait`);
    return took;
  } finally {
    await mailroom.stop();
  }
}

function placeOf(mailroom: Mailroom) {
  const { connectionString } = mailroom.azurite;
  const client = TableClient.fromConnectionString(connectionString, 'events', { allowInsecureConnection: true });
  return { rows: new RowTable(async () => client), clock: { now: () => Date.now() }, client };
}

async function putEvents(mailroom: Mailroom, count: number): Promise<void> {
  const place = placeOf(mailroom);
  await place.client.createTable();
  const time = Date.now();
  const put = (n: number) => {
    const event = cloudEvent({
      ...{ type: 'mailroom.mail.imported', account: dead, subject: `${dead}.${n}`, time },
      data: { size: 10_000, attachments: 1 },
    });
    return addDelivery(place, dead, event, time);
  };
  await Promise.all(Array.from({ length: count }, (_, n) => put(n)));
}
