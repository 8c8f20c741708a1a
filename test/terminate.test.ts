import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { mailboxAccess, mailsIn } from './support/append-account.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { catcher } from './support/kill-moments.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, recordOf, recordWhen, send, smtpAccount } from './support/sending.ts';
import { startStallProxy } from './support/stall-proxy.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
const servers: ScriptedSmtp[] = [];

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) }),
    startDovecot({ users: { reader: 'password of reader', copier: 'password of copier', slow: 'password of slow' } }),
  ]);
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  for (const server of servers) await server.stop();
  await gate?.stop();
  await dovecot?.remove();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** SIGTERM, as at a deployment; `meanwhile` is what the world does until the process has ended. */
async function terminated(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  const { pid } = mailroom;
  const before = (await mailroom.log()).split('app.stopped').length;
  process.kill(pid, 'SIGTERM');
  await meanwhile();
  await until('the end of the process', 60, async () => !isAlive(pid));
  // By itself: the host would have ended it otherwise, without this line.
  expect((await mailroom.log()).split('app.stopped').length).toBe(before + 1);
}

async function rowsOf(table: 'outbox' | 'inbox' | 'limits', account: string) {
  const client = TableClient.fromConnectionString(mailroom.azurite.connectionString, table, {
    allowInsecureConnection: true,
  });
  const rows: Record<string, unknown>[] = [];
  for await (const row of client.listEntities({ queryOptions: { filter: `PartitionKey eq '${account}'` } })) {
    rows.push(row);
  }
  return rows;
}

async function server(silentAt?: string): Promise<{ server: ScriptedSmtp; silent: Promise<void> }> {
  let fallSilent: (() => void) | undefined;
  const silent = new Promise<void>((resolve) => {
    fallSilent = resolve;
  });
  const started = await startScriptedSmtp({
    answer(step) {
      if (step !== silentAt || !fallSilent) return undefined;
      fallSilent();
      fallSilent = undefined;
      return { next: 'silent' };
    },
  });
  servers.push(started);
  return { server: started, silent };
}

