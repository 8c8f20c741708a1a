import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FaultRule, MailboxControl } from '../local/graph/graph.ts';
import { audit } from './support/audit.ts';
import { graphAccount } from './support/graph-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { random, type TestMail, testMail } from './support/mails.ts';

/** Runs with three random faults each; the full count in `npm run test:soak`. */
const seeds = process.env.SOAK ? 200 : 5;
/** A run's time, and what a slow machine may add. */
const budgetSeconds = 20;
const slackSeconds = 40;

const delta = '/delta()';
const value = '/messages/{message-id}/$value';

/** Every way in which Graph has been seen to fail while mail is imported. */
const faults: Readonly<Record<string, Omit<FaultRule, 'user'>>> = {
  syncStateNotFound: { fault: { kind: 'gone', code: 'syncStateNotFound' }, route: delta },
  'SyncStateInvalid with a Location': {
    fault: { kind: 'gone', code: 'SyncStateInvalid', location: true },
    route: delta,
  },
  'resyncRequired on a 400': { fault: { kind: 'gone', code: 'resyncRequired', status: 400 }, route: delta },
  '429 without Retry-After': { fault: { kind: 'throttled' } },
  '429 with seconds': { fault: { kind: 'throttled', retryAfter: 1 } },
  '429 with a date': { fault: { kind: 'throttled', retryAfter: 2, as: 'date' } },
  '429 longer than the run': { fault: { kind: 'throttled', retryAfter: 600 } },
  '503': { fault: { kind: 'unavailable' } },
  '504 after the work': { fault: { kind: 'gatewayTimeout', done: true } },
  '504 before the work': { fault: { kind: 'gatewayTimeout', done: false } },
  'a reset after the work': { fault: { kind: 'reset', done: true } },
  'a reset before the work': { fault: { kind: 'reset', done: false } },
  '502 with HTML': { fault: { kind: 'badGateway' } },
  'an expired token': { fault: { kind: 'expiredToken' } },
  'a body that ends short': { fault: { kind: 'shortBody', bytes: 200 }, route: value },
  'a refused item': { fault: { kind: 'refused', status: 500, code: 'ErrorMimeContentConversionFailed' }, route: value },
  'duplicates in delta': { fault: { kind: 'duplicates' }, route: delta },
  'replays in delta': { fault: { kind: 'replay' }, route: delta },
  'an empty page with a nextLink': { fault: { kind: 'emptyPage' }, route: delta },
  'partial items': { fault: { kind: 'partialItems' }, route: delta },
  '@removed for a move': { fault: { kind: 'removedAsChanged' }, route: delta },
  'a lost return': { fault: { kind: 'loseReturns' }, route: delta },
  'links to a foreign host': { fault: { kind: 'foreignLink' }, route: delta },
};

const names = Object.keys(faults);
const corruptions = ['delta', 'list', 'value'] as const;
const seedNumbers = Array.from({ length: seeds }, (_, n) => n);

/** Trials under way at once: each has a mailbox and an account of its own. */
const trialConcurrency = 6;
/** Imports, each hours after the one before, that must be enough once all faults are gone. */
const settleRounds = 8;

interface Trial {
  readonly name: string;
  readonly user: string;
  readonly box: MailboxControl;
  readonly mails: TestMail[];
  readonly deletes: boolean;
}

interface Script {
  readonly title: string;
  readonly deletes?: boolean;
  /** Lets mail come and things go wrong; answers what to set right before the mailbox must come to rest. */
  play(trial: Trial): Promise<(() => void) | undefined>;
}

const scripts: readonly Script[] = [
  ...names.map(oneFault),
  ...corruptions.map(corruptItem),
  { title: 'silent', play: fallsSilent },
  ...seedNumbers.map(threeFaults),
];

/** What became of a script: its trial, ready to be audited, or what went wrong. */
type Played = { readonly trial: Trial } | { readonly error: unknown };

const played = new Map<string, Played>();
let mailroom: Mailroom;

beforeAll(
  async () => {
    const graph = scripts.map((_, n) => ({ userPrincipalName: `faulty${n}@example.com` }));
    mailroom = await Mailroom.start({ graph, env: { IMPORT_BUDGET_SECONDS: String(budgetSeconds) } });
    const mending: (() => void)[] = [];
    await together(scripts.entries(), async ([n, { title, deletes = false, play }]) => {
      try {
        const user = `faulty${n}@example.com`;
        const name = `faulty${n}`;
        const rule = deletes ? { delete: 'immediately' } : {};
        await graphAccount(mailroom, name, { user, rule, transport: null });
        const trial = { name, user, box: mailroom.graph.mailbox(user), mails: [], deletes };
        const mend = await play(trial);
        if (mend) mending.push(mend);
        played.set(title, { trial });
      } catch (error) {
        played.set(title, { error });
      }
    });
    mailroom.graph.faults.clear();
    for (const mend of mending) mend();
    await comeToRest();
  },
  60_000 + scripts.length * 20_000,
);

afterAll(() => mailroom?.stop());

async function together<T>(items: Iterable<T>, task: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await task(item);
  };
  await Promise.all(Array.from({ length: trialConcurrency }, worker));
}

