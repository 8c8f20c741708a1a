import { afterAll, beforeAll, expect, it } from 'vitest';
import { Mailroom, takenOverSeconds, until } from './support/mailroom.ts';
import { expectOneEach, pushAccount, subscriptions, userOf } from './support/push-stage.ts';
import { type StorageGate, type StorageRequest, startStorageGate } from './support/storage-gate.ts';

/** Where the process is caught: at a request to storage, or at one to Graph that gets no answer. */
type Caught =
  | { readonly at: 'before' | 'after'; readonly text: string; readonly nth?: number }
  | { readonly graph: 'POST' | 'PATCH' | 'DELETE'; readonly done: boolean };

interface Moment {
  readonly when: string;
  readonly caught: Caught;
}

const queued = '/mail-import/messages';
const written = (at: 'before' | 'after', when: string, text: string): Moment => ({ when, caught: { at, text } });

/**
 * Moments at which the process is killed together, each of another account. A process has one write of a partition under
 * way at a time, so that only the last of them may be such a write.
 */
type Kill = readonly [Moment, ...Moment[]];

const creating: readonly Kill[] = [
  [
    { when: 'Graph has heard nothing', caught: { graph: 'POST', done: false } },
    { when: 'Graph has made it, and no answer came', caught: { graph: 'POST', done: true } },
    { when: 'the import is not queued', caught: { at: 'before', text: queued, nth: 2 } },
    { when: 'the import is queued', caught: { at: 'after', text: queued, nth: 2 } },
    written('before', 'it is not noted as made', '"state":"active"'),
  ],
  [written('after', 'it is noted as made', '"state":"active"')],
  [written('before', 'it is not noted as wanted', '"state":"creating"')],
  [written('after', 'it is noted as wanted', '"state":"creating"')],
  [written('before', 'the call is not noted', '"attemptAt"')],
  [written('after', 'the call is noted', '"attemptAt"')],
];
const renewing: readonly Kill[] = [
  [
    { when: 'nobody is to look', caught: { at: 'before', text: queued } },
    { when: 'Graph has heard nothing', caught: { graph: 'PATCH', done: false } },
    { when: 'Graph has renewed it, and no answer came', caught: { graph: 'PATCH', done: true } },
    written('before', 'it is not noted as renewed', '"state":"active"'),
  ],
  [written('after', 'it is noted as renewed', '"state":"active"')],
];
/** Of subscriptions that have vanished. */
const replacing: readonly Kill[] = [
  [{ when: 'it is made again, and no answer came', caught: { graph: 'POST', done: true } }],
  [written('before', 'that it is gone is not noted', '"state":"creating"')],
  [written('after', 'that it is gone is noted', '"state":"creating"')],
];
const ending: readonly Kill[] = [
  [
    { when: 'Graph has heard nothing', caught: { graph: 'DELETE', done: false } },
    { when: 'Graph has ended it, and no answer came', caught: { graph: 'DELETE', done: true } },
    written('before', 'its row is there', 'DELETE /'),
  ],
  [written('after', 'its row is gone', 'DELETE /')],
];
/** The first of each kind; all of them in `npm run test:soak`. */
const some = (kills: readonly Kill[]) => (process.env.SOAK ? kills : kills.slice(0, 1));
const said = (kill: Kill) => kill.map(({ when }) => when).join(' · ');

/** More accounts than any kill needs, and than all creations together. */
const names = Array.from({ length: 12 }, (_, n) => `box${n}`);
const minuteMs = 60_000;

let gate: StorageGate;
let mailroom: Mailroom;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({
    reachable: true,
    env: (azurite) => ({ MailStorage: gate.lead(azurite) }),
    graph: names.map((name) => ({ userPrincipalName: userOf(name) })),
  });
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
});

/** A request about the account's subscription, or one that queues for it. */
function fits(account: string, { text, nth = 1 }: Extract<Caught, { text: string }>) {
  let seen = 0;
  return ({ service, method, path, body }: StorageRequest): boolean => {
    const all = `${method} ${path}\n${body}`;
    const its = service === 'queue' ? body.includes(`"account":"${account}"`) : all.includes(`s:${account}:`);
    if (!its || method === 'GET' || !all.includes(text)) return false;
    seen += 1;
    return seen === nth;
  };
}

