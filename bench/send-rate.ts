import { type Mailroom, until } from '../test/support/mailroom.ts';
import { poolResultSchema } from './bare-pool.ts';
import { inFreshProcess } from './child.ts';
import { digits, type Goal, median, type SectionResult } from './report.ts';
import { type Sink, startSink } from './sink.ts';
import { type Storage, startMailroom } from './storage.ts';

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

const switchOff = 'AzureWebJobs.mail-send.Disabled';

interface Rates {
  readonly accepted: number;
  readonly delivered: number;
  readonly bare: number;
}

/** Mails per second taken over by HTTP, and delivered from the queue to an SMTP server, for one account. */
export async function sendRate(options: { readonly quick: boolean }): Promise<SectionResult> {
  const count = options.quick ? 400 : 1_500;
  const rounds = options.quick ? 1 : 3;
  const sink = await startSink();
  const rates: Rates[] = [];
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const { accepted, delivered } = await timeMailroom(sink, count, 'shipped');
      rates.push({ accepted, delivered, bare: await timeBarePool(sink, count) });
    }
  } finally {
    await sink.stop();
  }
  return result(count, rates);
}

async function timeMailroom(sink: Sink, count: number, storage: Storage): Promise<Omit<Rates, 'bare'>> {
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

async function timeBarePool(sink: Sink, count: number): Promise<number> {
  const headers = [
    ...[`From: ${from}`, `To: ${to}`, 'Subject: Message', 'Message-ID: <bare@example.com>'],
    ...['Date: Thu, 01 Jan 2026 00:00:00 +0000', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8'],
  ];
  const { milliseconds } = await inFreshProcess(
    new URL('bare-pool.ts', import.meta.url),
    { port: sink.port, connections, warmUp, mails: count, from, to, raw: `${headers.join('\r\n')}\r\n\r\n${text}` },
    poolResultSchema,
  );
  return count / (milliseconds / 1000);
}

function result(count: number, rates: readonly Rates[]): SectionResult {
  const row = (name: string, figures: readonly number[]) => [
    name,
    digits(median(figures)),
    figures.map(digits).join(' '),
  ];
  const delivered = rates.map((rate) => rate.delivered);
  const goals: Goal[] = [
    { what: 'delivered, one account', figure: median(delivered), bound: 'atLeast', target: 100, unit: '/s' },
  ];
  return {
    title: `Send: ${count.toLocaleString('en')} mails of ${digits(text.length / 1000)} kB, one account, ${connections} connections`,
    notes: [
      `Accepted: POST answered 202, ${requestsAtOnce} requests under way, deliveries switched off meanwhile.`,
      `Delivered: from the queue to an SMTP server that drops them, at full stock, without the first ${warmUp}.`,
      'Bare pool: nodemailer with as many connections to the same server, nothing stored, no queue.',
    ],
    table: [
      ['', 'mails/s', 'each round'],
      row(
        'accepted over HTTP',
        rates.map((rate) => rate.accepted),
      ),
      row('delivered from the queue', delivered),
      row(
        'bare nodemailer pool',
        rates.map((rate) => rate.bare),
      ),
    ],
    goals,
  };
}
