import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

let mailroom: Mailroom;
let imap: ImapMailbox;

beforeAll(async () => {
  const users = ['corpus', 'dry', 'folders', 'ticker', 'wiper', 'locked'];
  [mailroom, imap] = await Promise.all([
    Mailroom.start(),
    startImapMailbox({ accounts: users.map((user) => ({ user, password: passwordOf(user) })) }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
});

const importNow = (name: string, body: unknown, headers: Record<string, string> = {}) =>
  mailroom.call('POST', `/api/accounts/${name}/import`, { body, headers });

const noCounts = { imported: 0, skipped: 0, pending: 0, quarantined: 0, disposed: 0 };

describe('import', () => {
  const runShape = {
    id: expect.stringMatching(/^[0-9a-z]{16,40}$/),
    status: 'done',
    startedAt: expect.any(String),
    finishedAt: expect.any(String),
  };

  it('answers 202 with where to follow the run, or the run itself where the caller waits', async () => {
    await mailboxAccount(mailroom, imap, 'corpus');
    imap.deliver('corpus', simpleMail('one'));
    imap.deliver('corpus', simpleMail('two'));
    const waited = await importNow('corpus', {}, { prefer: 'wait=30' });
    expect([waited.status, waited.json]).toEqual([200, { ...runShape, ...noCounts, imported: 2 }]);
    expect(waited.headers.get('preference-applied')).toBe('wait=30');
    expect(waited.headers.get('location')).toBe(`/api/accounts/corpus/runs/${waited.json.id}`);
    expect(imap.mails('corpus').map(({ flags }) => flags)).toEqual([['\\Seen'], ['\\Seen']]);

    const asked = await mailroom.call('POST', '/api/accounts/corpus/import');
    expect([asked.status, asked.json]).toEqual([202, { runId: expect.any(String), status: 'running' }]);
    expect(asked.headers.get('preference-applied')).toBeNull();
    const location = asked.headers.get('location') ?? '';
    expect(location).toBe(`/api/accounts/corpus/runs/${asked.json.runId}`);
    const run = await until('the end of the run', 60, async () => {
      const { json } = await mailroom.expect(200, 'GET', location);
      return json.status !== 'running' && json;
    });
    expect(run).toEqual({ ...runShape, ...noCounts, id: asked.json.runId });

    const runs = await mailroom.expect(200, 'GET', '/api/accounts/corpus/runs');
    expect(runs.json).toEqual({ items: [run, waited.json] });
    const first = await mailroom.expect(200, 'GET', '/api/accounts/corpus/runs?top=1');
    expect(first.json.items).toEqual([run]);
    const second = await mailroom.expect(200, 'GET', `/api/accounts/corpus/runs?top=1&continue=${first.json.continue}`);
    // A page that ends with the last item is the last.
    expect(second.json).toEqual({ items: [waited.json] });
  });

  it('knows no run of another account, and none that never was', async () => {
    await mailboxAccount(mailroom, imap, 'folders');
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/corpus/runs?top=1');
    problem(await mailroom.call('GET', `/api/accounts/folders/runs/${json.items[0].id}`), 404);
    problem(await mailroom.call('GET', '/api/accounts/corpus/runs/x'), 404);
    problem(await mailroom.call('GET', '/api/accounts/corpus/runs/0000000000000000000000'), 404);
  });

  it('as a dry run says what it would do, and changes nothing', async () => {
    await mailboxAccount(mailroom, imap, 'dry', { delete: { afterDays: 3 } });
    imap.deliver('dry', simpleMail('kept'), { receivedAt: Date.parse('2026-01-02T03:04:05Z') });
    imap.deliver('dry', simpleMail('draft'), { flags: ['\\Draft'] });
    const before = JSON.stringify(imap.mails('dry'));
    const dry = await importNow('dry', { dryRun: true });
    expect(dry.status).toBe(200);
    const common = { folder: 'INBOX', sourceId: expect.any(String), size: expect.any(Number) };
    expect(dry.json).toEqual({
      items: [
        {
          ...common,
          messageId: '<kept@example.org>',
          subject: 'kept',
          receivedAt: '2026-01-02T03:04:05.000Z',
          size: simpleMail('kept').length,
          action: 'import',
          reason: 'new',
          disposal: expect.stringMatching(/^mark read, delete \(permanent\) at \d{4}-\d\d-\d\dT/),
        },
        {
          ...common,
          messageId: '<draft@example.org>',
          subject: 'draft',
          receivedAt: expect.any(String),
          action: 'skip',
          reason: 'a draft',
          disposal: 'none',
        },
      ],
    });
    expect(JSON.stringify(imap.mails('dry'))).toBe(before);
    expect((await mailroom.expect(200, 'GET', '/api/assets?account=dry')).json).toEqual({ items: [] });
    expect((await mailroom.expect(200, 'GET', '/api/accounts/dry/runs')).json).toEqual({ items: [] });
    // A real one does what was said; then there is nothing left to say.
    expect(await mailroom.import('dry')).toMatchObject({ imported: 1 });
    expect((await mailroom.expect(200, 'GET', '/api/accounts/dry/status')).json.deletionsToCome).toBe(1);
    const left = await importNow('dry', { dryRun: true });
    expect(left.json.items.filter(({ action }: { action: string }) => action === 'import')).toEqual([]);
  });

  it('is refused where it makes no sense', async () => {
    const body = { dryRun: 'yes', folder: 5, bogus: true };
    expect(problem(await importNow('corpus', body), 400).pointers).toEqual(['/bogus', '/dryRun', '/folder']);
    const elsewhere = { ...body, folder: 'Elsewhere' };
    expect(problem(await importNow('corpus', elsewhere), 400).pointers).toEqual(['/bogus', '/dryRun', '/folder']);
    expect(problem(await importNow('corpus', { folder: 'Elsewhere' }), 400).pointers).toEqual(['/folder']);
    problem(await importNow('corpus', []), 400);
    problem(await importNow('corpus', {}, { 'content-type': 'text/plain' }), 415);
    await mailboxAccount(mailroom, imap, 'off', {}, { enabled: false });
    await mailroom.expect(201, 'PUT', '/api/accounts/storeless', { body: { from: 'x@example.com' } });
    for (const name of ['off', 'storeless']) {
      problem(await importNow(name, {}), 409);
      problem(await importNow(name, { dryRun: true }), 409);
    }
  });

  it('of one folder leaves the others alone', async () => {
    imap.deliver('folders', simpleMail('in-inbox'));
    imap.deliver('folders', simpleMail('in-work'), { folder: 'Work' });
    await mailboxAccount(mailroom, imap, 'folders');
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/folders');
    const body = { ...json, store: { ...json.store, folders: ['INBOX', 'Work'] } };
    await mailroom.expect(200, 'PUT', '/api/accounts/folders', { body });
    const run = await importNow('folders', { folder: 'Work' }, { prefer: 'wait=30' });
    expect(run.json).toMatchObject({ status: 'done', imported: 1 });
    const assets = await mailroom.assets('folders');
    expect(assets.map(({ folder, subject }) => [folder, subject])).toEqual([['Work', 'in-work']]);
  });

  it('is started by the timer for accounts that are due', async () => {
    await mailboxAccount(mailroom, imap, 'ticker', { schedule: '* * * * * *' });
    imap.deliver('ticker', simpleMail('ticked'));
    await until('an import by the timer', 60, async () => {
      await mailroom.fire('import-schedule');
      return (await mailroom.assets('ticker')).length === 1;
    });
    expect((await mailroom.expect(200, 'GET', '/api/accounts/ticker/runs')).json.items.length).toBeGreaterThan(0);
  });

  it('deletes originals where the account says so', async () => {
    await mailboxAccount(mailroom, imap, 'wiper', { delete: 'immediately' });
    imap.deliver('wiper', simpleMail('wiped'));
    expect(await mailroom.import('wiper')).toMatchObject({ imported: 1, disposed: 1 });
    expect(imap.mails('wiper')).toEqual([]);
    expect(await mailroom.assets('wiper')).toHaveLength(1);
  });
});

describe('status', () => {
  it('says how an account is', async () => {
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/corpus/status');
    expect(json).toEqual({
      account: 'corpus',
      enabled: true,
      lastRun: expect.objectContaining({ status: 'done' }),
      backlog: 0,
      oldestNotImported: null,
      pending: 0,
      quarantined: 0,
      push: null,
      deletionsToCome: 0,
      disposalsFailing: { count: 0, last: null },
      disposalsDropped: 0,
      failing: [],
      lastErrors: [],
      secrets: [{ name: 'corpus-imap', state: 'ok', expiresAt: null }],
      transport: { waiting: 0, oldestWaiting: null, failedWithinDay: 0, lastFailure: null },
      webhook: {
        state: 'none',
        waiting: 0,
        givenUp: 0,
        lastSuccess: null,
        failingSince: null,
        nextAttemptAt: null,
      },
    });
  });

  it('says what is wrong', async () => {
    await mailboxAccount(mailroom, imap, 'locked');
    await mailroom.secret('locked', 'locked-imap', 'no longer its password');
    const run = await mailroom.import('locked');
    expect(run).toMatchObject({ status: 'failed', imported: 0, error: expect.any(String) });
    expect(run.error).not.toContain('no longer');
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/locked/status');
    expect(json).toMatchObject({
      lastRun: { id: run.id, status: 'failed' },
      failing: [{ side: 'store', since: expect.any(String) }],
      lastErrors: [{ runId: run.id, at: run.finishedAt, error: run.error }],
    });
  });

  it('reports a secret that is not there, and how long one is good', async () => {
    const { json: account } = await mailroom.expect(200, 'GET', '/api/accounts/locked');
    const store = { ...account.store, auth: { type: 'password', user: 'locked', secret: 'locked-new' } };
    await mailroom.expect(200, 'PUT', '/api/accounts/locked', { body: { ...account, store } });
    const secrets = async () => (await mailroom.expect(200, 'GET', '/api/accounts/locked/status')).json.secrets;
    expect(await secrets()).toEqual([{ name: 'locked-new', state: 'missing', expiresAt: null }]);
    const expiresAt = '2031-01-01T00:00:00.000Z';
    const body = { value: passwordOf('locked'), expiresAt };
    await mailroom.expect(200, 'PUT', '/api/accounts/locked/secrets/locked-new', { body });
    expect(await secrets()).toEqual([{ name: 'locked-new', state: 'ok', expiresAt }]);
    expect(await mailroom.import('locked')).toMatchObject({ status: 'done' });
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/locked/status');
    expect(json.failing).toEqual([]);
  });

  it('forgets trouble with the account, or the side of it, that had it', async () => {
    const failing = async () => (await mailroom.expect(200, 'GET', '/api/accounts/locked/status')).json.failing;
    const fail = async () => {
      await mailroom.secret('locked', 'locked-new', 'not its password either');
      expect(await mailroom.import('locked')).toMatchObject({ status: 'failed' });
      expect(await failing()).toMatchObject([{ side: 'store' }]);
    };
    const { json: account } = await mailroom.expect(200, 'GET', '/api/accounts/locked');
    await fail();
    await mailroom.expect(200, 'PUT', '/api/accounts/locked', { body: { ...account, store: null } });
    expect(await failing()).toEqual([]);
    await mailroom.expect(200, 'PUT', '/api/accounts/locked', { body: account });
    await fail();
    await mailroom.expect(200, 'DELETE', '/api/accounts/locked');
    await mailroom.expect(201, 'PUT', '/api/accounts/locked', { body: account });
    expect(await failing()).toEqual([]);
  });

  it('trap 45: a secret that ends in ten days is reported beforehand, by status, health and the log', async () => {
    const expiresAt = new Date(Math.floor(Date.now() / 1000) * 1000 + 10 * 86_400_000 + 3_600_000).toISOString();
    const body = { value: passwordOf('locked'), expiresAt };
    await mailroom.expect(200, 'PUT', '/api/accounts/locked/secrets/locked-new', { body });
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/locked/status');
    expect(json.secrets).toEqual([{ name: 'locked-new', state: 'ending', expiresAt }]);
    const health = await mailroom.expect(200, 'GET', '/api/health');
    const ending = { account: 'locked', secret: 'locked-new', expiresAt, days: 10 };
    expect(health.json).toMatchObject({ status: 'healthy', endingSecrets: [ending] });
    await mailroom.fire('retention');
    const reported = await until('the line in the log', 60, async () =>
      (await mailroom.log()).split('\n').find((line) => line.includes('secrets.expiring')),
    );
    expect(reported).toContain(JSON.stringify({ account: 'locked', secret: 'locked-new', days: 10 }).slice(1, -1));
  });

  it('says what the last run that ended has left, while the next one is under way', async () => {
    await mailboxAccount(mailroom, imap, 'folders');
    const table = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'inbox', {
      allowInsecureConnection: true,
    });
    const run = { ...noCounts, begun: true, startedAt: Date.now(), partitionKey: 'folders' };
    const oldest = Date.parse('2026-01-02T03:04:05Z');
    const ended = { status: 'done', finishedAt: Date.now(), backlog: 22, oldestWaitingAt: oldest };
    await table.createEntity({ ...run, ...ended, rowKey: `r:${'0'.repeat(22)}1` });
    await table.createEntity({ ...run, status: 'running', rowKey: `r:${'0'.repeat(22)}0` });
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/folders/status');
    expect(json).toMatchObject({
      lastRun: { status: 'running' },
      backlog: 22,
      oldestNotImported: '2026-01-02T03:04:05.000Z',
    });
  });
});
