import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logLines } from './support/log-lines.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, queueOf, recordOf, send, smtpAccount } from './support/sending.ts';

let mailroom: Mailroom;
let events: EventReader;
let server: ScriptedSmtp;
/** While it is, messages stay on the queues. */
let paused = false;

beforeAll(async () => {
  server = await startScriptedSmtp();
  mailroom = await Mailroom.start({
    env: () => ({
      'AzureWebJobs.mail-send.Disabled': String(paused),
      'AzureWebJobs.mail-import.Disabled': String(paused),
      // What fails is tried again at once instead of after half a minute.
      AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:00',
    }),
  });
  events = new EventReader(mailroom);
  await smtpAccount(mailroom, 'corpus', { port: server.port });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await server?.stop();
});

async function restart(isPaused: boolean): Promise<void> {
  await mailroom.kill();
  paused = isPaused;
  await mailroom.run();
}

/** Puts a message on a queue, base64. */
async function put(queue: string, entry: unknown): Promise<void> {
  await queueOf(mailroom, queue).createIfNotExists();
  await queueOf(mailroom, queue).sendMessage(Buffer.from(JSON.stringify(entry)).toString('base64'));
}

/** What was done about messages that were given up, in the order of the log. */
async function handled(fits: (line: Readonly<Record<string, unknown>>) => boolean, count: number) {
  return await until(`${count} messages that were handled`, 40, async () => {
    await mailroom.fireToEnd('outbox-recovery');
    const lines = logLines(await mailroom.log()).filter((line) => line.event === 'queue.gaveUp' && fits(line));
    return lines.length >= count && lines.map(({ result }) => result);
  });
}

const accounts = () =>
  TableClient.fromConnectionString(mailroom.azurite.connectionString, 'accounts', { allowInsecureConnection: true });

async function isEmpty(queue: string): Promise<boolean> {
  return (await queueOf(mailroom, queue).getProperties()).approximateMessagesCount === 0;
}

const about = (id: string) => (line: Readonly<Record<string, unknown>>) => line.message === id;

