import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { until } from './support/mailroom.ts';
import { random, type TestMail, testMail } from './support/mails.ts';
import { retention } from './support/retention.ts';
import {
  blob,
  event,
  type Moment,
  protocolsAt,
  type StopAccount,
  type StopProtocol,
  StopStage,
  stopProtocols,
  table,
} from './support/stop-stage.ts';
import { assetBlobs, auditStorage } from './support/storage-audit.ts';

/** A process is stopped at every moment of a sweep and of a retention, and another one does the work meanwhile. */

const hourMs = 3_600_000;

const sweepMoments: readonly Moment[] = [
  { when: 'before the page is noted', at: 'before', ...table("RowKey='w%3A") },
  { when: 'when the mail is written', at: 'after', ...blob('message.eml') },
  { when: 'when the description is written', at: 'after', ...blob('asset.json') },
  { when: 'before the commit', at: 'before', ...table('"todoEvent":true') },
  { when: 'when it is committed', at: 'after', ...table('"todoEvent":true') },
  { when: 'when the disposal is noted', at: 'after', ...table('"disposing":true') },
];

const originalMoments: readonly Moment[] = [
  { when: 'before the disposal is noted', at: 'before', ...table('"disposing":true') },
  { when: 'when the disposal is noted', at: 'after', ...table('"disposing":true') },
  { when: 'before the event', at: 'before', ...event },
  { when: 'when the event is published', at: 'after', ...event },
  { when: 'before the end is written down', at: 'before', ...table('"todoDispose":false') },
];

const assetMoments: readonly Moment[] = [
  { when: 'before its rows say so', at: 'before', ...table('"state":"deleted"') },
  { when: 'when its rows say so', at: 'after', ...table('"state":"deleted"') },
  { when: 'before the first blob is removed', at: 'before', service: 'blob', method: 'DELETE', text: '/assets/' },
  { when: 'when the first blob is removed', at: 'after', service: 'blob', method: 'DELETE', text: '/assets/' },
];

const numbered = (kind: string, moments: readonly Moment[]) =>
  moments.map((moment, n) => ({ ...moment, n, kind: `${kind}${n}`, seed: kind.length * 100 + n }));
const sweeps = numbered('sweep', sweepMoments);
const originals = numbered('due', originalMoments);
const expiries = numbered('asset', assetMoments);

const accountsOf = ({ kind, n }: { readonly kind: string; readonly n: number }): StopAccount[] =>
  protocolsAt(n).map((protocol) => ({ protocol, name: `${kind}-${protocol}` }));

let stage: StopStage;
let shiftMs = 0;

beforeAll(async () => {
  const all = [...sweeps, ...originals, ...expiries].flatMap(accountsOf);
  stage = await StopStage.start(all, { ASSET_RETENTION_DAYS: '30' });
}, 120_000);

afterAll(async () => {
  await stage?.stop();
});

function mailsOf(protocol: StopProtocol, seed: number): TestMail[] {
  const next = random(10_000 + 10 * seed + stopProtocols.indexOf(protocol));
  return Array.from({ length: 4 }, (_, each) => testMail({ n: each, attachment: 2_000 }, next));
}

async function later(byMs: number): Promise<void> {
  shiftMs += byMs;
  await stage.setClocks(shiftMs);
}

const firing = (timer: 'retention' | 'sweep') => ({
  function: timer,
  times: 1,
  begin: () => stage.mailroom.fire(timer),
});

const fireBeside = (timer: 'retention' | 'sweep') =>
  stage.mailroom.expect(202, 'POST', `/admin/functions/${timer}`, { url: stage.second.url, body: {} });

/** Rows of work that is under way or due. */
const open = async (name: string) =>
  (await inboxRows(stage.mailroom, name)).filter(({ key }) => /^[wudpx]:/.test(key)).map(({ key }) => key);

