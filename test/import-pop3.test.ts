import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { audit, inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll } from './support/imap-account.ts';
import { logLines } from './support/log-lines.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { mixedMails, random, type TestMail, testMail } from './support/mails.ts';
import { retention } from './support/retention.ts';
import { type ScriptedPop3, type ScriptedPop3Options, startScriptedPop3 } from './support/scripted-pop3.ts';
import { type AccountServer, serverAccount } from './support/server-account.ts';
import { startStallProxy } from './support/stall-proxy.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

/** Moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 30 : 2;
const mailsBeforeKills = process.env.SOAK ? 500 : 20;

const users = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`user${n}`, `password of user ${n}`]));
const dayMs = 86_400_000;
const protocol = 'pop3';

let mailroom: Mailroom;
let gate: StorageGate;
let server: Dovecot;
let count = 0;
let user = '';
let name = '';
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, server] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({ AzureWebJobsStorage: azurite.connectionString, MailStorage: gate.lead(azurite) }),
    }),
    startDovecot({ users }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await gate?.stop();
  await server?.remove();
});

beforeEach(() => {
  user = `user${count}`;
  name = `pop${count}`;
  count += 1;
});

async function later(byMs: number): Promise<void> {
  shiftMs += byMs;
  await mailroom.setClock(shiftMs);
}

async function uids(): Promise<number[]> {
  const client = await server.client(user);
  try {
    return await client.uids('INBOX');
  } finally {
    await client.close();
  }
}

async function status() {
  return (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;
}

/** Imports until nothing is left; mail that waits for its retry gets its time by a later clock. */
async function importAll(): Promise<void> {
  await until(`everything of ${name} imported`, 120, async () => {
    const run = await mailroom.import(name, 60);
    const { pending, backlog } = await status();
    if (pending > 0) await later(2 * 3_600_000);
    return run.status === 'done' && pending === 0 && backlog === 0;
  });
}

const mails = (howMany: number, seed: number) => {
  const next = random(seed);
  return Array.from({ length: howMany }, (_, n) => testMail({ n: seed * 1000 + n }, next));
};

/** With a topmost Received field, as the server that takes the mail writes it. */
function receivedAt({ bytes }: TestMail, time: Date) {
  const field = `Received: from mail.example.net by mx.example.com\r\n\twith ESMTP id 1; ${time.toUTCString().replace('GMT', '+0000')}\r\n`;
  return { bytes: Buffer.concat([Buffer.from(field), bytes]) };
}

/** Until a sweep of the account has ended; it must have found nothing that was missing. */
async function sweepFindsNothing(account: string): Promise<void> {
  const swept = await until('the sweep', 60, async () =>
    logLines(await mailroom.log()).find((line) => line.event === 'inbox.sweep' && line.account === account),
  );
  expect(swept).toMatchObject({ imported: 0 });
}

describe('what is imported', () => {
  it('mails of mixed sizes become one asset each, byte for byte, and neither a run nor the sweep imports them again', {
    timeout: 180_000,
  }, async () => {
    const all = mixedMails(120, 51, 12_000_000);
    await deliverAll(server, all, { user });
    await serverAccount(mailroom, name, server, { protocol: 'pop3s', user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 120, pending: 0 });
    await mailroom.fire('sweep');
    await sweepFindsNothing(name);
    await mailroom.expect(200, 'DELETE', `/api/accounts/${name}`);
    await serverAccount(mailroom, name, server, { protocol: 'pop3s', user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, skipped: 0 });
    // On a port of its own it is another store: its mails are known by their contents.
    await serverAccount(mailroom, name, server, { protocol: 'pop3', user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, skipped: 120 });
    await audit(mailroom, name, all, { compare: 30 });
    expect(await uids()).toHaveLength(120);
  });

  it('an idle poll of a full mailbox reads nothing of the ledger, and writes nothing of it', {
    timeout: 180_000,
  }, async () => {
    await deliverAll(server, mails(60, 52), { user });
    await serverAccount(mailroom, name, server, { protocol, user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 60 });
    await mailroom.import(name);
    const requests: string[] = [];
    const seen = gate.hold({
      at: 'before',
      fits: ({ service, method, path, body }) => {
        const text = `${method} ${path} ${body}`;
        if (service === 'table' && text.includes(name) && /inbox/.test(path)) requests.push(text);
        return false;
      },
    });
    seen.catch(() => undefined);
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
    expect(requests.length).toBeGreaterThan(0);
    expect(requests.filter((text) => /['"]l:|['"]f:|['"]c:.*(PUT|POST|MERGE)/.test(text))).toEqual([]);
    // And a mail that arrives costs no more with the others there than alone.
    requests.length = 0;
    await deliverAll(server, mails(1, 53), { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1, skipped: 0 });
    expect(requests.filter((text) => text.includes('GET') && /['"]l:/.test(text)).length).toBeLessThanOrEqual(2);
    gate.release();
  });

  it('mail from before `since` is left alone by its topmost Received field (trap: the first connection imports ten years)', {
    timeout: 180_000,
  }, async () => {
    const [old, undated, dated] = mails(3, 54);
    if (!old || !undated || !dated) throw new Error('no mails');
    const fresh = receivedAt(dated, new Date(Date.now() + shiftMs + 60_000));
    await deliverAll(server, [receivedAt(old, new Date(Date.now() - dayMs)), undated], { user });
    const since = new Date(Date.now() + shiftMs - dayMs / 2).toISOString();
    await serverAccount(mailroom, name, server, { protocol, user, rule: { since, delete: 'immediately' } });
    await deliverAll(server, [fresh], { user });
    const dry = await mailroom.expect(200, 'POST', `/api/accounts/${name}/import`, { body: { dryRun: true } });
    expect(dry.json.items.map(({ action, subject }: Record<string, string>) => [action, subject !== null])).toEqual([
      ['skip', true],
      ['import', true],
      ['import', true],
    ]);
    // Without a time nobody knows; and a mail must not be lost.
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 2, skipped: 1, disposed: 2 });
    expect(await mailroom.import(name)).toMatchObject({ imported: 0, skipped: 0 });
    expect(await uids()).toHaveLength(1);
  });

  it('a mail above maxMessageSize becomes an asset of headers only, and its original stays', {
    timeout: 180_000,
  }, async () => {
    const [small] = mails(1, 55);
    const large = testMail({ n: 55_999, text: 60_000 }, random(56));
    await deliverAll(server, [{ bytes: small?.bytes ?? Buffer.alloc(0) }, large], { user });
    const rule = { delete: 'immediately', maxMessageSize: 50_000 };
    await serverAccount(mailroom, name, server, { protocol, user, rule });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 2, disposed: 1 });
    const asset = (await mailroom.assets(name)).find((each) => each.flags.oversize);
    expect(asset).toMatchObject({ messageId: large.messageId, attachments: [] });
    expect(await uids()).toHaveLength(1);
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
  });
});

