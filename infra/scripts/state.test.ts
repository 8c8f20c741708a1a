import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TableClient } from '@azure/data-tables';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../test/support/dovecot.ts';
import { deliverAll, imapAccount } from '../../test/support/imap-account.ts';
import { Mailroom, until } from '../../test/support/mailroom.ts';
import { mixedMails } from '../../test/support/mails.ts';
import { smtpAccount } from '../../test/support/sending.ts';
import { startSmtpSubject } from '../../test/support/smtp-subject.ts';
import { exportState, restoreState, type StateOptions } from './state.ts';

let mailroom: Mailroom;
let dovecot: Dovecot;
let folder = '';
let state: StateOptions;
const said: string[] = [];

beforeEach(async () => {
  [mailroom, dovecot, folder] = await Promise.all([
    Mailroom.start(),
    startDovecot({ users: { tester: 'password of tester' } }),
    mkdtemp(join(tmpdir(), 'mailroom-state-')),
  ]);
  said.length = 0;
  state = {
    folder: join(folder, 'backup'),
    table: (name) =>
      TableClient.fromConnectionString(mailroom.azurite.connectionString, name, { allowInsecureConnection: true }),
    say: (line) => said.push(line),
  };
});

afterEach(async () => {
  await mailroom?.stop();
  await dovecot?.remove();
  await rm(folder, { recursive: true, force: true });
});

async function everyRow(
  name: string,
): Promise<readonly { readonly partitionKey?: string; readonly rowKey?: string }[]> {
  const rows = [];
  for await (const { etag: _, timestamp: __, ...row } of state.table(name).listEntities({
    disableTypeConversion: true,
  })) {
    rows.push(row);
  }
  return rows;
}

async function wipe(): Promise<void> {
  for (const name of ['accounts', 'inbox', 'outbox']) {
    for await (const { partitionKey = '', rowKey = '' } of state.table(name).listEntities()) {
      await state.table(name).deleteEntity(partitionKey, rowKey);
    }
  }
}

it('a restored backup imports nothing twice, and sends nothing again', { timeout: 180_000 }, async () => {
  let arrived = 0;
  const sink = await startSmtpSubject({
    server: {
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData(stream, _, done) {
        arrived += 1;
        stream.resume().once('end', () => done());
      },
    },
  });
  try {
    const mails = mixedMails(30, 7, 20_000);
    await deliverAll(dovecot, mails.slice(0, 20));
    await imapAccount(mailroom, 'corpus', dovecot);
    await smtpAccount(mailroom, 'sender', { port: sink.port });
    await mailroom.import('corpus');
    const body = { to: 'reader@example.net', subject: 'Once', text: 'Once.' };
    const send = async (more: object) =>
      (await mailroom.expect(202, 'POST', '/api/accounts/sender/messages', { body: { ...body, ...more } })).json.id;
    const statusOf = async (id: string) => (await mailroom.call('GET', `/api/messages/${id}`)).json?.status;
    const sent = await send({});
    await until('the mail sent', 60, async () => (await statusOf(sent)) === 'sent');
    // Scheduled when the backup is made, sent by the time it is restored.
    const later = await send({ sendAt: new Date(Date.now() + 3_600_000).toISOString() });

    const instant = Date.now();
    // Imported, and not in the backup, which is of an instant before.
    await deliverAll(dovecot, mails.slice(20, 25));
    await mailroom.import('corpus');
    await exportState(state, instant);
    const before = await Promise.all(['accounts', 'inbox', 'outbox'].map(everyRow));
    const lines = (await readFile(join(state.folder, 'inbox.ndjson'), 'utf8')).trim().split('\n');
    const keys = lines.map((line) => String(JSON.parse(line).rowKey));
    expect(['l:', 'a:', 'c:', 'turn'].map((prefix) => keys.filter((key) => key.startsWith(prefix)).length)).toEqual([
      20, 20, 0, 0,
    ]);

    await deliverAll(dovecot, mails.slice(25));
    await mailroom.import('corpus');
    const assets = (await mailroom.assets('corpus')).map(({ id }) => id).sort();
    expect(assets).toHaveLength(30);

    await mailroom.kill();
    await wipe();
    await restoreState(state, { dryRun: true, openMessages: false });
    expect((await Promise.all(['accounts', 'inbox', 'outbox'].map(everyRow))).flat()).toEqual([]);
    await restoreState(state, { dryRun: false, openMessages: false });
    expect(said.join('\n')).toContain(`left out, scheduled when the backup was made: ${later}`);
    const restored = await everyRow('inbox');
    expect(restored).toHaveLength(keys.filter((key) => !/^(k:|t:new:)/.test(key)).length);
    for (const row of restored) expect(before[1]).toContainEqual(row);
    // Summaries are made anew; that they are to be is noted of each account.
    const ofAccounts = (rows: readonly { readonly partitionKey?: string }[] = []) =>
      rows.filter(({ partitionKey }) => partitionKey !== 'summaries');
    const accounts = await everyRow('accounts');
    expect(ofAccounts(accounts)).toEqual(ofAccounts(before[0]));
    expect(accounts.filter(({ partitionKey }) => partitionKey === 'summaries').map(({ rowKey }) => rowKey)).toEqual([
      'c:corpus',
      'c:sender',
    ]);

    await mailroom.run({ shiftMs: 2 * 3_600_000 });
    const run = await mailroom.import('corpus');
    // Mail that came after the backup is imported again, and becomes the same assets.
    expect(run).toMatchObject({ status: 'done', imported: 10, quarantined: 0 });
    expect((await mailroom.assets('corpus')).map(({ id }) => id).sort()).toEqual(assets);
    await mailroom.fire('outbox-recovery');
    expect(await statusOf(sent)).toBe('sent');
    expect((await mailroom.call('GET', `/api/messages/${later}`)).status).toBe(404);
    expect(arrived).toBe(1);

    const again = said.length;
    await restoreState(state, { dryRun: false, openMessages: false });
    expect(said.slice(again).filter((line) => / 0 rows inserted/.test(line))).toHaveLength(4);
    // As in a backup that an earlier version made.
    await rm(join(state.folder, 'events.ndjson'));
    await restoreState(state, { dryRun: false, openMessages: false });
    expect(said).toContain('events: not in this backup');
  } finally {
    await sink.stop();
  }
});
