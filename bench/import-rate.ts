import { type Dovecot, startDovecot } from '../test/support/dovecot.ts';
import { deliverAll } from '../test/support/imap-account.ts';
import { inFreshProcess } from './child.ts';
import { type GetmailRate, getmailRate } from './getmail.ts';
import { ceilingResultSchema } from './import-ceiling.ts';
import { importSeconds, password } from './import-seconds.ts';
import { type BenchMail, officeMails } from './mails.ts';
import { digits, type Goal, median, type SectionResult } from './report.ts';
import { type Storage, startMailroom, startStorage } from './storage.ts';

const seed = 20_261;
const warmUpMails = 100;

/**
 * Imports per second: the built app, the bare calls, and getmail6, in turns, on the same mailbox. Every import goes into
 * a new Azurite, so that none finds it fuller than another.
 */
export async function importRate(options: { readonly quick: boolean }): Promise<SectionResult> {
  const mails = officeMails(options.quick ? 400 : 2_000, seed);
  const warmUp = officeMails(warmUpMails, seed + 1);
  const rounds = options.quick ? 1 : 3;
  const measured: Measured = { tuned: noRates(), shipped: noRates(), getmail: [] };
  const dovecot = await startDovecot({ users: { bench: password, warm: password } });
  const round = async (storage: Storage) => {
    const seconds = await timeMailroom(storage, dovecot, mails.length);
    measured[storage].mailroom.push(mails.length / seconds);
    await dovecot.doveadm('flags', 'remove', '-u', 'bench', '\\Seen', 'mailbox', 'INBOX', 'all');
    measured[storage].ceiling.push(mails.length / (await timeCeiling(storage, dovecot, mails, warmUp)));
  };
  try {
    await deliverAll(dovecot, mails, { user: 'bench' });
    await deliverAll(dovecot, warmUp, { user: 'warm' });
    for (let n = 1; n <= rounds; n += 1) {
      await round('tuned');
      const source = { port: dovecot.ports.imap, user: 'bench', password, mails: mails.length };
      const getmail = await getmailRate(source);
      if (getmail !== undefined) measured.getmail.push(getmail);
    }
    await round('shipped');
  } finally {
    await dovecot.remove();
  }
  return result(mails, rounds, measured);
}

/** Mails per second in each round. */
interface Rates {
  readonly mailroom: number[];
  readonly ceiling: number[];
}

interface Measured {
  readonly tuned: Rates;
  readonly shipped: Rates;
  readonly getmail: GetmailRate[];
}

function noRates(): Rates {
  return { mailroom: [], ceiling: [] };
}

/** Seconds. */
async function timeMailroom(storage: Storage, dovecot: Dovecot, mails: number): Promise<number> {
  const mailroom = await startMailroom(storage);
  try {
    await importSeconds(mailroom, dovecot, 'warm', warmUpMails);
    return await importSeconds(mailroom, dovecot, 'bench', mails);
  } finally {
    await mailroom.stop();
  }
}

/** Seconds. */
async function timeCeiling(
  storage: Storage,
  dovecot: Dovecot,
  mails: readonly BenchMail[],
  warmUp: readonly BenchMail[],
): Promise<number> {
  const mailbox = (user: string, all: readonly BenchMail[]) => ({
    user,
    mails: all.map(({ bodyBytes, attachments }) => ({
      description: bodyBytes + 800 + 250 * attachments.length,
      attachments,
    })),
  });
  const azurite = await startStorage(storage);
  try {
    const { milliseconds } = await inFreshProcess(
      new URL('import-ceiling.ts', import.meta.url),
      {
        port: dovecot.ports.imap,
        password,
        connectionString: azurite.connectionString,
        warmUp: mailbox('warm', warmUp),
        measured: mailbox('bench', mails),
      },
      ceilingResultSchema,
    );
    return milliseconds / 1000;
  } finally {
    await azurite.stop();
  }
}

/** Ratios of neighbours: what else the machine does changes from round to round. */
function ratios(ours: readonly number[], others: readonly number[]): readonly number[] {
  return ours.map((rate, round) => rate / (others[round] ?? others.at(-1) ?? Number.NaN));
}

const ratio = (ours: readonly number[], others: readonly number[]) => median(ratios(ours, others));

function result(mails: readonly BenchMail[], rounds: number, measured: Measured): SectionResult {
  const { tuned, shipped } = measured;
  const megabytes = mails.reduce((sum, { bytes }) => sum + bytes.length, 0) / 1e6;
  const getmail = measured.getmail.map(({ mailsPerSecond }) => mailsPerSecond);
  const row = (name: string, rates: readonly number[]) => {
    const middle = median(rates);
    return [name, digits(middle), digits((middle / mails.length) * megabytes), rates.map(digits).join(' ')];
  };
  const goal = (what: string, figure: number, target: number, unit = ''): Goal => ({
    ...{ what: `import: ${what}`, figure, target, unit },
    bound: 'atLeast',
  });
  // In each round, and not in most of them.
  const least = Math.min(...ratios(tuned.mailroom, tuned.ceiling));
  const goals = [goal('part of the ceiling, in the worst round', least, 0.8)];
  if (getmail.length > 0) goals.push(goal('times getmail6', ratio(tuned.mailroom, getmail), 1.5, 'x'));
  goals.push(goal('part of the ceiling, Azurite as shipped', ratio(shipped.mailroom, shipped.ceiling), 0.8));
  if (getmail.length > 0) {
    goals.push(goal('times getmail6, Azurite as shipped', ratio(shipped.mailroom, getmail.slice(-1)), 1.5, 'x'));
  }
  return {
    title: `Import: ${mails.length.toLocaleString('en')} mails, ${megabytes.toFixed(1)} MB, Dovecot to Azurite`,
    notes: [
      "Ceiling: imapflow's fetch and the product's storage calls made bare (blobs, events, transactions), nothing else.",
      'Attachments are stored by both; the read mark is set by Mailroom alone. Its time is that of its run, without the wait until the host asks its queue.',
      `Every import goes into a new Azurite. ${rounds === 1 ? 'One round' : `${rounds} rounds`}; ratios are of the same round; of the ceiling the least counts, of getmail6 the median.`,
      'Azurite as shipped looks through all it holds at every write and so bounds every program, the ceiling too; the',
      'first rows are with its lookups indexed (bench/azurite-tuned.ts), as no real storage account does otherwise.',
      ...getmailNotes(measured.getmail),
    ],
    table: [
      ['', 'mails/s', 'MB/s', 'mails/s of each round'],
      row('Mailroom', tuned.mailroom),
      row('ceiling', tuned.ceiling),
      ['part of the ceiling', '', '', ratios(tuned.mailroom, tuned.ceiling).map(digits).join(' ')],
      ...(getmail.length > 0 ? [row('getmail6, into a maildir', getmail)] : []),
      row('Mailroom, Azurite as shipped', shipped.mailroom),
      row('ceiling, Azurite as shipped', shipped.ceiling),
    ],
    goals,
  };
}

function getmailNotes(rates: readonly GetmailRate[]): string[] {
  if (rates.length === 0) return ['getmail6 is not installed (Debian package getmail6): not compared.'];
  return rates
    .filter(({ stalled }) => stalled)
    .map(
      ({ stored }) => `One getmail6 hung after ${stored} mails and gave up; its rate is that of the mails until then.`,
    );
}