describe('a process that is about to end', () => {
  it('lets a mail end that is past its commit point, and gives its connection and the right to send back', async () => {
    const { server: smtp } = await server();
    const limits = { limits: { perMinute: 10, connections: 2 } };
    await smtpAccount(mailroom, 'ending', { port: smtp.port }, limits);
    const committed = gate.hold({
      at: 'after',
      fits: catcher('ending', { at: 'after', service: 'table', text: '"committing":true' }),
    });
    const { id } = await send(mailroom, 'ending');
    await committed;
    await terminated(async () => {
      await until('the announcement', 5, async () => (await mailroom.log()).includes('app.stopping'));
      gate.resume();
    });
    expect(smtp.mails).toHaveLength(1);
    const [record] = (await rowsOf('outbox', 'ending')).filter(({ rowKey }) => String(rowKey).startsWith('m:'));
    expect(record?.status).toBe('sent');
    const kept = (await rowsOf('limits', 'ending')).map(({ json0 }) => JSON.parse(String(json0)));
    expect(kept.length).toBe(2);
    for (const { holders = {}, held = {} } of kept) expect({ holders, held }).toEqual({ holders: {}, held: {} });
    await mailroom.run();
    expect((await endedRecord(mailroom, id)).attempts.map(({ outcome }) => outcome)).toEqual(['sent']);
  }, 60_000);

  it('gives a mail back that is not that far, which is no attempt, and the next process sends it at once', async () => {
    const { server: smtp, silent } = await server('RCPT');
    await smtpAccount(mailroom, 'early', { port: smtp.port });
    const { id } = await send(mailroom, 'early');
    await silent;
    await terminated();
    const [record] = (await rowsOf('outbox', 'early')).filter(({ rowKey }) => String(rowKey).startsWith('m:'));
    expect(record).toMatchObject({ status: 'queued' });
    expect(record).not.toHaveProperty('leaseOwner');
    await mailroom.run();
    const ended = await endedRecord(mailroom, id);
    expect(ended).toMatchObject({ status: 'sent' });
    expect(ended.attempts.map(({ outcome }) => outcome)).toEqual(['sent']);
    expect(smtp.mails).toHaveLength(1);
    expect((await recordOf(mailroom, id)).status).toBe('sent');
  }, 60_000);

  it('lets a copy for Sent end that is past its commit point', async () => {
    const { server: smtp } = await server();
    const store = await mailboxAccess(mailroom, 'copier', dovecot, 'copier');
    await smtpAccount(mailroom, 'copier', { port: smtp.port, saveToSent: true }, { store });
    // The message's own commit point is the first.
    const committed = gate.hold({
      at: 'after',
      fits: catcher('copier', { at: 'after', service: 'table', text: '"committedAt":', nth: 2 }),
    });
    const { id } = await send(mailroom, 'copier');
    await committed;
    await terminated(async () => {
      await until('the announcement', 60, async () => (await mailroom.log()).includes('app.stopping'));
      gate.resume();
    });
    const rows = await rowsOf('outbox', 'copier');
    expect(rows.filter(({ rowKey }) => String(rowKey).startsWith('s:'))).toEqual([]);
    expect(rows.find(({ rowKey }) => String(rowKey).startsWith('m:'))).toMatchObject({ sentCopy: 'saved' });
    const client = await dovecot.client('copier');
    expect(await mailsIn(client, 'Sent')).toHaveLength(1);
    await client.close();
    await mailroom.run();
    expect((await recordOf(mailroom, id)).sentCopy).toBe('saved');
  }, 120_000);

  it('gives a copy back that is not that far, and the next process makes it at once', async () => {
    const { server: smtp } = await server();
    const proxy = await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap });
    onTestFinished(() => proxy.stop());
    const store = await mailboxAccess(mailroom, 'slow', dovecot, 'slow', proxy.port);
    await smtpAccount(mailroom, 'slow', { port: smtp.port, saveToSent: true }, { store });
    proxy.trouble({ direction: 'toServer', at: 'APPEND', action: 'silent' });
    const { id } = await send(mailroom, 'slow');
    await until('the APPEND', 60, async () => proxy.sentText().includes(' APPEND '));
    await terminated();
    const [copy] = (await rowsOf('outbox', 'slow')).filter(({ rowKey }) => String(rowKey).startsWith('s:'));
    expect(copy).toMatchObject({ attempts: 0 });
    expect(copy).not.toHaveProperty('leaseOwner');
    proxy.reset();
    await mailroom.run();
    await recordWhen(mailroom, id, 'the copy saved', ({ sentCopy }) => sentCopy === 'saved');
  }, 120_000);

  it('ends an import at the next boundary, gives its lease back, and leaves the rest to the next process', async () => {
    const client = await dovecot.client('reader');
    const count = 120;
    for (let n = 0; n < count; n += 1) {
      await client.append(
        'INBOX',
        Buffer.from(`From: a@example.com\r\nSubject: ${n}\r\nMessage-ID: <${n}@a>\r\n\r\nx\r\n`),
      );
    }
    await client.close();
    const store = await mailboxAccess(mailroom, 'reader', dovecot, 'reader');
    await mailroom.expect([200, 201], 'PUT', '/api/accounts/reader', {
      body: { from: 'reader@example.com', store, import: { schedule: null } },
    });
    // The first page is about to be committed.
    const page = gate.hold({
      at: 'before',
      fits: ({ service, body }) => service === 'table' && body.includes('"todoEvent"'),
    });
    await mailroom.expect(202, 'POST', '/api/accounts/reader/import');
    await Promise.race([page, until('a page', 60, async () => (await mailroom.assets('reader')).length > 0)]);
    await terminated(async () => gate.resume());
    const [lease] = (await rowsOf('inbox', 'reader')).filter(({ rowKey }) => rowKey === 'turn');
    expect(lease).toMatchObject({ leaseOwner: '', leaseUntil: 0 });
    await mailroom.run();
    // The continuation is on the queue: nobody has to ask.
    await until('all of it', 40, async () => (await mailroom.assets('reader')).length === count);
  }, 90_000);
});
