import { type Mailroom, until } from '../test/support/mailroom.ts';
import { deliveryResultSchema } from './bare-delivery.ts';
import { poolResultSchema } from './bare-pool.ts';
import { inFreshProcess } from './child.ts';
import { digits, type Goal, median, type SectionResult } from './report.ts';
import { type Sink, startSink } from './sink.ts';
import { withStarted } from './started.ts';
import { type Storage, startMailroom, startStorage } from './storage.ts';

const account = 'corpus';
const from = 'corpus@example.com';
const to = 'reader@example.net';
const requestsAtOnce = 16;
/** The default of an account's `limits.connections`. */
const connections = 5;
/** Accepted and delivered before the measured ones, so that code is compiled and connections are open. */
const warmUp = 200;
const limitSeconds = 240;
const text = 'Dear reader,\r\n\r\nthis is what an ordinary message of the service looks like.\r\n'.repeat(24);

/** What the record of such a mail has, in characters. */
const recordLength = 420;

const switchOff = 'AzureWebJobs.mail-send.Disabled';

/** Mails per second in each round. */
interface Rates {
  readonly accepted: number[];
  readonly delivered: number[];
  /** By the same storage calls made bare and a bare pool. */
  readonly bare: number[];
}

interface Measured {
  readonly tuned: Rates;
  readonly shipped: Rates;
  /** A bare pool without storage. */
  readonly pool: number[];
}

const noRates = (): Rates => ({ accepted: [], delivered: [], bare: [] });

/** Mails per second taken over by HTTP, and delivered from the queue to an SMTP server, for one account. */
export async function sendRate(options: { readonly quick: boolean }): Promise<SectionResult> {
  const count = options.quick ? 400 : 1_500;
  const rounds = options.quick ? 1 : 3;
  const measured: Measured = { tuned: noRates(), shipped: noRates(), pool: [] };
  await withStarted(async (started) => {
    const sink = await started.add(startSink(), (part) => part.stop());
    const round = async (storage: Storage) => {
      const { accepted, delivered } = await timeMailroom(sink, count, storage);
      measured[storage].accepted.push(accepted);
      measured[storage].delivered.push(delivered);
      measured[storage].bare.push(await timeBareDelivery(sink, count, storage));
    };
    for (let n = 1; n <= rounds; n += 1) {
      await round('tuned');
      measured.pool.push(await timeBarePool(sink, count));
    }
    await round('shipped');
  });
  return result(count, measured);
}

async function timeMailroom(sink: Sink, count: number, storage: Storage) {
  const env: Record<string, string | undefined> = { [switchOff]: 'true' };
  const mailroom = await startMailroom(storage, { env });
  try {
    await mailroom.expect(201, 'PUT', `/api/accounts/${account}`, {
      body: {
        from,
        transport: {
          ...{ protocol: 'smtp', host: '127.0.0.1', port: sink.port },
          ...{ auth: { type: 'none' }, tls: { starttls: 'never' } },
        },
        limits: { connections },
      },
    });
    await acceptMails(mailroom, warmUp);
    const accepted = count / (await acceptMails(mailroom, count));
    // The same app anew, now with the queue's function switched on.
    await mailroom.kill();
    env[switchOff] = undefined;
    const before = (await sink.report()).arrivals.length;
    await mailroom.run();
    const arrivals = await until('all mails at the sink', limitSeconds, async () => {
      const since = (await sink.report()).arrivals.slice(before);
      return since.length >= warmUp + count ? since : undefined;
    });
    return { accepted, delivered: count / seconds(arrivals, warmUp - 1) };
  } finally {
    await mailroom.stop();
  }
}

/** From the arrival with this index to the last. */
function seconds(arrivals: readonly number[], from: number): number {
  return ((arrivals.at(-1) ?? Number.NaN) - (arrivals[from] ?? Number.NaN)) / 1000;
}

