import type { Azurite } from '../local/azurite.ts';
import { type Dovecot, startDovecot } from '../test/support/dovecot.ts';
import { graphAccount } from '../test/support/graph-account.ts';
import { deliverAll } from '../test/support/imap-account.ts';
import { type Mailroom, until } from '../test/support/mailroom.ts';
import { serverAccount } from '../test/support/server-account.ts';
import { type FarServer, startFarServer } from './far-server.ts';
import { password } from './import-seconds.ts';
import { smallMails } from './mails.ts';
import { digits, type Goal, median, type SectionResult } from './report.ts';
import { type Sink, startSink } from './sink.ts';
import { type Started, withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

const seed = 20_265;
const graphUser = 'bench@example.com';
const warmUser = 'warm@example.com';
const warmUpMails = 60;
const limitSeconds = 300;
/** The default of an account's `limits.connections`. */
const connections = 5;
const callsAtOnce = 16;

/** Round trips, in ms: to the mail server, and to storage. */
const distances = [
  { name: '0/0', server: 0, storage: 0, least: undefined },
  { name: '20/6', server: 20, storage: 6, least: 0.9 },
  { name: '60/15', server: 60, storage: 15, least: 0.7 },
] as const;

const ways = ['imap', 'pop3', 'graph', 'smtp'] as const;
type Way = (typeof ways)[number];

/** Mails per second, by way and distance, in each round. */
type Rates = ReadonlyMap<string, number[]>;
const cell = (way: Way, distance: string) => `${way} ${distance}`;

/** What is between the app and the servers. */
interface Site {
  readonly mailroom: Mailroom;
  readonly dovecot: Dovecot;
  readonly sink: Sink;
  readonly servers: Readonly<Record<Way, FarServer>>;
  readonly storage: readonly FarServer[];
  /** Settings of the functions process. */
  readonly env: Record<string, string | undefined>;
  readonly mails: Mails;
}

/** Of each import, and of each delivery. */
interface Mails {
  readonly imported: number;
  readonly sent: number;
}

/**
 * How much of its rate on one machine an import, and a delivery, keeps where mail server and storage are further away: a
 * network that takes its time stands before each of them. Rounds over all distances, in turn.
 */
export async function latency(options: { readonly quick: boolean }): Promise<SectionResult> {
  const mails = options.quick ? { imported: 150, sent: 150 } : { imported: 2_000, sent: 400 };
  const rounds = options.quick ? 1 : 3;
  const rates: Rates = new Map(ways.flatMap((way) => distances.map(({ name }) => [cell(way, name), []])));
  for (let round = 1; round <= rounds; round += 1) {
    // Each round begins with empty storage: Azurite is slower the more it holds.
    await withStarted(async (started) => {
      const site = await startSite(mails, started);
      for (const distance of inTurn(round)) {
        setDistance(site, distances[0]);
        rates.get(cell('smtp', distance.name))?.push(await sendOf(site, `d${distance.server}`, distance));
      }
      setDistance(site, distances[0]);
      for (const way of ['imap', 'pop3', 'graph'] as const) await importOf(site, way, 'warm', warmUpMails);
      for (const distance of inTurn(round)) {
        setDistance(site, distance);
        for (const way of ['imap', 'pop3', 'graph'] as const) {
          rates.get(cell(way, distance.name))?.push(await importOf(site, way, `d${distance.server}`, mails.imported));
        }
      }
    });
  }
  return result(mails, rounds, rates);
}

/** Each distance is first, second and last once in three rounds: storage is fuller for whichever comes later. */
function inTurn(round: number): readonly (typeof distances)[number][] {
  return distances.map((_, n) => distances[(n + round + 1) % distances.length] ?? distances[0]);
}

async function startSite(mails: Mails, started: Started): Promise<Site> {
  const env: Record<string, string | undefined> = {};
  const users = { bench: password, warm: password };
  const dovecot = await started.add(startDovecot({ users }), (part) => part.remove());
  const sink = await started.add(startSink(), (part) => part.stop());
  const graph = [graphUser, warmUser].map((userPrincipalName) => ({ userPrincipalName }));
  const mailroom = await started.add(startMailroom('tuned', { env, graph }), (part) => part.stop());
  const far = (port: number) => started.add(startFarServer(port), (part) => part.stop());
  const graphUrl = new URL(mailroom.graph.endpoint);
  const servers = {
    imap: await far(dovecot.ports.imap),
    pop3: await far(dovecot.ports.pop3),
    graph: await far(Number(graphUrl.port)),
    smtp: await far(sink.port),
  };
  const storage = await farStorage(mailroom.azurite, far);
  graphUrl.port = String(servers.graph.port);
  env.GRAPH_ENDPOINT = graphUrl.href.replace(/\/$/, '');
  env.MailStorage = storage.connectionString;
  const measured = smallMails(mails.imported, seed);
  const warm = smallMails(warmUpMails, seed + 1);
  await deliverAll(dovecot, measured, { user: 'bench' });
  await deliverAll(dovecot, warm, { user: 'warm' });
  for (const { bytes } of measured) mailroom.graph.mailbox(graphUser).deliver(bytes);
  for (const { bytes } of warm) mailroom.graph.mailbox(warmUser).deliver(bytes);
  // Once storage runs, the functions are started anew with the network in between.
  await mailroom.kill();
  await mailroom.run();
  return { mailroom, dovecot, sink, servers, storage: storage.ends, env, mails };
}

async function farStorage(azurite: Azurite, far: (port: number) => Promise<FarServer>) {
  let { connectionString } = azurite;
  const ends: FarServer[] = [];
  for (const port of [azurite.blobPort, azurite.queuePort, azurite.tablePort]) {
    const end = await far(port);
    ends.push(end);
    connectionString = connectionString.replace(`:${port}/`, `:${end.port}/`);
  }
  return { connectionString, ends };
}

function setDistance(site: Site, { server, storage }: { readonly server: number; readonly storage: number }): void {
  for (const far of Object.values(site.servers)) far.roundTrip(server);
  for (const far of site.storage) far.roundTrip(storage);
}

/** Mails per second of the first import of a new account, by what its run says of its beginning and end. */
async function importOf(
  { mailroom, dovecot, servers }: Site,
  way: Exclude<Way, 'smtp'>,
  round: string,
  expected: number,
): Promise<number> {
  const name = `${way}-${round}`;
  const warm = round === 'warm';
  if (way === 'graph') {
    await graphAccount(mailroom, name, { user: warm ? warmUser : graphUser, transport: null });
  } else {
    const user = warm ? 'warm' : 'bench';
    await serverAccount(mailroom, name, dovecot, { protocol: way, user, password, port: servers[way].port });
    // Mail that arrives is unread: each import is to mark what it imports.
    await dovecot.doveadm('flags', 'remove', '-u', user, '\\Seen', 'mailbox', 'INBOX', 'all');
  }
  const run = await mailroom.import(name, limitSeconds);
  if (run.status !== 'done' || run.imported !== expected) {
    throw new Error(`the import of ${expected} mails by ${way} ended as ${JSON.stringify(run)}`);
  }
  return expected / ((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000);
}

const switchOff = 'AzureWebJobs.mail-send.Disabled';

/** Mails per second that reach the server, of those that are on the queue as the functions start. */
async function sendOf(site: Site, round: string, distance: (typeof distances)[number]): Promise<number> {
  const { mailroom, sink, servers, env } = site;
  const { sent } = site.mails;
  const name = `smtp-${round}`;
  const restart = async (off: string | undefined) => {
    await mailroom.kill();
    env[switchOff] = off;
    await mailroom.run();
  };
  await restart('true');
  const transport = { protocol: 'smtp', host: '127.0.0.1', port: servers.smtp.port, tls: { starttls: 'never' } };
  const body = { from: 'bench@example.com', transport, limits: { connections } };
  await mailroom.expect(201, 'PUT', `/api/accounts/${name}`, { body });
  let left = sent + warmUpMails;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      const message = { to: 'reader@example.net', subject: `Message ${left}`, text: 'Dear reader, ...'.repeat(100) };
      await mailroom.expect(202, 'POST', `/api/accounts/${name}/messages`, { body: message });
    }
  };
  await Promise.all(Array.from({ length: callsAtOnce }, caller));
  const before = (await sink.report()).arrivals.length;
  setDistance(site, distance);
  await restart(undefined);
  const arrivals = await until('all mails at the server', limitSeconds, async () => {
    const since = (await sink.report()).arrivals.slice(before);
    return since.length >= warmUpMails + sent ? since : undefined;
  });
  const first = arrivals[warmUpMails - 1] ?? Number.NaN;
  return sent / (((arrivals.at(-1) ?? Number.NaN) - first) / 1000);
}

