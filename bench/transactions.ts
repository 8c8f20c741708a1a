import { TableClient } from '@azure/data-tables';
import { QueueClient } from '@azure/storage-queue';
import { runKey, singleKeys } from '../shared/inbox/keys.ts';
import { type CountingProxy, type StorageRequest, startCountingProxy } from '../test/support/counting-proxy.ts';
import { type Dovecot, startDovecot } from '../test/support/dovecot.ts';
import { deliverAll, imapAccount } from '../test/support/imap-account.ts';
import { type Mailroom, until } from '../test/support/mailroom.ts';
import { password } from './import-seconds.ts';
import { type BenchMail, smallMails } from './mails.ts';
import { digits, type SectionResult } from './report.ts';
import { type Sink, startSink } from './sink.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

const seed = 20_263;
const attachmentBytes = 30_000;
const limitSeconds = 120;
const timersOff = Object.fromEntries(
  ['outbox-recovery', 'outbox-release'].map((name) => [`AzureWebJobs.${name}.Disabled`, 'true']),
);

/** Requests to send that are under way at a time, where many are. */
const callsAtOnce = 16;
/** Mails that are sent each by itself, and imports that find nothing. */
const alone = 20;
const text = 'Dear reader,\r\n\r\nthis is what an ordinary message of the service looks like.\r\n'.repeat(24);

/** Storage transactions that a mail costs, imported or sent, counted on the way to Azurite. */
export async function transactions(options: { readonly quick: boolean }): Promise<SectionResult> {
  const count = options.quick ? 115 : 460;
  const sets = {
    warm: smallMails(10, seed),
    plain: smallMails(count, seed + 1),
    attached: smallMails(count, seed + 2, [attachmentBytes]),
  };
  const users = Object.fromEntries(Object.keys(sets).map((user) => [user, password]));
  // The timers of each minute are no part of an import.
  const env: Record<string, string | undefined> = { ...timersOff };
  return await withStarted(async (started) => {
    const dovecot = await started.add(startDovecot({ users }), (part) => part.remove());
    const sink = await started.add(startSink(), (part) => part.stop());
    const mailroom = await started.add(startMailroom('shipped', { env }), (part) => part.stop());
    const proxy = await started.add(startCountingProxy(mailroom.azurite), (part) => part.stop());
    for (const [user, mails] of Object.entries(sets)) await deliverAll(dovecot, mails, { user });
    // Once storage runs, the functions are started anew with the proxy in between.
    env.MailStorage = proxy.connectionString;
    await mailroom.kill();
    await mailroom.run();
    await countRun(mailroom, dovecot, proxy, 'warm', sets.warm);
    const plain = await countRun(mailroom, dovecot, proxy, 'plain', sets.plain);
    const attached = await countRun(mailroom, dovecot, proxy, 'attached', sets.attached);
    const idle = await countIdle(mailroom, proxy);
    // They are a part of sending: they look after what waits.
    for (const name of Object.keys(timersOff)) env[name] = undefined;
    await mailroom.kill();
    await mailroom.run();
    await sendingAccount(mailroom, sink);
    await countSends(mailroom, proxy, alone, callsAtOnce);
    const burst = await countSends(mailroom, proxy, count, callsAtOnce);
    const single = await countSends(mailroom, proxy, alone, 1);
    return result(count, [
      { name: 'imported', mails: count, requests: plain },
      { name: 'with a file', mails: count, requests: attached },
      { name: 'import, nothing new', mails: alone, requests: idle },
      { name: 'sent, many', mails: count, requests: burst },
      { name: 'sent, one by one', mails: alone, requests: single },
    ]);
  });
}

/** What storage was asked for, from the request for an import to the end of its run. */
async function countRun(
  mailroom: Mailroom,
  dovecot: Dovecot,
  proxy: CountingProxy,
  account: string,
  mails: readonly BenchMail[],
): Promise<readonly StorageRequest[]> {
  await imapAccount(mailroom, account, dovecot, { user: account, password });
  return await countRunOf(mailroom, proxy, account, mails.length);
}

