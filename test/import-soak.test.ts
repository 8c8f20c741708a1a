import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll } from './support/imap-account.ts';
import { type Beside, Mailroom, until } from './support/mailroom.ts';
import { random, type TestMail, testMail } from './support/mails.ts';
import { EventReader } from './support/sending.ts';
import { serverAccount } from './support/server-account.ts';
import { assetBlobs, auditStorage } from './support/storage-audit.ts';

/** Each meets imports of every protocol under way. */
const kills = 40;
const stops = 20;
/** Longer than every lease. */
const stopMs = 70_000;
const dayMs = 86_400_000;

const protocols = ['imap', 'pop3', 'graph'] as const;
type Protocol = (typeof protocols)[number];
/** Mails delivered to an account at once; now and then as many as take several pages, which are in work side by side. */
const mailsAtOnce = { usual: 6, many: 60 };

let mailroom: Mailroom;
let dovecot: Dovecot;
let events: EventReader;
const chance = random(808);
const delivered: Record<Protocol, TestMail[]> = { imap: [], pop3: [], graph: [] };

describe(`${kills} kills and ${stops} stops of 70 s, three processes on one storage`, () => {
  beforeAll(async () => {
    [mailroom, dovecot] = await Promise.all([
      Mailroom.start({ graph: [{ userPrincipalName: 'graph@example.com' }], env: { IMPORT_BUDGET_SECONDS: '60' } }),
      startDovecot({ users: { imap: 'password of imap', pop3: 'password of pop3' } }),
    ]);
    const rule = { delete: 'immediately', deleteMode: 'permanent' };
    for (const protocol of ['imap', 'pop3'] as const) {
      await serverAccount(mailroom, protocol, dovecot, { protocol, user: protocol, rule });
    }
    await graphAccount(mailroom, 'graph', { user: 'graph@example.com', transport: null, rule });
    events = new EventReader(mailroom);
  }, 120_000);

  afterAll(async () => {
    await mailroom?.stop();
    await dovecot?.remove();
  }, 60_000);

  const graphBox = () => mailroom.graph.mailbox('graph@example.com');

  /** New mail for every account, of which some is large enough to be written in blocks. */
  async function deliver(): Promise<void> {
    for (const protocol of protocols) {
      const isMany = chance() < 0.2;
      const mails = Array.from({ length: isMany ? mailsAtOnce.many : mailsAtOnce.usual }, (_, n) => {
        const attachment = !isMany && chance() < 0.1 ? 5_000_000 : Math.floor(chance() * (isMany ? 6_000 : 60_000));
        return testMail({ n: delivered[protocol].length + n, attachment }, chance);
      });
      delivered[protocol].push(...mails);
      if (protocol === 'graph') for (const { bytes } of mails) graphBox().deliver(bytes);
      else await deliverAll(dovecot, mails, { user: protocol });
    }
  }

  async function importBy(url: string): Promise<void> {
    await Promise.all(
      protocols.map((name) =>
        mailroom.expect([202, 409], 'POST', `/api/accounts/${name}/import`, { url }).catch(() => undefined),
      ),
    );
  }

  async function left(protocol: Protocol): Promise<number> {
    if (protocol === 'graph') return graphBox().mails('inbox').length;
    const client = await dovecot.client(protocol);
    try {
      return (await client.uids('INBOX')).length;
    } finally {
      await client.close();
    }
  }

  it('every mail is one asset that can be read; ledger, index, events and originals agree', {
    timeout: 60 * 60_000,
  }, async () => {
    const besides = await Promise.all([mailroom.beside(), mailroom.beside()]);
    let stopped = 0;
    let killed = 0;
    const stopping = async (beside: Beside, firstMs: number) => {
      await delay(firstMs);
      for (let stop = 0; stop < stops / 2; stop += 1) {
        await importBy(beside.url);
        await delay(chance() * 1_500);
        process.kill(beside.pid, 'SIGSTOP');
        await delay(stopMs);
        process.kill(beside.pid, 'SIGCONT');
        await delay(2_000);
        stopped += 1;
      }
    };
    const stopsDone = Promise.all(besides.map((beside, n) => stopping(beside, n * (stopMs / 2))));
    for (; killed < kills; killed += 1) {
      await deliver();
      await importBy(mailroom.url);
      await delay(chance() * 2_500);
      await mailroom.kill();
      await mailroom.run();
      await delay(8_000);
    }
    await stopsDone;
    for (const beside of besides) await beside.kill();

    // Mail that was in work waits for its retry, refused disposals for theirs: by a later clock.
    let shiftMs = 0;
    for (const name of protocols) {
      await until(`everything of ${name}`, 600, async () => {
        shiftMs += 2 * 3_600_000;
        await mailroom.kill();
        await mailroom.run({ shiftMs });
        const run = await mailroom.import(name, 120);
        const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`);
        return run.status === 'done' && json.pending === 0 && json.backlog === 0 && (await left(name)) === 0;
      });
    }
    const reported = await events.all();
    for (const name of protocols) {
      await auditStorage(mailroom, name, delivered[name]);
      const ledger = await inboxRows(mailroom, name, 'l:');
      expect(new Set(ledger.map(({ columns }) => columns.disposed))).toEqual(new Set(['done']));
      for (const { id } of await mailroom.assets(name)) {
        const types = new Set(reported.filter(({ subject }) => subject === id).map(({ type }) => type));
        expect([...types].sort()).toEqual(['mailroom.mail.disposed', 'mailroom.mail.imported']);
      }
      expect(await inboxRows(mailroom, name, 'x:')).toEqual([]);
      expect(await inboxRows(mailroom, name, 'q:')).toEqual([]);
    }
    console.info(JSON.stringify({ mails: delivered.imap.length, killed, stopped }));

    // A day later nothing is left of what was never committed.
    await mailroom.kill();
    await mailroom.run({ shiftMs: shiftMs + 2 * dayMs });
    await mailroom.fireToEnd('retention');
    for (const name of protocols) {
      expect(await inboxRows(mailroom, name, 'y:')).toEqual([]);
      const ids = new Set((await mailroom.assets(name)).map(({ id }) => id));
      expect((await assetBlobs(mailroom, name)).filter((path) => !ids.has(path.split('/')[1]))).toEqual([]);
    }
  });
});
