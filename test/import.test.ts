import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audit, inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { mixedMails, random, type TestMail } from './support/mails.ts';
import { type StorageGate, type StorageRequest, startStorageGate } from './support/storage-gate.ts';

/** Moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 30 : 2;
const mailsBeforeKills = process.env.SOAK ? 500 : 20;
/** Mails of the import that goes well. */
const many = process.env.SOAK ? 500 : 40;

const users = Object.fromEntries(['tester', 'keeper', 'wiper', 'mover'].map((user) => [user, `password of ${user}`]));

let gate: StorageGate;
/** The next start of the functions leads their storage through the gate. */
let throughGate = false;
let mailroom: Mailroom;
let server: Dovecot;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, server] = await Promise.all([
    Mailroom.start({ env: (azurite) => (throughGate ? { MailStorage: gate.lead(azurite) } : {}) }),
    startDovecot({ users }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await server?.remove();
  await gate?.stop();
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

describe(`${many} mails of mixed sizes up to 30 MB`, () => {
  const mails = mixedMails(many, 1, 30_000_000);

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

  it('are not imported again by a second run, which reads nothing and writes nothing about them', {
    timeout: 180_000,
  }, async () => {
    const ofMails = async () => (await inboxRows(mailroom, 'corpus')).filter(({ key }) => /^[ladf]:/.test(key));
    const before = await ofMails();
    expect(before.filter(({ key }) => key.startsWith('l:'))).toHaveLength(mails.length);
    throughGate = true;
    await mailroom.kill();
    await mailroom.run();
    const requests: StorageRequest[] = [];
    void gate.hold({
      at: 'before',
      fits: (request) => {
        if (request.service !== 'queue') requests.push(request);
        return false;
      },
    });
    const run = await mailroom.import('corpus');
    expect(run).toMatchObject({ status: 'done', imported: 0, pending: 0, quarantined: 0 });
    const texts = requests.map(({ path, body }) => `${path}\n${body}`);
    // The run itself is there: what follows would hold of a gate that sees nothing.
    expect(texts.some((text) => text.includes(`r:${run.id}`))).toBe(true);
    expect(texts.filter((text) => /'[ladf]:/.test(text))).toEqual([]);
    expect(requests.filter(({ service, path }) => service === 'blob' && path.includes('/corpus/'))).toEqual([]);
    // Rows that were written anew would have another time.
    expect(await ofMails()).toEqual(before);
    gate.release();
    throughGate = false;
    await mailroom.kill();
    await mailroom.run();
  });

  it('are not imported again by the sweep', async () => {
    await mailroom.fireToEnd('sweep');
    expect(await mailroom.log()).toContain('inbox.sweep');
    await audit(mailroom, 'corpus', mails, { compare: 0 });
  });

  it('are not imported again when the account is deleted and added anew', async () => {
    await mailroom.expect([200, 204], 'DELETE', '/api/accounts/corpus');
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

  /** Whether an import of the account has mail in progress or unfinished, has not come so far, or is through. */
  async function isAtWork(name: string): Promise<'before' | 'within' | 'after'> {
    const rows = await inboxRows(mailroom, name);
    if (rows.some(({ key }) => /^[wu]:/.test(key))) return 'within';
    return rows.some(({ key, columns }) => key.startsWith('r:') && columns.status === 'running') ? 'before' : 'after';
  }

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
    /** Kills that met mail in progress, or a page that was committed and not finished. */
    let hits = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      for (const { name } of accounts) await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
      await until('an import to have begun its mails, or to be through', 60, async () =>
        (await Promise.all(accounts.map(({ name }) => isAtWork(name)))).some((at) => at !== 'before'),
      );
      await new Promise((resolve) => setTimeout(resolve, moment() * 700));
      await mailroom.kill();
      if ((await Promise.all(accounts.map(({ name }) => isAtWork(name)))).includes('within')) hits += 1;
      // Leases of the dead process lapse, and mail that was in work may be tried again.
      shiftMs += 45_000;
      await mailroom.run({ shiftMs });
    }
    expect(hits).toBeGreaterThan(0);
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
    // A killed run is failed, and none is left running: not even one that was only announced, whose place on the queue the
    // killed process had taken.
    await mailroom.kill();
    await mailroom.run({ shiftMs: shiftMs + 24 * 3_600_000 });
    const errors: (string | undefined)[] = [];
    for (const { name } of accounts) {
      await mailroom.import(name);
      const runs = await until(`no run of ${name} running`, 60, async () => {
        const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}/runs?top=1000`);
        const items: { status: string; error?: string; finishedAt: string | null }[] = json.items;
        return items.every(({ status }) => status !== 'running') && items;
      });
      expect(runs.filter(({ status, finishedAt }) => status === 'failed' && finishedAt === null)).toEqual([]);
      errors.push(...runs.map(({ error }) => error));
    }
    expect(errors).toContain('The process ended during the run');
    expect(await inboxRows(mailroom, 'keeper', 'q:')).toEqual([]);
  });
});