describe('a message of mail-send that the host gave up', { timeout: 120_000 }, () => {
  it('sends its mail all the same once what stood in the way is over', async () => {
    await restart(true);
    const { id } = await send(mailroom, 'corpus', { to: 'later@example.org' });
    await put('mail-send-poison', { id });
    expect(await handled(about(id), 1)).toEqual(['repeated']);
    expect((await recordOf(mailroom, id)).status).toBe('queued');
    expect(await isEmpty('mail-send-poison')).toBe(true);
    await restart(false);
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    // What is left of it on the poison queue changes nothing any more.
    await put('mail-send-poison', { id });
    expect(await handled(about(id), 2)).toEqual(['repeated', 'left']);
    expect((await recordOf(mailroom, id)).status).toBe('sent');
    expect(server.mails.filter(({ recipients }) => recipients.includes('later@example.org'))).toHaveLength(1);
  });

  it('given up again, its mail has failed, with its reason and an event; a resend sends it', async () => {
    await restart(true);
    const { id } = await send(mailroom, 'corpus', { to: 'failing@example.org' });
    for (const results of [['repeated'], ['repeated', 'failed']]) {
      await put('mail-send-poison', { id });
      expect(await handled(about(id), results.length)).toEqual(results);
    }
    const reason = { code: 'queueGaveUp', reply: expect.stringContaining('outbox.deliverFailed') };
    expect(await recordOf(mailroom, id)).toMatchObject({
      status: 'failed',
      recipients: [{ status: 'rejected', ...reason }],
      attempts: [{ outcome: 'failed', ...reason }],
    });
    expect(new Set((await events.about(id)).map(({ type }) => type))).toEqual(new Set(['mailroom.message.failed']));
    await restart(false);
    await mailroom.expect(202, 'POST', `/api/messages/${id}/resend`);
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect(server.mails.filter(({ recipients }) => recipients.includes('failing@example.org'))).toHaveLength(1);
  });

  it('after deliveries that failed: its mail has failed, with its reason and an event; a resend sends it', async () => {
    await restart(true);
    await smtpAccount(mailroom, 'damaged', { port: server.port });
    const { id } = await send(mailroom, 'damaged', { to: 'damaged@example.org' });
    const { json0 } = await accounts().getEntity<{ json0: string }>('accounts', 'damaged');
    const write = (text: string) =>
      accounts().updateEntity({ partitionKey: 'accounts', rowKey: 'damaged', json0: text }, 'Merge');
    await write('{');
    await restart(false);
    expect(await handled(about(id), 2)).toEqual(['repeated', 'failed']);
    const attempts = logLines(await mailroom.log()).filter(
      (line) => line.event === 'outbox.deliverFailed' && about(id)(line),
    );
    expect(attempts.length).toBeGreaterThanOrEqual(10);
    expect(await recordOf(mailroom, id)).toMatchObject({
      status: 'failed',
      recipients: [{ status: 'rejected', code: 'queueGaveUp' }],
      attempts: [{ outcome: 'failed', code: 'queueGaveUp' }],
    });
    expect(new Set((await events.about(id)).map(({ type }) => type))).toEqual(new Set(['mailroom.message.failed']));
    await write(json0);
    await mailroom.expect(202, 'POST', `/api/messages/${id}/resend`);
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect(server.mails.filter(({ recipients }) => recipients.includes('damaged@example.org'))).toHaveLength(1);
  });

  it('whose record cannot be read: the host gives it up, and the record is kept', async () => {
    await restart(true);
    const { id } = await send(mailroom, 'corpus', { to: 'odd@example.org' });
    const table = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'outbox', {
      allowInsecureConnection: true,
    });
    const [partitionKey = '', localId = ''] = id.split('.');
    const row = { partitionKey, rowKey: `m:${localId}` };
    await table.updateEntity({ ...row, status: 'newer' }, 'Merge');
    await restart(false);
    expect(await handled(about(id), 1)).toEqual(['unreadable']);
    await table.updateEntity({ ...row, status: 'queued' }, 'Merge');
    await put('mail-send', { id });
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
  });

  it('that is none of ours ends in the log, without what it says', async () => {
    const before = logLines(await mailroom.log()).filter(({ result }) => result === 'unknown').length;
    for (const entry of ['a word in private', { no: 'id' }, { id: 7 }]) await put('mail-send', entry);
    await queueOf(mailroom, 'mail-send').sendMessage('not base64!');
    const isUnknown = ({ queue, result }: Readonly<Record<string, unknown>>) =>
      queue === 'mail-send-poison' && result === 'unknown';
    await handled(isUnknown, before + 4);
    expect(await isEmpty('mail-send-poison')).toBe(true);
    expect(await mailroom.log()).not.toContain('a word in private');
  });
});

describe('a message of another queue that the host gave up', { timeout: 120_000 }, () => {
  it('mail-import: the run has failed, and the next one works', async () => {
    await restart(true);
    const store = { protocol: 'pop3', host: '127.0.0.1', port: server.port, auth: { type: 'none' } };
    await smtpAccount(mailroom, 'reader', { port: server.port }, { store, import: { schedule: null } });
    const { json } = await mailroom.expect(202, 'POST', '/api/accounts/reader/import');
    await put('mail-import-poison', { account: 'reader', runId: json.runId });
    await put('mail-import-poison', { account: 'reader' });
    await put('mail-import-poison', { account: 'nobody' });
    const isImport = ({ queue }: Readonly<Record<string, unknown>>) => queue === 'mail-import-poison';
    expect((await handled(isImport, 3)).sort()).toEqual(['failed', 'failed', 'unknown']);
    const runs = await mailroom.expect(200, 'GET', '/api/accounts/reader/runs');
    expect(runs.json.items.map(({ status }: { status: string }) => status)).toEqual(['failed', 'failed']);
    const run = await mailroom.expect(200, 'GET', `/api/accounts/reader/runs/${json.runId}`);
    expect(run.json).toMatchObject({ status: 'failed', error: expect.stringContaining('five times') });
    await restart(false);
  });

  it('mail-webhooks: deliveries are found by the timer', async () => {
    await put('mail-webhooks-poison', { target: 'corpus' });
    const isEvents = ({ queue }: Readonly<Record<string, unknown>>) => queue === 'mail-webhooks-poison';
    expect(await handled(isEvents, 1)).toEqual(['repeated']);
  });
});