describe('mail that is known under another id', () => {
  it('all UIDLs change: nothing is imported twice, what arrives later is, and due deletions hold', {
    timeout: 180_000,
  }, async () => {
    const all = mixedMails(60, 57, 300_000);
    await deliverAll(server, all, { user });
    await serverAccount(mailroom, name, server, { protocol, user, rule: { delete: { afterDays: 3 } } });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 60 });
    // Dovecot makes a UIDL of UID and UIDVALIDITY.
    await server.setUidValidity(user, 'INBOX', 77_777);
    const late = testMail({ n: 57_999 }, random(58));
    await deliverAll(server, [late], { user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1, skipped: 60 });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, skipped: 0 });
    await audit(mailroom, name, [...all, late], { compare: 3 });
    expect(await inboxRows(mailroom, name, 'd:')).not.toEqual([]);
    await later(3 * dayMs + 600_000);
    await retention(mailroom);
    expect(await uids()).toEqual([]);
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
  });

  it('mail that another client deletes is no reason to compare what arrives', { timeout: 180_000 }, async () => {
    const [mail] = mails(1, 59);
    if (!mail) throw new Error('no mail');
    await deliverAll(server, [mail], { user });
    await serverAccount(mailroom, name, server, { protocol, user, rule: { delete: 'immediately' } });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1, disposed: 1 });
    // The same octets arrive once more: a mail of its own, since the ids have not been given anew.
    await deliverAll(server, [mail], { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1, disposed: 1 });
    expect(await mailroom.assets(name)).toHaveLength(2);
  });

  it('moved from IMAP to POP3 and back on the same mailbox: nothing is imported twice', {
    timeout: 180_000,
  }, async () => {
    const all = mixedMails(25, 60, 60_000);
    await deliverAll(server, all, { user });
    await serverAccount(mailroom, name, server, { protocol: 'imap', user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 25 });
    await serverAccount(mailroom, name, server, { protocol: 'pop3', user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, skipped: 25 });
    await serverAccount(mailroom, name, server, { protocol: 'imap', user });
    // By IMAP the checkpoint has passed them; the sweep lists them all the same.
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, skipped: 0 });
    await mailroom.fire('sweep');
    await sweepFindsNothing(name);
    // The run after it finishes what is to be done for originals that are met again.
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0 });
    await audit(mailroom, name, all, { compare: 2 });
  });
});

