import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FaultRule, MailboxControl } from '../local/graph/graph.ts';
import { audit } from './support/audit.ts';
import { graphAccount } from './support/graph-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { random, type TestMail, testMail } from './support/mails.ts';

/** Runs with three random faults each; the full count in `npm run test:soak`. */
const seeds = process.env.SOAK ? 200 : 20;
/** A run's time, and what a slow machine may add. */
const budgetSeconds = 10;
const slackSeconds = 15;

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
const cases = names.length + seeds + 4;
let mailroom: Mailroom;
let used = 0;
let shiftMs = 0;

beforeAll(async () => {
  const graph = Array.from({ length: cases }, (_, n) => ({ userPrincipalName: `faulty${n}@example.com` }));
  mailroom = await Mailroom.start({ graph, env: { IMPORT_BUDGET_SECONDS: String(budgetSeconds) } });
});

afterAll(() => mailroom?.stop());

interface Trial {
  readonly name: string;
  readonly user: string;
  readonly box: MailboxControl;
  readonly mails: TestMail[];
}

async function trial(rule: Readonly<Record<string, unknown>>): Promise<Trial> {
  const user = `faulty${used}@example.com`;
  const name = `faulty${used}`;
  used += 1;
  await graphAccount(mailroom, name, { user, rule, transport: null });
  return { name, user, box: mailroom.graph.mailbox(user), mails: [] };
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

/** With all faults gone, plain imports (and no sweep) bring the rest: the cursor was never past what was not kept. */
async function settleAndAudit(trial: Trial, deletes: boolean): Promise<void> {
  mailroom.graph.faults.clear();
  for (let round = 0; round < 8; round += 1) {
    const run = await importWithin(trial);
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${trial.name}/status`);
    if (run.status === 'done' && json.pending === 0 && json.backlog === 0) break;
    shiftMs += 5 * 3_600_000;
    await mailroom.kill();
    await mailroom.run({ shiftMs });
  }
  expect(await importWithin(trial)).toMatchObject({ status: 'done', imported: 0 });
  await audit(mailroom, trial.name, trial.mails, { compare: 3 });
  if (deletes) expect(trial.box.mails('inbox')).toEqual([]);
  expect(mailroom.graph.leaks).toEqual([]);
  expect(mailroom.graph.violations).toEqual([]);
}

it.each(names)('%s', { timeout: 120_000 }, async (name) => {
  const next = random(used);
  const one = await trial({ delete: 'immediately' });
  arrive(one, 8, next);
  await importWithin(one);
  arrive(one, 8, next);
  const rule = faults[name];
  if (!rule) throw new Error(name);
  const handle = mailroom.graph.faults.add({ ...rule, user: one.user });
  await importWithin(one);
  arrive(one, 3, next);
  await importWithin(one);
  expect(handle.hits).toBe(1);
  await settleAndAudit(one, true);
});

it.each(['delta', 'list', 'value'] as const)(
  'a corrupt item that fails the %s keeps no other out',
  { timeout: 120_000 },
  async (where) => {
    const next = random(900);
    const one = await trial({});
    arrive(one, 12, next);
    const corrupt = one.box.mails('inbox')[5]?.immutableId ?? '';
    one.box.corrupt(
      corrupt,
      where === 'value' ? { value: true } : { delta: 'always', list: where === 'list' ? 'always' : 'unlessAlone' },
    );
    await importWithin(one);
    await importWithin(one);
    expect((await mailroom.assets(one.name)).length).toBeGreaterThanOrEqual(11);
    one.box.corrupt(corrupt, {});
    await settleAndAudit(one, false);
  },
);

it('a server that falls silent: the run ends in its time', { timeout: 120_000 }, async () => {
  const one = await trial({});
  arrive(one, 5, random(901));
  mailroom.graph.faults.add({ fault: { kind: 'silent', done: false }, user: one.user, route: value, times: 5 });
  await importWithin(one);
  await settleAndAudit(one, false);
});

it(`three random faults together, ${seeds} seeds: nothing lost, nothing twice`, { timeout: 3_600_000 }, async () => {
  for (let seed = 0; seed < seeds; seed += 1) {
    const next = random(1_000 + seed);
    const deletes = next() < 0.5;
    const one = await trial(deletes ? { delete: 'immediately' } : {});
    arrive(one, 4 + Math.floor(next() * 10), next);
    const chosen = Array.from({ length: 3 }, () => names[Math.floor(next() * names.length)] ?? '');
    for (const name of chosen) {
      const rule = faults[name];
      if (rule)
        mailroom.graph.faults.add({
          ...rule,
          user: one.user,
          skip: Math.floor(next() * 6),
          times: 1 + Math.floor(next() * 3),
        });
    }
    for (let round = 0; round < 3; round += 1) {
      await importWithin(one);
      arrive(one, Math.floor(next() * 4), next);
      for (const mail of one.box.mails('inbox')) if (next() < 0.1) one.box.mark(mail.immutableId, next() < 0.5);
    }
    await settleAndAudit(one, deletes).catch((error: Error) => {
      throw new Error(`seed ${seed} (${chosen.join(', ')}): ${error.message}`, { cause: error });
    });
  }
});