async function countRunOf(
  mailroom: Mailroom,
  proxy: CountingProxy,
  account: string,
  mails: number,
): Promise<readonly StorageRequest[]> {
  // Looked at past the proxy, so that looking is not counted.
  const rows = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'inbox', {
    allowInsecureConnection: true,
  });
  proxy.take();
  const { json } = await mailroom.expect(202, 'POST', `/api/accounts/${account}/import`);
  const run = await until('the end of the run', limitSeconds, async () => {
    const row = await rows.getEntity(account, runKey(String(json.runId)));
    return row.status === 'running' ? undefined : row;
  });
  if (run.status !== 'done' || run.imported !== mails) {
    throw new Error(`the import of ${mails} mails ended as ${String(run.status)} after ${String(run.imported)}`);
  }
  return proxy.take();
}

/** Imports that find nothing new, one after another, each from its message on the queue, as the timer puts it there. */
async function countIdle(mailroom: Mailroom, proxy: CountingProxy): Promise<readonly StorageRequest[]> {
  const { connectionString } = mailroom.azurite;
  const rows = TableClient.fromConnectionString(connectionString, 'inbox', { allowInsecureConnection: true });
  const queue = new QueueClient(connectionString, 'mail-import');
  const message = Buffer.from(JSON.stringify({ account: 'warm' })).toString('base64');
  const lastOf = async () => String((await rows.getEntity('warm', singleKeys.turn)).last);
  proxy.take();
  for (let n = 0; n < alone; n += 1) {
    const before = await lastOf();
    await queue.sendMessage(message);
    await until('the end of the import', limitSeconds, async () => (await lastOf()) !== before);
  }
  return proxy.take();
}

async function sendingAccount(mailroom: Mailroom, sink: Sink): Promise<void> {
  const transport = { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } };
  await mailroom.expect(201, 'PUT', '/api/accounts/sender', { body: { from: 'sender@example.com', transport } });
}

/** What storage was asked for, from the first request to send until nothing is left to be done for any mail. */
async function countSends(
  mailroom: Mailroom,
  proxy: CountingProxy,
  count: number,
  atOnce: number,
): Promise<readonly StorageRequest[]> {
  proxy.take();
  let left = count;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      const body = { to: 'reader@example.net', subject: `Message ${left}`, text };
      await mailroom.expect(202, 'POST', '/api/accounts/sender/messages', { body });
      if (atOnce === 1) await allSent(mailroom);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  await allSent(mailroom, { closed: true });
  return proxy.take();
}

/**
 * Every message has ended, and the host has deleted what brought them. `closed`: their events are noted as told as well,
 * which comes with a later write. Looked at past the proxy.
 */
async function allSent(mailroom: Mailroom, { closed = false } = {}): Promise<void> {
  const rows = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'outbox', {
    allowInsecureConnection: true,
  });
  const queue = new QueueClient(mailroom.azurite.connectionString, 'mail-send');
  const filter = "PartitionKey eq 'sender' and RowKey ge 'o:' and RowKey lt 'o;'";
  await until('the end of all sends', limitSeconds, async () => {
    for await (const { ended } of rows.listEntities({ queryOptions: { filter } })) {
      if (closed || ended !== true) return false;
    }
    return (await queue.getProperties()).approximateMessagesCount === 0;
  });
}

/** The host deletes what it has handed to a function. */
function isDeletedByHost({ service, method, path }: StorageRequest): boolean {
  return service === 'queue' && method === 'DELETE' && /^\/mail-(import|send|webhooks)\//.test(path);
}

/** The host asks its queues for messages, and hides one for longer while its function works: by time, not by mail. */
function isPolledByHost({ service, method, path }: StorageRequest): boolean {
  return service === 'queue' && method !== 'POST' && /^\/mail-(import|send|webhooks)(-poison)?(\/|$)/.test(path);
}

const isRead = (service: string, method: string) => service === 'table' && method === 'GET';

const isToSend = (service: string, path: string) => service === 'blob' && path.startsWith('/outbox/');

/** What a mail that is sent writes to its account's partition, and by what it is known in the text of a request. */
const sendSteps: readonly (readonly [string, RegExp])[] = [
  ['row: accepted', /"status":"queued"/g],
  ['row: claimed', /"status":"sending"/g],
  ['row: committing', /"committing":true/g],
  ['row: receipt', /"status":"sent"/g],
  ['row: event was told', /"event":""/g],
];

/** The shares that the steps of sending have in a request: several may go in one transaction. */
function shares({ service, body }: StorageRequest): ReadonlyMap<string, number> {
  if (service !== 'table') return new Map();
  const found = sendSteps.map(([name, text]) => [name, body.match(text)?.length ?? 0] as const);
  const all = found.reduce((sum, [, count]) => sum + count, 0);
  return new Map(found.filter(([, count]) => count > 0).map(([name, count]) => [name, count / all]));
}

