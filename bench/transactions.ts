import { TableClient } from '@azure/data-tables';
import { runKey } from '../shared/inbox/keys.ts';
import { type Dovecot, startDovecot } from '../test/support/dovecot.ts';
import { deliverAll, imapAccount } from '../test/support/imap-account.ts';
import { type Mailroom, until } from '../test/support/mailroom.ts';
import { type CountingProxy, type StorageRequest, startCountingProxy } from './counting-proxy.ts';
import { type BenchMail, smallMails } from './mails.ts';
import { digits, type SectionResult } from './report.ts';
import { startMailroom } from './storage.ts';

const password = 'secret';
const seed = 20_263;
const attachmentBytes = 30_000;
const limitSeconds = 120;

/** Storage transactions that an imported mail costs, counted on the way to Azurite. */
export async function transactions(options: { readonly quick: boolean }): Promise<SectionResult> {
  const count = options.quick ? 115 : 460;
  const sets = {
    warm: smallMails(10, seed),
    plain: smallMails(count, seed + 1),
    attached: smallMails(count, seed + 2, [attachmentBytes]),
  };
  const users = Object.fromEntries(Object.keys(sets).map((user) => [user, password]));
  const dovecot = await startDovecot({ users });
  // Once storage runs, the functions are started anew with the proxy in between.
  const env: Record<string, string> = {};
  const mailroom = await startMailroom('shipped', { env }).catch(async (error: unknown) => {
    await dovecot.remove();
    throw error;
  });
  const proxy = await startCountingProxy(mailroom.azurite);
  try {
    for (const [user, mails] of Object.entries(sets)) await deliverAll(dovecot, mails, { user });
    await mailroom.kill();
    env.MailStorage = proxy.connectionString;
    await mailroom.run();
    await countRun(mailroom, dovecot, proxy, 'warm', sets.warm);
    const plain = await countRun(mailroom, dovecot, proxy, 'plain', sets.plain);
    const attached = await countRun(mailroom, dovecot, proxy, 'attached', sets.attached);
    return result(count, plain, attached);
  } finally {
    await mailroom.stop();
    await proxy.stop();
    await dovecot.remove();
  }
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
  if (run.status !== 'done' || run.imported !== mails.length) {
    throw new Error(`the import of ${mails.length} mails ended as ${String(run.status)} after ${String(run.imported)}`);
  }
  return proxy.take().filter((request) => !isTriggerOfHost(request));
}

/** The host receives, hides and deletes the messages of the queues that trigger functions. Mailroom itself only adds. */
function isTriggerOfHost({ service, method, path }: StorageRequest): boolean {
  return service === 'queue' && method !== 'POST' && /^\/mail-(import|send)(-poison)?(\/|$)/.test(path);
}

const kinds: readonly (readonly [string, (request: StorageRequest) => boolean])[] = [
  ['blob message.eml', ({ service, path }) => service === 'blob' && path.endsWith('/message.eml')],
  ['blob asset.json', ({ service, path }) => service === 'blob' && path.endsWith('/asset.json')],
  ['blob of an attachment', ({ service, path }) => service === 'blob' && path.includes('/attachments/')],
  ['event to the queue', ({ service, path }) => service === 'queue' && path.startsWith('/mail-events/')],
  ['entity group transaction', ({ service, path }) => service === 'table' && path === '/$batch'],
  ['row written alone', ({ service, method }) => service === 'table' && method !== 'GET'],
  ['rows read', ({ service }) => service === 'table'],
  ['other', () => true],
];

function countKinds(requests: readonly StorageRequest[]): ReadonlyMap<string, number> {
  const counts = new Map(kinds.map(([name]) => [name, 0]));
  for (const request of requests) {
    const name = kinds.find(([, fits]) => fits(request))?.[0] ?? 'other';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function result(count: number, plain: readonly StorageRequest[], attached: readonly StorageRequest[]): SectionResult {
  const [first, second] = [countKinds(plain), countKinds(attached)];
  const perMail = (total: number) => (total / count).toFixed(3);
  const rows = kinds.map(([name]) => [name, perMail(first.get(name) ?? 0), perMail(second.get(name) ?? 0)]);
  return {
    title: `Storage transactions of an imported mail (${count} mails of each kind)`,
    notes: [
      'Requests counted by a proxy before Azurite, from the request for the import to the end of its run, divided by the mails.',
      "Not counted: the host's own receiving and deleting on the queues that trigger functions, and its leases and locks.",
      `The account's default rule (read mark, nothing deleted); one attachment has ${digits(attachmentBytes / 1000)} kB.`,
    ],
    table: [
      ['per mail', 'without attachments', 'with one'],
      ...rows,
      ['all', perMail(plain.length), perMail(attached.length)],
    ],
    goals: [
      {
        what: 'transactions of a mail without attachments',
        figure: plain.length / count,
        bound: 'atMost',
        target: 3.5,
        unit: '',
      },
    ],
  };
}
