import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { audit } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { mixedMails, random, type TestMail, testMail } from './support/mails.ts';
import { type StallProxy, startStallProxy } from './support/stall-proxy.ts';

/** A run's time, short enough to see it end. */
const budgetSeconds = 10;

let mailroom: Mailroom;
let server: Dovecot;
let proxy: StallProxy;
let account = 0;
let name = '';
let user = '';

const users = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`user${n}`, `password of user ${n}`]));

beforeAll(async () => {
  [mailroom, server] = await Promise.all([
    Mailroom.start({ durable: true, env: { IMPORT_BUDGET_SECONDS: String(budgetSeconds) } }),
    startDovecot({ users }),
  ]);
  proxy = await startStallProxy({ host: server.host, port: server.ports.imap });
});

afterAll(async () => {
  await mailroom?.stop();
  await proxy?.stop();
  await server?.remove();
});

/** Each test has a mailbox and an account of its own. */
beforeEach(() => {
  user = `user${account}`;
  name = `trouble${account}`;
  account += 1;
  proxy.reset();
});

/** Mails such that a body of some megabytes is under way for a while. */
function largeMails(seed: number): TestMail[] {
  const next = random(seed);
  return Array.from({ length: 6 }, (_, n) => testMail({ n, attachment: n % 3 === 1 ? 2_000_000 : 20_000 }, next));
}

async function status() {
  return (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;
}

/** Imports under trouble and answers the failed run; says how long it took. */
async function failingRun() {
  const began = performance.now();
  const run = await mailroom.import(name, 45);
  return { run, seconds: (performance.now() - began) / 1000 };
}

/** Runs again until all is there: mail that was in work when the line broke is tried alone. */
/** How far the clock of the service is ahead, in ms. */
let later = 0;

/** What comes of a mailbox once its server works again. */
async function recover(mails: readonly TestMail[]) {
  await until('all mail imported', 180, async () => {
    const run = await mailroom.import(name, 30);
    const { pending, backlog } = await status();
    return run.status === 'done' && pending === 0 && backlog === 0;
  });
  if ((await status()).disposalsFailing.count > 0) {
    // Originals whose marking the line cut are tried again after five minutes.
    later += 6 * 60_000;
    await mailroom.setClock(later);
    await until('no disposal put off', 60, async () => {
      await mailroom.import(name, 30);
      return (await status()).disposalsFailing.count === 0;
    });
  }
  await audit(mailroom, name, mails);
}

describe('a server that goes silent', () => {
  const moments = [
    { moment: 'after the greeting', trouble: { direction: 'toServer', after: 1, action: 'silent' } },
    { moment: 'after login', trouble: { direction: 'toClient', at: 'Logged in', action: 'silent' } },
    { moment: 'in the middle of a body', trouble: { direction: 'toClient', after: 1_500_000, action: 'silent' } },
  ] as const;

  it.each(moments)(
    '$moment: the run ends in its time, status says so, the next one continues',
    { timeout: 180_000 },
    async ({ trouble }) => {
      const mails = largeMails(account);
      await deliverAll(server, mails, { user });
      await imapAccount(mailroom, name, server, { user, port: proxy.port, timeout: 3_000 });
      proxy.trouble(trouble);
      const { run, seconds } = await failingRun();
      expect(run).toMatchObject({ status: 'failed', error: expect.stringMatching(/\S/) });
      expect(seconds).toBeLessThan(budgetSeconds + 15);
      const reported = await status();
      expect(reported.lastRun).toMatchObject({ status: 'failed' });
      expect(reported.lastErrors[0].error).toBe(run.error);
      expect(reported.failing).toMatchObject([{ side: 'store' }]);
      proxy.reset();
      await recover(mails);
      expect((await status()).failing).toEqual([]);
    },
  );

  it('with no limit of its own: the run is cut by its budget', { timeout: 180_000 }, async () => {
    const mails = largeMails(account);
    await deliverAll(server, mails, { user });
    await imapAccount(mailroom, name, server, { user, port: proxy.port, timeout: 0 });
    proxy.trouble({ direction: 'toClient', after: 1_500_000, action: 'silent' });
    const { run, seconds } = await failingRun();
    expect(run.status).toBe('failed');
    expect(seconds).toBeGreaterThan(budgetSeconds - 2);
    expect(seconds).toBeLessThan(budgetSeconds + 15);
    proxy.reset();
    await recover(mails);
  });
});

it('Dovecot killed in the middle of a FETCH and started again: the next run continues', {
  timeout: 180_000,
}, async () => {
  const mails = largeMails(account);
  await deliverAll(server, mails, { user });
  await imapAccount(mailroom, name, server, { user, port: proxy.port, timeout: 5_000 });
  // The body is under way and stands still: then the server dies.
  proxy.trouble({ direction: 'toClient', after: 1_500_000, action: 'silent' });
  const failing = failingRun();
  await until('a body under way', 60, async () => proxy.sent().some((line) => /FETCH.*BODY/.test(line)));
  await server.kill();
  proxy.reset();
  const { run } = await failing;
  expect(run.status).toBe('failed');
  await server.restart();
  await recover(mails);
});

it('a mail that breaks the line every time does not keep the others out', { timeout: 180_000 }, async () => {
  const next = random(5);
  const mails = Array.from({ length: 8 }, (_, n) => testMail({ n }, next));
  const broken = testMail({ n: 8, text: 400_000 }, next);
  await deliverAll(server, [...mails.slice(0, 4), broken, ...mails.slice(4)], { user });
  await imapAccount(mailroom, name, server, { user, port: proxy.port, timeout: 3_000 });
  // Only the large one is long enough to meet it.
  proxy.trouble({ direction: 'toClient', after: 300_000, action: 'cut' });
  await until('the small ones imported', 60, async () => {
    await mailroom.import(name, 30);
    return (await mailroom.assets(name)).length === mails.length;
  });
  expect(await status()).toMatchObject({ pending: 1, quarantined: 0 });
});

it('Azurite stopped and started again in the middle of a run: nothing is lost, nothing comes twice', {
  timeout: 180_000,
}, async () => {
  const mails = mixedMails(80, 6, 2_000_000);
  await deliverAll(server, mails, { user });
  await imapAccount(mailroom, name, server, { user });
  await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
  await until('some mails imported', 60, async () => (await mailroom.assets(name)).length > 20);
  await mailroom.azurite.stop();
  await mailroom.restartAzurite();
  await recover(mails);
});