/** Seconds until all were answered 202, a fixed number of requests being under way. */
async function acceptMails(mailroom: Mailroom, count: number): Promise<number> {
  let left = count;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      const body = { to, subject: `Message ${left}`, text };
      await mailroom.expect(202, 'POST', `/api/accounts/${account}/messages`, { body });
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: requestsAtOnce }, caller));
  return (performance.now() - started) / 1000;
}

const headers = [
  ...[`From: ${from}`, `To: ${to}`, 'Subject: Message', 'Message-ID: <bare@example.com>'],
  ...['Date: Thu, 01 Jan 2026 00:00:00 +0000', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8'],
];
const raw = `${headers.join('\r\n')}\r\n\r\n${text}`;

async function timeBareDelivery(sink: Sink, count: number, storage: Storage): Promise<number> {
  const azurite = await startStorage(storage);
  try {
    const before = (await sink.report()).arrivals.length;
    const mails = warmUp + count;
    const { connectionString } = azurite;
    await inFreshProcess(
      new URL('bare-delivery.ts', import.meta.url),
      { connectionString, port: sink.port, connections, mails, from, to, raw, record: recordLength },
      deliveryResultSchema,
    );
    return count / seconds((await sink.report()).arrivals.slice(before), warmUp - 1);
  } finally {
    await azurite.stop();
  }
}

async function timeBarePool(sink: Sink, count: number): Promise<number> {
  const { milliseconds } = await inFreshProcess(
    new URL('bare-pool.ts', import.meta.url),
    { port: sink.port, connections, warmUp, mails: count, from, to, raw },
    poolResultSchema,
  );
  return count / (milliseconds / 1000);
}

function result(count: number, { tuned, shipped, pool }: Measured): SectionResult {
  const row = (name: string, figures: readonly number[]) => [
    name,
    digits(median(figures)),
    figures.map(digits).join(' '),
  ];
  // Ratios of neighbours: what else the machine does changes from round to round.
  const ratios = ({ delivered, bare }: Rates) => delivered.map((rate, n) => rate / (bare[n] ?? Number.NaN));
  const atLeast = (what: string, figure: number, target: number, unit = ''): Goal => ({
    ...{ what: `send: ${what}`, figure, target, unit },
    bound: 'atLeast',
  });
  return {
    title: `Send: ${count.toLocaleString('en')} mails of ${digits(text.length / 1000)} kB, one account, ${connections} connections`,
    notes: [
      `Accepted: POST answered 202, ${requestsAtOnce} requests under way, deliveries switched off meanwhile.`,
      `Delivered: from the queue to an SMTP server that drops them, at full stock, without the first ${warmUp}.`,
      'Bare calls: the storage calls of the product made bare by the SDKs, several mails in a transaction, and a bare nodemailer pool.',
      'Bare pool: nodemailer with as many connections to the same server, nothing stored, no queue.',
      'First with the lookups of Azurite indexed (bench/azurite-tuned.ts); as shipped, it looks through all it holds at every write.',
    ],
    table: [
      ['', 'mails/s', 'each round'],
      row('accepted over HTTP', tuned.accepted),
      row('delivered from the queue', tuned.delivered),
      row('the same by bare calls', tuned.bare),
      row('part of the bare calls', ratios(tuned)),
      row('bare nodemailer pool', pool),
      row('accepted, Azurite as shipped', shipped.accepted),
      row('delivered, Azurite as shipped', shipped.delivered),
      row('by bare calls, Azurite as shipped', shipped.bare),
    ],
    goals: [
      atLeast('delivered, part of the bare calls', median(ratios(tuned)), 0.7),
      atLeast('delivered, one account', median(tuned.delivered), 200, '/s'),
      atLeast('part of the bare calls, Azurite as shipped', median(ratios(shipped)), 0.7),
      atLeast('delivered, Azurite as shipped', median(shipped.delivered), 200, '/s'),
    ],
  };
}
