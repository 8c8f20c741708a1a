import { type StorageRequest, startCountingProxy } from '../test/support/counting-proxy.ts';
import { type Dovecot, startDovecot } from '../test/support/dovecot.ts';
import { deliverAll, imapAccount } from '../test/support/imap-account.ts';
import { type Mailroom, until } from '../test/support/mailroom.ts';
import { executions } from './executions.ts';
import { password } from './import-seconds.ts';
import { smallMails } from './mails.ts';
import { digits, type SectionResult } from './report.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

/** What a day is calculated for. */
const day = { accounts: 10_000, mails: 200_000 };
const schedule = '0 */5 * * * *';
const stepMs = 300_000;
const stepsOfDay = 86_400_000 / stepMs;
const seed = 20_266;
const limitSeconds = 120;

/** Memory of an instance (infra/), in GB. */
const instanceGb = 4;

/** Accounts in one answer of storage. */
const pageSize = 1_000;

/**
 * A day of ten thousand accounts that import every five minutes and are sent twenty mails each, from some steps of five
 * minutes with fewer accounts: the clock is moved from step to step. What is asked for by time, whatever the number of
 * accounts, is counted by itself.
 */
export async function dayOfAccounts(options: { readonly quick: boolean }): Promise<SectionResult> {
  const accounts = options.quick ? 10 : 40;
  const steps = 12;
  const names = Array.from({ length: accounts }, (_, n) => `day-${n}`);
  const mails = Math.round((day.mails / day.accounts / stepsOfDay) * steps * accounts);
  const users = Object.fromEntries(names.map((name) => [name, password]));
  const env: Record<string, string> = { 'AzureWebJobs.outbox-release.Disabled': 'true' };
  return await withStarted(async (started) => {
    const dovecot = await started.add(startDovecot({ users }), (part) => part.remove());
    const mailroom = await started.add(startMailroom('tuned', { env }), (part) => part.stop());
    const proxy = await started.add(startCountingProxy(mailroom.azurite), (part) => part.stop());
    await mailroom.kill();
    env.MailStorage = proxy.connectionString;
    await mailroom.run();
    for (const user of names) await imapAccount(mailroom, user, dovecot, { user, password, rule: { schedule } });
    const site = { mailroom, dovecot, names };
    // The first run of each account is of another kind.
    await runStep(site, 0);
    proxy.take();
    const seconds = await runSteps(site, steps, mails);
    return result({ accounts, steps, mails, seconds, requests: proxy.take() });
  });
}

interface Site {
  readonly mailroom: Mailroom;
  readonly dovecot: Dovecot;
  readonly names: readonly string[];
}

/** All steps, with the mails spread over them. Answers the seconds in which imports ran. */
async function runSteps(site: Site, steps: number, mails: number): Promise<number> {
  const all = smallMails(mails, seed);
  let seconds = 0;
  let sent = 0;
  for (let step = 1; step <= steps; step += 1) {
    const due = Math.round((mails * step) / steps);
    for (; sent < due; sent += 1) {
      const user = site.names[sent % site.names.length] ?? '';
      await deliverAll(site.dovecot, all.slice(sent, sent + 1), { user });
    }
    seconds += await runStep(site, step);
  }
  return seconds;
}

/** One firing of the schedule, to the end of its imports. Answers the seconds in which at least one of them ran. */
async function runStep({ mailroom, names }: Site, step: number): Promise<number> {
  await mailroom.setClock(step * (stepMs + 1_000));
  const before = (await mailroom.log()).length;
  await mailroom.fire('import-schedule');
  return await until('the end of the imports', limitSeconds, async () => {
    const { ended, seconds } = executions((await mailroom.log()).slice(before), 'mail-import');
    return ended.length >= names.length ? seconds : undefined;
  });
}

interface Counted {
  readonly accounts: number;
  readonly steps: number;
  readonly mails: number;
  readonly seconds: number;
  readonly requests: readonly StorageRequest[];
}

/** The timers read accounts, and which of them have open mail, by ranges; nothing else does. */
const isListing = ({ service, method, path }: StorageRequest) =>
  service === 'table' && method === 'GET' && path === '/accounts()';

/** The host asks its queues by time. */
const isPolled = ({ service, method, path }: StorageRequest) =>
  service === 'queue' && method === 'GET' && /^\/mail-(import|send|webhooks)(-poison)?(\/|$)/.test(path);

const kinds: readonly (readonly [string, (request: StorageRequest) => boolean])[] = [
  ['blobs written', ({ service, method }) => service === 'blob' && method !== 'GET' && method !== 'HEAD'],
  ['blobs read', ({ service }) => service === 'blob'],
  ['queue operations', ({ service }) => service === 'queue'],
  ['table operations', ({ service }) => service === 'table'],
];

function result({ accounts, steps, mails, seconds, requests }: Counted): SectionResult {
  const own = requests.filter((each) => !isPolled(each) && !isListing(each));
  const factor = (day.accounts / accounts) * (stepsOfDay / steps);
  const kindOf = (request: StorageRequest) => kinds.find(([, fits]) => fits(request))?.[0];
  // Each minute the schedule reads every account, and the recovery which of them have open mail, and three queues.
  const minutes = 1_440;
  const byTime: Readonly<Record<string, number>> = {
    'queue operations': 3 * minutes,
    'table operations': (day.accounts / pageSize + 1) * minutes,
  };
  const rows = kinds.map(([kind]) => {
    const counted = own.filter((request) => kindOf(request) === kind).length;
    const whole = Math.round(counted * factor) + (byTime[kind] ?? 0);
    return { kind, counted, whole };
  });
  const text = (value: number) => value.toLocaleString('en');
  const all = rows.reduce((sum, { whole }) => sum + whole, 0);
  // Three timers, each an instance of its own that is paid for a second at least.
  const instanceSeconds = seconds * factor + 3 * minutes;
  return {
    title: `A day of ${text(day.accounts)} accounts and ${text(day.mails)} mails, from ${steps} steps of five minutes with ${accounts} accounts and ${mails} mails`,
    notes: [
      `Requests counted by a proxy before Azurite, times ${text(Math.round(factor))}; to that, by calculation, what timers ask for each minute.`,
      'Not counted: the asking of the host at its queues, which goes by time and instances; hourly and nightly timers; events that somebody reads.',
      `GB-seconds: ${instanceGb} GB for the time in which imports ran, by the log of the host, as long as they took here, with what one instance does at a time; and a second a minute for each of three timers.`,
    ],
    table: [
      ['', 'counted', 'a day'],
      ...rows.map(({ kind, counted, whole }) => [kind, text(counted), text(whole)]),
      ['all', text(own.length), text(all)],
      ['executions', '', text(day.accounts * stepsOfDay + 3 * minutes)],
      ['seconds in which imports ran', digits(seconds), text(Math.round(seconds * factor))],
      ['GB-seconds', '', text(Math.round(instanceSeconds * instanceGb))],
    ],
    goals: [],
  };
}