function result({ imported, sent }: Mails, rounds: number, rates: Rates): SectionResult {
  const of = (way: Way, distance: string) => rates.get(cell(way, distance)) ?? [];
  // Ratios of neighbours: what else the machine does changes from round to round.
  const part = (way: Way, distance: string) => {
    const near = of(way, distances[0].name);
    return median(of(way, distance).map((rate, round) => rate / (near[round] ?? Number.NaN)));
  };
  const goals = ways.flatMap((way) =>
    distances.flatMap(({ name, least }): Goal[] =>
      least === undefined
        ? []
        : [
            {
              what: `${way} at ${name}: part of the rate at 0/0`,
              figure: part(way, name),
              bound: 'atLeast',
              target: least,
              unit: '',
            },
          ],
    ),
  );
  return {
    title: `Latency: imports of ${imported.toLocaleString('en')} small mails, deliveries of ${sent}, servers further away`,
    notes: [
      'Round trips in ms, to the mail server and to storage: a network before Dovecot, the Graph stand-in, the SMTP server and Azurite.',
      'Imports by the times of their run, each of a new account, with Azurite’s lookups indexed; sends from a full queue to an SMTP server that drops them.',
      `${rounds === 1 ? 'One round' : `${rounds} rounds`}, each over all distances, which take turns in being first; ratios are of the same round, and their median counts.`,
    ],
    table: [
      ['mails/s', ...distances.map(({ name }) => name), ...distances.slice(1).map(({ name }) => `part at ${name}`)],
      ...ways.map((way) => [
        way,
        ...distances.map(({ name }) => of(way, name).map(digits).join(' ')),
        ...distances.slice(1).map(({ name }) => digits(part(way, name))),
      ]),
    ],
    goals,
  };
}
