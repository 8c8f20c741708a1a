import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { audit, inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { random, testMail } from './support/mails.ts';
import { startStallProxy } from './support/stall-proxy.ts';

const users = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`user${n}`, `password of user ${n}`]));
const hourMs = 3_600_000;

let mailroom: Mailroom;
let server: Dovecot;
let count = 0;
let user = '';
let name = '';
let shiftMs = 0;

beforeAll(async () => {
  [mailroom, server] = await Promise.all([Mailroom.start(), startDovecot({ users })]);
});

afterAll(async () => {
  await mailroom?.stop();
  await server?.remove();
});

beforeEach(() => {
  user = `user${count}`;
  name = `rule${count}`;
  count += 1;
});

function mails(howMany: number, seed: number) {
  const next = random(seed);
  return Array.from({ length: howMany }, (_, n) => testMail({ n: seed * 1000 + n }, next));
}

async function inbox(folder = 'INBOX'): Promise<number[]> {
  const client = await server.client(user);
  try {
    return await client.uids(folder);
  } finally {
    await client.close();
  }
}

async function status() {
  return (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;
}

async function later(byMs: number): Promise<void> {
  shiftMs += byMs;
  await mailroom.setClock(shiftMs);
}

/** Events of the account on the queue that the customer reads. */
async function events(type: string) {
  const queue = QueueServiceClient.fromConnectionString(mailroom.azurite.connectionString).getQueueClient(
    'mail-events',
  );
  const found = [];
  for (;;) {
    const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 600 });
    if (receivedMessageItems.length === 0) return found;
    for (const item of receivedMessageItems) {
      const event = JSON.parse(Buffer.from(item.messageText, 'base64').toString());
      if (event.source === `/accounts/${name}` && event.type === type) found.push(event);
    }
  }
}

it('a mail of a thousand parts is imported with all of them, beside a small one', { timeout: 180_000 }, async () => {
  const part = (n: number) =>
    `--b\r\nContent-Type: image/png; name="${n}.png"\r\nContent-Disposition: attachment\r\n\r\npart ${n}\r\n`;
  const many =
    'From: a@example.org\r\nSubject: many\r\nMessage-ID: <many@example.org>\r\nMIME-Version: 1.0\r\n' +
    'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n' +
    `${Array.from({ length: 999 }, (_, n) => part(n + 1)).join('')}--b--\r\n`;
  await deliverAll(server, [{ bytes: Buffer.from(many) }, ...mails(1, 40)], { user });
  await imapAccount(mailroom, name, server, { user });
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 2, pending: 0 });
  const asset = (await mailroom.assets(name)).find(({ subject }) => subject === 'many');
  const { json } = await mailroom.expect(200, 'GET', `/api/assets/${asset?.id}`);
  expect(json.attachments).toHaveLength(999);
  expect(json.text).toBe('words');
  for (const n of [1, 500, 999]) {
    const content = await mailroom.call('GET', `/api/assets/${asset?.id}/attachments/${n}`);
    expect(content.bytes.toString()).toBe(`part ${n}`);
  }
});

describe('a mail that cannot be checked in', () => {
  it('is tried five times, then quarantined with its raw MIME, and its original is never deleted', {
    timeout: 180_000,
  }, async () => {
    const good = mails(3, 1);
    await deliverAll(server, [...good, { bytes: Buffer.from('\r\n \r\n') }], { user });
    await imapAccount(mailroom, name, server, { user, rule: { delete: 'immediately' } });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 3, pending: 1, disposed: 3 });
    for (let attempt = 2; attempt <= 5; attempt += 1) {
      expect(await status()).toMatchObject({ pending: 1, quarantined: 0 });
      await later(2 * hourMs);
      await mailroom.import(name);
    }
    expect(await status()).toMatchObject({ pending: 0, quarantined: 1 });
    expect((await inbox()).length).toBe(1);
    const [row] = await inboxRows(mailroom, name, 'q:');
    expect(row?.columns).toMatchObject({ hasMime: true, reason: expect.stringMatching(/content/) });
    const container = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient(
      'quarantine',
    );
    const raw = [];
    for await (const blob of container.listBlobsFlat({ prefix: `${name}/` })) raw.push(blob.name);
    expect(raw).toHaveLength(1);
    expect(await container.getBlobClient(raw[0] ?? '').downloadToBuffer()).toEqual(Buffer.from('\r\n \r\n'));
    expect(await mailroom.import(name)).toMatchObject({ imported: 0, pending: 0, quarantined: 0 });
    expect(await events('mailroom.mail.quarantined')).toHaveLength(1);
  });

  it('kills the process every time: it is counted, quarantined, and the others are imported', {
    timeout: 480_000,
  }, async () => {
    const good = mails(5, 2);
    const killer = testMail({ n: 2999, text: 500_000 }, random(3));
    await deliverAll(server, [...good, killer], { user });
    const proxy = await startStallProxy({ host: server.host, port: server.ports.imap });
    try {
      await imapAccount(mailroom, name, server, { user, port: proxy.port, timeout: 60_000 });
      // The large mail stands still in the middle of its body; at that moment the process dies, as by its doing.
      proxy.trouble({ direction: 'toClient', after: 250_000, action: 'silent' });
      for (let round = 0; round < 40 && (await inboxRows(mailroom, name, 'q:')).length === 0; round += 1) {
        // It is tried again only some time after a death: every other run comes too early and ends.
        const { json } = await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
        await until('its body standing still, or the end of the run', 60, async () => {
          const asked = proxy.sent().some((line) => /BODY\.PEEK\[\]<\d+\.\d+>/.test(line));
          const run = await mailroom.expect(200, 'GET', `/api/accounts/${name}/runs/${json.runId}`);
          return asked || run.json.status !== 'running';
        });
        await mailroom.kill();
        shiftMs += 6 * hourMs;
        await mailroom.run({ shiftMs });
        proxy.reset();
        // The last time nothing stands in its way: what is left of it must be kept unread.
        if ((await inboxRows(mailroom, name, 'p:')).every((row) => Number(row.columns.attempts) < 5)) {
          proxy.trouble({ direction: 'toClient', after: 250_000, action: 'silent' });
        }
      }
    } finally {
      await proxy.stop();
    }
    const assets = await mailroom.assets(name);
    expect(assets.map((asset) => asset.messageId).sort()).toEqual(good.map((mail) => mail.messageId).sort());
    expect((await inbox()).length).toBe(6);
    expect(await status()).toMatchObject({ pending: 0, quarantined: 1 });
  });
});