/** Resolves when the process is at the moment. A request that makes a subscription names no account: whichever comes is caught. */
async function reached(account: string, { when, caught }: Moment): Promise<void> {
  if ('text' in caught) {
    await gate.hold({ at: caught.at, fits: fits(account, caught) });
    return;
  }
  const { graph: method, done } = caught;
  const route = method === 'POST' ? '/subscriptions' : '/subscriptions/{subscription-id}';
  const its = new Set(subscriptions(mailroom, account).map(({ id }) => id));
  const fault = mailroom.graph.faults.add({
    method,
    route,
    when: ({ subscription }) => subscription === undefined || its.has(subscription),
    fault: { kind: 'silent', done },
  });
  const requests = () => mailroom.graph.requests.filter((each) => each.method === method && each.route === route);
  const before = requests().length;
  await until(`${when} (${account})`, takenOverSeconds, async () => fault.hits > 0 && requests().length > before);
  // Carried out, handshake and all: the answer is what is missing.
  const settled = () => mailroom.graph.subscriptions.list().length;
  const count = settled();
  if (done && method === 'POST')
    await until(`${when} (${account})`, takenOverSeconds, async () => settled() > count || isMade(account));
}

const isMade = (account: string) => subscriptions(mailroom, account).length > 0;

/** The process ends, and another one begins, `laterMs` later by its clock. */
async function endAndGoOn(laterMs: number): Promise<void> {
  await mailroom.kill();
  gate.release();
  mailroom.graph.faults.clear();
  shiftMs += laterMs;
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

const made: string[] = [];

it.each(some(creating).map((kill) => [said(kill), kill] as const))(
  'killed while one is made: %s',
  async (_, kill) => {
    const accounts = names.slice(made.length, made.length + kill.length);
    made.push(...accounts);
    for (const [n, moment] of kill.entries()) {
      const caught = reached(accounts[n] ?? '', moment);
      // Its answer may never come.
      void pushAccount(mailroom, accounts[n] ?? '').catch(() => undefined);
      await caught;
    }
    await endAndGoOn(4 * minuteMs);
    await expectOneEach(mailroom, accounts, `made${made.length}`);
  },
  180_000,
);

/** The timer finds everything due, and the process is killed when each account is where it is to be. */
async function killWhenDue(kill: Kill, accounts: readonly string[]): Promise<void> {
  await mailroom.kill();
  shiftMs += 50 * minuteMs;
  await mailroom.run({ shiftMs });
  const caught = kill.map((moment, n) => reached(accounts[n] ?? '', moment));
  await mailroom.fire('outbox-recovery');
  await Promise.all(caught);
  await endAndGoOn(6 * minuteMs);
}

it.each(some(renewing).map((kill) => [said(kill), kill] as const))(
  'killed while one is renewed: %s',
  async (_, kill) => {
    await killWhenDue(kill, made);
    await expectOneEach(mailroom, made, `renewed${kill.length}`);
    await until('renewals of all', takenOverSeconds, async () =>
      made.every(
        (name) => (subscriptions(mailroom, name)[0]?.expiresAt ?? 0) > Date.now() + shiftMs + 68 * 60 * minuteMs,
      ),
    );
  },
  180_000,
);

it.each(some(replacing).map((kill) => [said(kill), kill] as const))(
  'killed while one is made again: %s',
  async (_, kill) => {
    for (const name of made.slice(0, kill.length)) {
      for (const { id } of subscriptions(mailroom, name)) mailroom.graph.subscriptions.vanish(id);
    }
    await killWhenDue(kill, made);
    await expectOneEach(mailroom, made, `again${kill.length}`);
  },
  180_000,
);

it.each(some(ending).map((kill) => [said(kill), kill] as const))(
  'killed while one is ended: %s',
  async (_, kill) => {
    const ended = made.splice(0, kill.length);
    for (const [n, moment] of kill.entries()) {
      const caught = reached(ended[n] ?? '', moment);
      void pushAccount(mailroom, ended[n] ?? '', { push: false }).catch(() => undefined);
      await caught;
    }
    await endAndGoOn(50 * minuteMs);
    await until('the end of them', takenOverSeconds, async () =>
      ended.every((name) => subscriptions(mailroom, name).length === 0),
    );
    await expectOneEach(mailroom, made, `others${kill.length}`);
    expect(mailroom.graph.violations).toEqual([]);
  },
  180_000,
);
