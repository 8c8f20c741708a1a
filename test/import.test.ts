import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audit, inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { mixedMails, random, type TestMail } from './support/mails.ts';

/** Moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 30 : 8;
const mailsBeforeKills = process.env.SOAK ? 500 : 120;

const users = Object.fromEntries(['tester', 'keeper', 'wiper', 'mover'].map((user) => [user, `password of ${user}`]));

let mailroom: Mailroom;
let server: Dovecot;

beforeAll(async () => {
  [mailroom, server] = await Promise.all([Mailroom.start(), startDovecot({ users })]);
});

afterAll(async () => {
  await mailroom?.stop();
  await server?.remove();
});

/** Imports until nothing is left; mail that waits for its retry gets its time by a later clock. */
async function importAll(account: string, shiftMs = 0): Promise<void> {
  let later = shiftMs;
  await until(`everything of ${account} imported`, 120, async () => {
    const run = await mailroom.import(account, 60);
    if (run.status === 'failed') throw new Error(run.error);
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${account}/status`);
    if (json.pending > 0) {
      await mailroom.kill();
      later += 2 * 3_600_000;
      await mailroom.run({ shiftMs: later });
    }
    return json.pending === 0 && json.backlog === 0;
  });
}

describe('500 mails of mixed sizes up to 30 MB', () => {
  const mails = mixedMails(500, 1, 30_000_000);

  it('become exactly one asset and one ledger row each, byte for byte', { timeout: 240_000 }, async () => {
    await deliverAll(server, mails);
    await imapAccount(mailroom, 'corpus', server);
    await importAll('corpus');
    await audit(mailroom, 'corpus', mails, { compare: 60 });
    const client = await server.client();
    await client.select('INBOX');
    const { lines } = await client.ok('UID SEARCH UNSEEN');
    expect(lines.map((line) => line.text)).toContain('* SEARCH');
    client.close();
  });

  it('are not imported again by a second run, which reads nothing and writes nothing about them', async () => {
    const run = await mailroom.import('corpus');
    expect(run).toMatchObject({ status: 'done', imported: 0, pending: 0, quarantined: 0 });
  });

  it('are not imported again by the sweep', async () => {
    await mailroom.fireToEnd('sweep');
    expect(await mailroom.log()).toContain('inbox.sweep');
    await audit(mailroom, 'corpus', mails, { compare: 0 });
  });

  it('are not imported again when the account is deleted and added anew', async () => {
    await mailroom.expect(204, 'DELETE', '/api/accounts/corpus');
    await imapAccount(mailroom, 'corpus', server);
    expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
    await audit(mailroom, 'corpus', mails, { compare: 0 });
  });
});

describe(`killed at ${kills} random moments`, () => {
  const accounts: { name: string; rule: Record<string, unknown>; mails: TestMail[] }[] = [
    { name: 'keeper', rule: { markRead: true }, mails: mixedMails(mailsBeforeKills, 2, 6_000_000) },
    { name: 'wiper', rule: { delete: 'immediately' }, mails: mixedMails(mailsBeforeKills, 3, 6_000_000) },
    { name: 'mover', rule: { moveTo: 'Done' }, mails: mixedMails(mailsBeforeKills, 4, 3_000_000) },
  ];

  it('nothing is lost, nothing comes twice, originals are disposed of as the account says', {
    timeout: 900_000,
  }, async () => {
    const moment = random(99);
    for (const { name, rule, mails } of accounts) {
      await deliverAll(server, mails, { user: name });
      if (name === 'mover') await (await server.client(name)).ok('CREATE Done');
      await imapAccount(mailroom, name, server, { user: name, rule });
    }
    let shiftMs = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      for (const { name } of accounts) await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
      await new Promise((resolve) => setTimeout(resolve, 50 + moment() * 1_500));
      await mailroom.kill();
      // Leases of the dead process lapse, and mail that was in work may be tried again.
      shiftMs += 45_000;
      await mailroom.run({ shiftMs });
    }
    for (const { name, mails } of accounts) {
      await importAll(name, shiftMs);
      await audit(mailroom, name, mails, { compare: 20 });
    }
    const left = await Promise.all(accounts.map(async ({ name }) => (await server.client(name)).uids('INBOX')));
    expect(left.map((uids) => uids.length)).toEqual([mailsBeforeKills, 0, 0]);
    expect((await (await server.client('mover')).uids('Done')).length).toBe(mailsBeforeKills);
    const client = await server.client('keeper');
    await client.select('INBOX');
    expect((await client.ok('UID SEARCH UNSEEN')).lines.map((line) => line.text)).toContain('* SEARCH');
    // A killed run is told as such, and none is left running: not even one that was only announced, whose place on the
    // queue the killed process had taken.
    await mailroom.kill();
    await mailroom.run({ shiftMs: shiftMs + 24 * 3_600_000 });
    await mailroom.import('keeper');
    await until('no run of keeper running', 30, async () => {
      const { json } = await mailroom.expect(200, 'GET', '/api/accounts/keeper/runs?top=1000');
      const runs: { status: string; error?: string; finishedAt: string | null }[] = json.items;
      return runs.every(({ status }) => status !== 'running') && runs;
    });
    expect(await inboxRows(mailroom, 'keeper', 'q:')).toEqual([]);
  });
});