describe('what is imported', () => {
  it('a mail above maxMessageSize becomes an asset of headers only, and its original stays', {
    timeout: 180_000,
  }, async () => {
    const [small] = mails(1, 4);
    const large = testMail({ n: 4999, text: 60_000 }, random(5));
    await deliverAll(server, [{ bytes: small?.bytes ?? Buffer.alloc(0) }, large], { user });
    await imapAccount(mailroom, name, server, { user, rule: { delete: 'immediately', maxMessageSize: 50_000 } });
    expect(await mailroom.import(name)).toMatchObject({ imported: 2, disposed: 1 });
    const asset = (await mailroom.assets(name)).find((each) => each.flags.oversize);
    expect(asset).toMatchObject({ messageId: large.messageId, flags: { oversize: true }, attachments: [] });
    const mime = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/mime`);
    expect(large.bytes.toString().startsWith(mime.bytes.toString().trimEnd())).toBe(true);
    expect((await inbox()).length).toBe(1);
  });

  it('mail from before `since` is left alone, `now` means the moment the account was saved', {
    timeout: 180_000,
  }, async () => {
    const old = mails(2, 6);
    await deliverAll(server, old, { user, date: () => new Date(Date.now() - 48 * hourMs) });
    await imapAccount(mailroom, name, server, { user, rule: { since: 'now' } });
    const fresh = mails(1, 7);
    await deliverAll(server, fresh, { user, date: () => new Date(Date.now() + 1_000) });
    // Saving the account again does not move the moment.
    await imapAccount(mailroom, name, server, { user, rule: { since: 'now', markRead: false } });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1, skipped: 2 });
    await audit(mailroom, name, fresh);
  });

  it('drafts are not imported, read mail is, and the read state decides nothing', { timeout: 180_000 }, async () => {
    const [draft, read, deleted] = mails(3, 8);
    const client = await server.client(user);
    await client.append('INBOX', draft?.bytes ?? Buffer.alloc(0), { flags: ['\\Draft'] });
    await client.append('INBOX', read?.bytes ?? Buffer.alloc(0), { flags: ['\\Seen'] });
    await client.append('INBOX', deleted?.bytes ?? Buffer.alloc(0), { flags: ['\\Deleted'] });
    await imapAccount(mailroom, name, server, { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 2, skipped: 1 });
    // Somebody marks everything unread: nothing is imported again.
    await client.select('INBOX');
    await client.ok('UID STORE 1:* -FLAGS (\\Seen)');
    await client.close();
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
    expect((await inbox()).length).toBe(3);
  });

  it('an asset that a person deleted is not imported again', { timeout: 180_000 }, async () => {
    const [mail] = mails(1, 9);
    await deliverAll(server, [{ bytes: mail?.bytes ?? Buffer.alloc(0) }], { user });
    await imapAccount(mailroom, name, server, { user });
    await mailroom.import(name);
    const [asset] = await mailroom.assets(name);
    await mailroom.expect(204, 'DELETE', `/api/assets/${asset.id}`);
    await mailroom.expect(404, 'GET', `/api/assets/${asset.id}`);
    await mailroom.expect(404, 'DELETE', `/api/assets/${asset.id}`);
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
    await mailroom.fireToEnd('sweep');
    await server.setUidValidity(user, 'INBOX', 4_242);
    expect(await mailroom.import(name)).toMatchObject({ imported: 0, skipped: 1 });
    expect(await mailroom.assets(name)).toEqual([]);
  });

  it('the sweep finds mail that the checkpoint has passed', { timeout: 180_000 }, async () => {
    const [draft, other] = mails(2, 10);
    const client = await server.client(user);
    await client.append('INBOX', draft?.bytes ?? Buffer.alloc(0), { flags: ['\\Draft'] });
    await client.append('INBOX', other?.bytes ?? Buffer.alloc(0));
    await imapAccount(mailroom, name, server, { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1 });
    await client.select('INBOX');
    await client.ok('UID STORE 1 -FLAGS (\\Draft)');
    await client.close();
    expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
    await mailroom.fire('sweep');
    await until('the mail that was a draft', 60, async () => (await mailroom.assets(name)).length === 2);
  });
});

describe('a dry run', () => {
  it('says what an import would do and changes nothing', { timeout: 180_000 }, async () => {
    const some = mails(2, 11);
    await deliverAll(server, some, { user });
    await imapAccount(mailroom, name, server, { user, rule: { delete: { afterDays: 3 } } });
    const before = await inboxRows(mailroom, name);
    const { json } = await mailroom.expect(200, 'POST', `/api/accounts/${name}/import`, { body: { dryRun: true } });
    expect(json.items).toHaveLength(2);
    expect(json.items[0]).toMatchObject({
      folder: 'INBOX',
      messageId: some[0]?.messageId,
      subject: 'Nachricht für 11000',
      action: 'import',
      disposal: expect.stringMatching(/^mark read, delete \(permanent\) at /),
    });
    const after = await inboxRows(mailroom, name);
    // Beside who had the turn, and the connection.
    const kept = (rows: typeof before) => rows.filter(({ key }) => key !== 'turn' && !key.startsWith('k:'));
    expect(kept(after)).toEqual(kept(before));
    await mailroom.import(name);
    await audit(mailroom, name, some);
  });
});

describe('the schedule', () => {
  it('imports accounts that are due, once per occurrence, and never disabled ones', { timeout: 180_000 }, async () => {
    await deliverAll(server, mails(2, 12), { user });
    await imapAccount(mailroom, name, server, { user, rule: { schedule: '0 0 * * * *' } });
    await mailroom.fire('import-schedule');
    await until('the first import', 60, async () => (await mailroom.assets(name)).length === 2);
    await deliverAll(server, mails(1, 13), { user });
    await mailroom.fire('import-schedule');
    await later(hourMs);
    expect(await mailroom.assets(name)).toHaveLength(2);
    await mailroom.fire('import-schedule');
    await until('the next hour', 60, async () => (await mailroom.assets(name)).length === 3);
  });
});

describe('what is deleted', () => {
  it('only what was imported: mail that another client marked \\Deleted stays', { timeout: 180_000 }, async () => {
    await deliverAll(server, mails(3, 14), { user });
    await imapAccount(mailroom, name, server, {
      user,
      rule: { delete: 'immediately', since: new Date(Date.now() - hourMs).toISOString() },
    });
    const client = await server.client(user);
    // Not imported (too old), and marked by somebody who has not expunged yet.
    await client.append('INBOX', mails(1, 15)[0]?.bytes ?? Buffer.alloc(0), {
      flags: ['\\Deleted'],
      date: new Date(Date.now() - 240 * hourMs),
    });
    expect(await mailroom.import(name)).toMatchObject({ imported: 3, disposed: 3, skipped: 1 });
    expect((await inbox()).length).toBe(1);
    await client.close();
  });

  it('into the trash, where the account says so', { timeout: 180_000 }, async () => {
    await deliverAll(server, mails(2, 16), { user });
    await imapAccount(mailroom, name, server, { user, rule: { delete: 'immediately', deleteMode: 'trash' } });
    expect(await mailroom.import(name)).toMatchObject({ imported: 2, disposed: 2 });
    expect((await inbox()).length).toBe(0);
    expect((await inbox('Trash')).length).toBe(2);
    const reported = await events('mailroom.mail.disposed');
    expect(reported).toHaveLength(2);
    expect(reported[0]).toMatchObject({ specversion: '1.0', id: `mailroom.mail.disposed:${reported[0].subject}` });
  });

  it('a target folder that is missing is reported, the import goes on, and is made up for later', {
    timeout: 180_000,
  }, async () => {
    await deliverAll(server, mails(2, 17), { user });
    await imapAccount(mailroom, name, server, { user, rule: { moveTo: 'Archive' } });
    const run = await mailroom.import(name);
    expect(run).toMatchObject({ status: 'done', imported: 2, disposed: 0, error: expect.stringMatching(/Archive/) });
    const client = await server.client(user);
    await client.ok('CREATE Archive');
    await client.close();
    // Tried again after a pause.
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, disposed: 0 });
    await later(hourMs);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, disposed: 2 });
    expect((await inbox('Archive')).length).toBe(2);
  });
});
