import { type Mailroom, until } from '../test/support/mailroom.ts';
import { bareAcceptResultSchema } from './bare-accept.ts';
import { inFreshProcess } from './child.ts';
import { digits, median, percentile, type SectionResult } from './report.ts';
import { startSink } from './sink.ts';
import { type Started, withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

const text = 'Dear reader,\r\n\r\nthis is what an ordinary message of the service looks like.\r\n'.repeat(24);
/** What the record of such a mail has, in characters. */
const recordLength = 420;
const callersAtOnce = [1, 8, 32] as const;
const warmUp = 32;
/** Mails that wait when delivering begins. */
const waiting = 640;
const limitSeconds = 600;
const switchOff = 'AzureWebJobs.mail-send.Disabled';

/** The latencies of one round, in milliseconds: of calls to the service, and of the bare storage calls. */
interface Round {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

/** How long callers wait for 202, against the storage calls that are made meanwhile; then how fast mail leaves. */
export async function acceptLatency(options: { readonly quick: boolean }): Promise<SectionResult> {
  const mails = options.quick ? 64 : 384;
  const rounds = options.quick ? 3 : 5;
  const measured = await withStarted(async (started) => {
    const { mailroom } = await startAccepting(started);
    const all = new Map<number, Round[]>(callersAtOnce.map((callers) => [callers, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const callers of callersAtOnce) {
        const ours = await acceptMails(mailroom, callers, mails);
        const input = { callers, warmUp, mails, text: text.length, record: recordLength };
        const { connectionString } = mailroom.azurite;
        const module = new URL('bare-accept.ts', import.meta.url);
        const { took: bare } = await inFreshProcess(module, { ...input, connectionString }, bareAcceptResultSchema);
        all.get(callers)?.push({ ours, bare });
      }
    }
    return all;
  });
  return result(mails, measured, await deliveredPerSecond());
}

/** The service with an account that sends, and nothing that delivers what it accepts until `deliver`. */
async function startAccepting(started: Started) {
  const env: Record<string, string | undefined> = { [switchOff]: 'true' };
  const sink = await started.add(startSink(), (part) => part.stop());
  const mailroom = await started.add(startMailroom('tuned', { env }), (part) => part.stop());
  const transport = { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } };
  await mailroom.expect(201, 'PUT', '/api/accounts/sender', { body: { from: 'sender@example.com', transport } });
  const deliver = async () => {
    await mailroom.kill();
    env[switchOff] = undefined;
    await mailroom.run();
  };
  return { mailroom, sink, deliver };
}

/** In a service of its own: Azurite looks through all messages of a queue each time one is taken, and thousands would be its time. */
async function deliveredPerSecond(): Promise<number> {
  return await withStarted(async (started) => {
    const { mailroom, sink, deliver } = await startAccepting(started);
    await acceptMails(mailroom, 8, waiting - warmUp);
    await deliver();
    const arrivals = await until('all mails at the sink', limitSeconds, async () => {
      const { arrivals: all } = await sink.report();
      return all.length >= waiting ? all : undefined;
    });
    const first = arrivals[warmUp - 1] ?? Number.NaN;
    return (waiting - warmUp) / (((arrivals.at(-1) ?? Number.NaN) - first) / 1000);
  });
}

/** Milliseconds that each call took until its answer was there, so many callers calling without a pause. */
async function acceptMails(mailroom: Mailroom, callers: number, count: number): Promise<readonly number[]> {
  const url = `${mailroom.url}/api/accounts/sender/messages`;
  const headers = { ...mailroom.keyHeader, 'content-type': 'application/json' };
  const call = async (n: number) => {
    const body = JSON.stringify({ to: 'reader@example.net', subject: `Message ${n}`, text });
    const began = performance.now();
    const answer = await fetch(url, { method: 'POST', headers, body });
    await answer.arrayBuffer();
    if (answer.status !== 202) throw new Error(`a mail was answered ${answer.status}`);
    return performance.now() - began;
  };
  const took: number[] = [];
  let left = count + warmUp;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      took.push(await call(left));
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return took.slice(warmUp);
}

function result(mails: number, measured: ReadonlyMap<number, readonly Round[]>, delivered: number): SectionResult {
  const lines = [...measured].map(([callers, rounds]) => {
    const ratios = rounds.map(({ ours, bare }) => median(ours) / median(bare));
    const all = (of: (round: Round) => readonly number[], rank: number) =>
      median(rounds.map((round) => percentile(of(round), rank)));
    return { callers, all, ratios, ratio: median(ratios) };
  });
  return {
    title: 'Accept: how long a caller waits for 202',
    notes: [
      `${mails} mails of ${digits(text.length / 1000)} kB a round, ${lines[0]?.ratios.length ?? 0} rounds of both in turn; deliveries are switched off meanwhile.`,
      'Bare: the blob, the entity group transaction and the queue message of a mail, one after the other, by the SDKs in a process of its own.',
      'Percentiles of each round, and their median; ratios are of the medians of the same round, and their median counts.',
      'The time is that of a caller over HTTP: the local host, the function and its log are in it. Azurite with its lookups indexed (bench/azurite-tuned.ts).',
      `Delivered: ${waiting} mails, from the queue to an SMTP server that drops them, one account with 5 connections.`,
    ],
    table: [
      ['milliseconds', 'median', '99 %', 'bare median', 'bare 99 %', 'ratio', 'of each round'],
      ...lines.map(({ callers, all, ratio, ratios }) => [
        `${callers} ${callers === 1 ? 'caller' : 'callers'}`,
        digits(all(({ ours }) => ours, 50)),
        digits(all(({ ours }) => ours, 99)),
        digits(all(({ bare }) => bare, 50)),
        digits(all(({ bare }) => bare, 99)),
        digits(ratio),
        ratios.map(digits).join(' '),
      ]),
      ['delivered a second', digits(delivered), '', '', '', '', ''],
    ],
    goals: [
      ...lines.map(({ callers, ratio }) => ({
        what: `accept: median of ${callers} ${callers === 1 ? 'caller' : 'callers'}, times the bare calls`,
        figure: ratio,
        bound: 'atMost' as const,
        target: 1.5,
        unit: 'x',
      })),
      { what: 'accept: delivered afterwards', figure: delivered, bound: 'atLeast', target: 100, unit: '/s' },
    ],
  };
}