describe('a process that is stopped while it sweeps', () => {
  it.each(sweeps)('$when', { timeout: 180_000 }, async ({ kind, n, seed, when: _, ...moment }) => {
    const { mailroom } = stage;
    const accounts = accountsOf({ kind, n });
    for (const account of accounts) {
      const mails = mailsOf(account.protocol, seed);
      await stage.setUp(account, mails.slice(0, 2), { delete: 'immediately', deleteMode: 'permanent' });
      expect(await mailroom.import(account.name)).toMatchObject({ status: 'done', imported: 2 });
      await stage.deliver(account, mails.slice(2));
    }
    await stage.stopAt(accounts, moment, {
      ...firing('sweep'),
      meanwhile: async () => {
        await fireBeside('sweep');
        // Mail that was in work is pending for the sweep, and comes with the next import.
        for (const account of accounts) {
          await until('the other process', 60, async () => {
            await stage.importBeside(account);
            const { length } = await mailroom.assets(account.name, { url: stage.second.url });
            return length === 4 && (await stage.left(account)) === 0 && (await open(account.name)).length === 0;
          });
        }
      },
    });
    for (const account of accounts) {
      await stage.importBeside(account);
      await auditStorage(mailroom, account.name, mailsOf(account.protocol, seed));
    }
  });
});

describe('a process that is stopped while it deletes originals that are due', () => {
  it.each(originals)('$when', { timeout: 180_000 }, async ({ kind, n, seed, when: _, ...moment }) => {
    const { mailroom } = stage;
    const accounts = accountsOf({ kind, n });
    for (const account of accounts) {
      const rule = { delete: { afterDays: 1 }, deleteMode: 'permanent' };
      await stage.setUp(account, mailsOf(account.protocol, seed), rule);
      expect(await mailroom.import(account.name)).toMatchObject({ status: 'done', imported: 4 });
    }
    await later(25 * hourMs);
    await stage.stopAt(accounts, moment, {
      ...firing('retention'),
      meanwhile: async () => {
        await fireBeside('retention');
        for (const account of accounts) {
          await until('the other retention', 60, async () => {
            return (await stage.left(account)) === 0 && (await open(account.name)).length === 0;
          });
        }
      },
    });
    const reported = await stage.events.all();
    for (const account of accounts) {
      await auditStorage(mailroom, account.name, mailsOf(account.protocol, seed));
      expect(await stage.left(account)).toBe(0);
      for (const { id } of await mailroom.assets(account.name)) {
        const types = new Set(reported.filter(({ subject }) => subject === id).map(({ type }) => type));
        expect([...types].sort()).toEqual(['mailroom.mail.disposed', 'mailroom.mail.imported']);
      }
    }
  });
});

describe('a process that is stopped while it removes an asset that is too old', () => {
  it.each(expiries)('$when', { timeout: 180_000 }, async ({ kind, n, seed, when: _, ...moment }) => {
    const { mailroom } = stage;
    const accounts = accountsOf({ kind, n }).slice(0, 1);
    for (const account of accounts) {
      await stage.setUp(account, mailsOf(account.protocol, seed), { delete: 'never' });
      expect(await mailroom.import(account.name)).toMatchObject({ status: 'done', imported: 4 });
    }
    await later(31 * 24 * hourMs);
    await stage.stopAt(accounts, moment, {
      ...firing('retention'),
      meanwhile: async () => {
        await fireBeside('retention');
        for (const { name } of accounts) {
          await until('the other retention', 60, async () => {
            return (await mailroom.assets(name, { url: stage.second.url })).length === 0;
          });
        }
      },
    });
    await retention(mailroom);
    for (const account of accounts) {
      expect(await mailroom.assets(account.name)).toEqual([]);
      expect(await assetBlobs(mailroom, account.name)).toEqual([]);
      const ledger = await inboxRows(mailroom, account.name, 'l:');
      expect(ledger.map(({ columns }) => columns.state)).toEqual(['deleted', 'deleted', 'deleted', 'deleted']);
      expect(await mailroom.import(account.name)).toMatchObject({ status: 'done', imported: 0 });
    }
  });
});