/** With all faults gone, plain imports (and no sweep) bring the rest: the cursor was never past what was not kept. */
async function comeToRest(): Promise<void> {
  let restless = [...played].flatMap(([title, result]) => ('trial' in result ? [{ title, ...result }] : []));
  for (let round = 0; round < settleRounds && restless.length > 0; round += 1) {
    if (round > 0) {
      await mailroom.setClock(round * 5 * 3_600_000);
    }
    const again: typeof restless = [];
    await together(restless, async (one) => {
      try {
        const run = await importWithin(one.trial);
        const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${one.trial.name}/status`);
        if (run.status !== 'done' || json.pending > 0 || json.backlog > 0) again.push(one);
      } catch (error) {
        played.set(one.title, { error });
      }
    });
    restless = again;
  }
}

async function audited(title: string): Promise<void> {
  const result = played.get(title) ?? { error: new Error('was not played') };
  if ('error' in result) throw result.error;
  const { trial } = result;
  expect(await importWithin(trial)).toMatchObject({ status: 'done', imported: 0 });
  await audit(mailroom, trial.name, trial.mails, { compare: 3 });
  expect(trial.box.mails('inbox')).toHaveLength(trial.deletes ? 0 : trial.mails.length);
}

function arrive({ box, mails }: Trial, howMany: number, next: () => number): void {
  for (let n = 0; n < howMany; n += 1) {
    const mail = testMail({ n: mails.length, attachment: next() < 0.2 ? 300_000 : 0 }, next);
    mails.push(mail);
    box.deliver(mail.bytes);
  }
}

/** One import, which ends in its time whatever happens. */
async function importWithin({ name }: Trial) {
  const began = performance.now();
  const run = await mailroom.import(name, budgetSeconds + slackSeconds);
  expect((performance.now() - began) / 1000).toBeLessThan(budgetSeconds + slackSeconds);
  return run;
}

function oneFault(title: string, n: number): Script {
  return {
    title,
    deletes: true,
    async play(trial) {
      const next = random(n);
      arrive(trial, 8, next);
      await importWithin(trial);
      arrive(trial, 8, next);
      const rule = faults[title];
      if (!rule) throw new Error(title);
      const handle = mailroom.graph.faults.add({ ...rule, user: trial.user });
      await importWithin(trial);
      arrive(trial, 3, next);
      await importWithin(trial);
      expect(handle.hits).toBe(1);
      return undefined;
    },
  };
}

function corruptItem(where: (typeof corruptions)[number]): Script {
  return {
    title: `corrupt ${where}`,
    async play(trial) {
      arrive(trial, 12, random(900));
      const corrupt = trial.box.mails('inbox')[5]?.immutableId ?? '';
      trial.box.corrupt(
        corrupt,
        where === 'value' ? { value: true } : { delta: 'always', list: where === 'list' ? 'always' : 'unlessAlone' },
      );
      await importWithin(trial);
      await importWithin(trial);
      expect((await mailroom.assets(trial.name)).length).toBeGreaterThanOrEqual(11);
      return () => trial.box.corrupt(corrupt, {});
    },
  };
}

async function fallsSilent(trial: Trial): Promise<undefined> {
  arrive(trial, 5, random(901));
  mailroom.graph.faults.add({ fault: { kind: 'silent', done: false }, user: trial.user, route: value, times: 5 });
  await importWithin(trial);
}

function threeFaults(seed: number): Script {
  const next = random(1_000 + seed);
  const deletes = next() < 0.5;
  return {
    title: `seed ${seed}`,
    deletes,
    async play(trial) {
      arrive(trial, 4 + Math.floor(next() * 10), next);
      for (const name of chosenBy(seed)) {
        const rule = faults[name];
        if (rule) {
          const [skip, times] = [Math.floor(next() * 6), 1 + Math.floor(next() * 3)];
          mailroom.graph.faults.add({ ...rule, user: trial.user, skip, times });
        }
      }
      for (let round = 0; round < 3; round += 1) {
        await importWithin(trial);
        arrive(trial, Math.floor(next() * 4), next);
        for (const mail of trial.box.mails('inbox')) if (next() < 0.1) trial.box.mark(mail.immutableId, next() < 0.5);
      }
      return undefined;
    },
  };
}

/** The three faults of a seed. */
function chosenBy(seed: number): readonly string[] {
  const next = random(5_000 + seed);
  return Array.from({ length: 3 }, () => names[Math.floor(next() * names.length)] ?? '');
}

const oneTrial = { timeout: 180_000 };

it.each(names)('%s', oneTrial, audited);

it.each(corruptions)('a corrupt item that fails the %s keeps no other out', oneTrial, (where) =>
  audited(`corrupt ${where}`),
);

it('a server that falls silent: the run ends in its time', oneTrial, () => audited('silent'));

it(`three random faults together, ${seeds} seeds: nothing lost, nothing twice`, { timeout: 3_600_000 }, async () => {
  await together(seedNumbers, async (seed) => {
    await audited(`seed ${seed}`).catch((error: Error) => {
      throw new Error(`seed ${seed} (${chosenBy(seed).join(', ')}): ${error.message}`, { cause: error });
    });
  });
});

it('no token has left for a foreign host, and no request was against the schema', () => {
  expect(mailroom.graph.exposedTokens).toEqual([]);
  expect(mailroom.graph.violations).toEqual([]);
});