const kinds: readonly (readonly [string, (request: StorageRequest) => boolean])[] = [
  ['blob message.eml', ({ service, path }) => service === 'blob' && path.endsWith('/message.eml')],
  ['blob asset.json', ({ service, path }) => service === 'blob' && path.endsWith('/asset.json')],
  ['blob of an attachment', ({ service, path }) => service === 'blob' && path.includes('/attachments/')],
  ['blob of a mail to send', ({ service, method, path }) => isToSend(service, path) && method !== 'GET'],
  ['the same, read', ({ service, path }) => isToSend(service, path)],
  ['event to the queue', ({ service, path }) => service === 'queue' && path.startsWith('/mail-events/')],
  ['work to the queue', ({ service, path }) => service === 'queue' && /^\/mail-(import|send)\//.test(path)],
  ['account read', ({ service, method, path }) => isRead(service, method) && path.startsWith('/accounts')],
  ['record read', ({ service, method, path }) => isRead(service, method) && path.startsWith('/outbox')],
  ['limits', ({ service, path }) => service === 'table' && path.startsWith('/limits')],
  ['entity group transaction', ({ service, path }) => service === 'table' && path === '/$batch'],
  ['row written alone', ({ service, method }) => service === 'table' && method !== 'GET'],
  ['rows read', ({ service }) => service === 'table'],
  ['other', () => true],
];

interface Counted {
  readonly name: string;
  /** What the requests are divided by. */
  readonly mails: number;
  readonly requests: readonly StorageRequest[];
}

function result(count: number, counted: readonly Counted[]): SectionResult {
  const columns = counted.map(({ name, mails, requests }) => {
    const own = requests.filter((request) => !isPolledByHost(request) && !isDeletedByHost(request));
    const kindOf = (request: StorageRequest) =>
      shares(request).size > 0 ? undefined : kinds.find(([, fits]) => fits(request))?.[0];
    const per = (part: readonly StorageRequest[]) => part.length / mails;
    const stepShare = (step: string) => own.reduce((sum, request) => sum + (shares(request).get(step) ?? 0), 0) / mails;
    return {
      name,
      all: per(own),
      kinds: kinds.map(([kind]) => per(own.filter((request) => kindOf(request) === kind))),
      steps: sendSteps.map(([step]) => stepShare(step)),
      deleted: per(requests.filter(isDeletedByHost)),
    };
  });
  const figures = (name: string, of: (column: (typeof columns)[number]) => number) => [
    name,
    ...columns.map((column) => of(column).toFixed(3)),
  ];
  return {
    title: `Storage transactions of a mail (${count} imported of each kind, ${count} sent)`,
    notes: [
      'Requests counted by a proxy before Azurite, divided by the mails; for imports that find nothing, by the imports.',
      'Rows of a mail that is sent: the part of a transaction that each step has, where several go in one.',
      'Imports from the request to the end of their run, those that find nothing from their message on the queue; sends from the first call until the last is recorded as sent.',
      "Not in `all`: the host's own deleting on the queues that trigger functions. Not counted: its asking there, leases, locks; of imports, the timers of each minute.",
      `The account's default rule (read mark, nothing deleted); the file has ${digits(attachmentBytes / 1000)} kB. Sent by SMTP, ${callsAtOnce} calls at a time where many.`,
    ],
    table: [
      ['', ...columns.map(({ name }) => name)],
      ...sendSteps.map(([step], index) => figures(step, (column) => column.steps[index] ?? 0)),
      ...kinds.map(([kind], index) => figures(kind, (column) => column.kinds[index] ?? 0)),
      figures('all', ({ all }) => all),
      figures('deleted by the host', ({ deleted }) => deleted),
    ],
    goals: [
      {
        what: 'transactions of a mail without attachments',
        figure: columns[0]?.all ?? Number.NaN,
        bound: 'atMost',
        target: 3,
        unit: '',
      },
      ...[
        { what: 'transactions of an import that finds nothing', column: 2, target: 4 },
        { what: 'transactions of a mail sent alone', column: 4, target: 7 },
        { what: 'transactions of a mail sent among many', column: 3, target: 5 },
      ].map(({ what, column, target }) => ({
        what,
        figure: columns[column]?.all ?? Number.NaN,
        bound: 'atMost' as const,
        target,
        unit: '',
      })),
    ],
  };
}