describe('servers that give no lasting ids', () => {
  let scripted: ScriptedPop3 | undefined;
  const start = async (options: ScriptedPop3Options): Promise<AccountServer> => {
    scripted = await startScriptedPop3(options);
    return { ports: { pop3: scripted.port }, users: { tester: 'password of tester' } };
  };
  const scriptedMails = (howMany: number, seed: number, uidl: (n: number) => string) => {
    const all = mails(howMany, seed);
    return { all, mails: all.map(({ bytes }, n) => ({ uidl: uidl(n), bytes })) };
  };

  it('without UIDL an account has to delete at once, and then imports each mail once', {
    timeout: 180_000,
  }, async () => {
    const { all, mails: listed } = scriptedMails(30, 61, () => '');
    const to = await start({
      mails: listed,
      capabilities: ['TOP', 'USER', 'PIPELINING'],
      script: { UIDL: () => '-ERR unknown command\r\n' },
    });
    await serverAccount(mailroom, name, to, { protocol });
    const run = await mailroom.import(name);
    expect(run).toMatchObject({ status: 'failed', imported: 0, error: expect.stringContaining('immediately') });
    await serverAccount(mailroom, name, to, { protocol, rule: { delete: 'immediately' } });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 30, disposed: 30 });
    expect(scripted?.mails).toEqual([]);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0 });
    await audit(mailroom, name, all, { compare: 3 });
    await scripted?.stop();
  });

  it('duplicate UIDLs: each mail once, whether its id is its own or not by now (trap)', {
    timeout: 180_000,
  }, async () => {
    const { all, mails: listed } = scriptedMails(4, 62, (n) => (n < 2 ? '1' : `1${n}`));
    const to = await start({ mails: listed });
    await serverAccount(mailroom, name, to, { protocol });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 4 });
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
    // One of the two goes: the other now has the id for itself.
    scripted?.mails.splice(0, 1);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0 });
    // A third mail with that id arrives: both are distinguished again.
    const { all: more, mails: fresh } = scriptedMails(1, 63, () => '1');
    scripted?.mails.push(...fresh);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1 });
    await mailroom.fire('sweep');
    await sweepFindsNothing(name);
    await serverAccount(mailroom, name, to, { protocol, rule: { delete: 'immediately' } });
    await audit(mailroom, name, [...all, ...more], { compare: 5 });
    await scripted?.stop();
  });

  it('a crash between two deletes of mails with one UIDL deletes the other one later, and imports nothing again', {
    timeout: 180_000,
  }, async () => {
    const { all, mails: listed } = scriptedMails(2, 64, () => 'same');
    let cuts = 1;
    const to = await start({ mails: listed, script: { QUIT: () => (cuts-- > 0 ? 'cut' : 'ordinary') } });
    await serverAccount(mailroom, name, to, { protocol, rule: { delete: 'immediately' } });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 2, disposed: 0 });
    // Meanwhile another client removes one of them.
    scripted?.mails.splice(1, 1);
    await later(6 * 60_000);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0 });
    expect(scripted?.mails).toEqual([]);
    await audit(mailroom, name, all, { compare: 2 });
    await scripted?.stop();
  });
});

describe('trouble', () => {
  it('the line drops before QUIT: nothing is deleted, nothing is said to be, and the next run makes up for it (trap)', {
    timeout: 180_000,
  }, async () => {
    const all = mails(8, 65);
    await deliverAll(server, all, { user });
    const proxy = await startStallProxy({ host: server.host, port: server.ports.pop3 });
    try {
      await serverAccount(mailroom, name, server, {
        protocol,
        user,
        port: proxy.port,
        rule: { delete: 'immediately' },
        timeout: 3_000,
      });
      proxy.trouble({ direction: 'toServer', at: 'DELE 8', action: 'cut' });
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 8, disposed: 0 });
      expect(await uids()).toHaveLength(8);
      expect(await status()).toMatchObject({ disposalsFailing: { count: 8, last: { code: expect.any(String) } } });
      proxy.reset();
      await later(6 * 60_000);
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, disposed: 8 });
      expect(await uids()).toEqual([]);
      await audit(mailroom, name, all, { compare: 2 });
    } finally {
      await proxy.stop();
    }
  });

  it('another session holds the maildrop: the run says so, and the next one does the work', {
    timeout: 180_000,
  }, async () => {
    const all = mails(3, 66);
    let held = true;
    const scripted = await startScriptedPop3({
      mails: all.map(({ bytes }, n) => ({ uidl: `${n}`, bytes })),
      script: { PASS: () => (held ? '-ERR [IN-USE] the maildrop is locked\r\n' : 'ordinary') },
    });
    const to = { ports: { pop3: scripted.port }, users: { tester: 'password of tester' } };
    await serverAccount(mailroom, name, to, { protocol });
    expect(await mailroom.import(name)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('Another session'),
    });
    held = false;
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 3 });
    await scripted.stop();
  });
});

describe(`killed at ${kills} random moments while originals are deleted`, () => {
  it('nothing is lost and nothing comes twice, although deletes are only committed at QUIT', {
    timeout: 900_000,
  }, async () => {
    const all = mixedMails(mailsBeforeKills, 67, 4_000_000);
    await deliverAll(server, all, { user });
    await serverAccount(mailroom, name, server, { protocol, user, rule: { delete: 'immediately' } });
    const moment = random(68);
    for (let kill = 0; kill < kills; kill += 1) {
      await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
      await new Promise((resolve) => setTimeout(resolve, 50 + moment() * 1_200));
      // Leases of the dead process lapse, and mail that was in work may be tried again.
      await mailroom.kill();
      shiftMs += 45_000;
      await mailroom.run({ shiftMs });
    }
    await importAll();
    await audit(mailroom, name, all, { compare: 20 });
    expect(await uids()).toEqual([]);
    expect(await inboxRows(mailroom, name, 'q:')).toEqual([]);
  });
});
