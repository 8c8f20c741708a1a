import { TableClient, TableServiceClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from './support/free-port.ts';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

let mailroom: Mailroom;

beforeAll(async () => {
  const port = await freePort();
  // The platform tells every app its own name; without it the app does not know where to ask for a key.
  mailroom = await Mailroom.start({ env: { PORT: String(port), WEBSITE_HOSTNAME: `127.0.0.1:${port}` } });
});

afterAll(() => mailroom?.stop());

const accounts = '/api/accounts';

describe('who may call', () => {
  const id = 'corpus.0000000000000000000000';
  const routes = [
    ['POST', '/api/messages'],
    ['POST', '/api/accounts/corpus/messages'],
    ['GET', '/api/messages'],
    ['GET', `/api/messages/${id}`],
    ['DELETE', `/api/messages/${id}`],
    ['GET', '/api/accounts'],
    ['GET', '/api/accounts/corpus'],
    ['PUT', '/api/accounts/corpus'],
    ['DELETE', '/api/accounts/corpus'],
    ['PUT', '/api/accounts/corpus/secrets/corpus-x'],
    ['POST', '/api/accounts/corpus/import'],
    ['GET', '/api/accounts/corpus/runs'],
    ['GET', `/api/accounts/corpus/runs/0000000000000000000000`],
    ['GET', '/api/accounts/corpus/status'],
    ['GET', '/api/assets'],
    ['GET', `/api/assets/${id}`],
    ['GET', `/api/assets/${id}/mime`],
    ['GET', `/api/assets/${id}/attachments/1`],
    ['DELETE', `/api/assets/${id}`],
  ] as const;

  it.each(routes)('%s %s needs a key', async (method, path) => {
    for (const key of [null, 'wrong-key']) {
      const answer = await mailroom.call(method, path, { key });
      expect([answer.status, answer.bytes.length]).toEqual([401, 0]);
    }
  });

  it('takes nobody for signed in by a header, where no sign-in is in front', async () => {
    const claims = [{ typ: 'roles', val: 'Mailroom.Admin' }];
    const headers = { 'x-ms-client-principal': Buffer.from(JSON.stringify({ claims })).toString('base64') };
    expect((await mailroom.call('GET', accounts, { headers, key: null })).status).toBe(401);
    headers['x-ms-client-principal'] = Buffer.from(JSON.stringify({ claims: [] })).toString('base64');
    expect((await mailroom.call('GET', accounts, { headers })).status).toBe(200);
  });

  it('takes the key in the query as well', async () => {
    await mailroom.expect(200, 'GET', `${accounts}?code=test-function-key`, { key: null });
  });

  it.each([
    ['GET', '/api'],
    ['GET', '/api/nothing'],
    ['PATCH', '/api/accounts/corpus'],
    ['DELETE', '/api/accounts'],
    ['GET', '/api/accounts/corpus/secrets'],
    ['GET', '/api/accounts/corpus/secrets/corpus-imap'],
    ['PUT', '/api/messages'],
    ['GET', '/api/accounts/corpus/import'],
    ['POST', '/api/assets'],
    ['GET', `/api/assets/${id}/attachments/first`],
  ])('%s %s is not there', async (method, path) => {
    expect((await mailroom.call(method, path)).status).toBe(404);
  });

  it.each(['Corpus', 'a/b', 'a#b', 'a?b', "a'b", 'ü', 'a'.repeat(33), 'none'])(
    'no account %j: 404 wherever it is named',
    async (name) => {
      const path = `${accounts}/${encodeURIComponent(name)}`;
      for (const [method, rest] of [
        ['GET', ''],
        ['DELETE', ''],
        ['GET', '/status'],
        ['GET', '/runs'],
        ['POST', '/import'],
      ] as const) {
        problem(await mailroom.call(method, path + rest), 404);
      }
    },
  );
});

describe('health', () => {
  it('says how it is to everybody, and why only with a key', async () => {
    const bare = await mailroom.call('GET', '/api/health', { key: null });
    expect([bare.status, bare.json]).toEqual([200, { status: 'healthy' }]);
    expect(bare.headers.get('cache-control')).toBe('no-store');
    const wrong = await mailroom.call('GET', '/api/health', { key: 'wrong-key' });
    expect([wrong.status, wrong.json]).toEqual([200, { status: 'healthy' }]);
    const checks = { settings: 'ok', storage: 'ok', keyVault: 'ok' };
    const detail = { status: 'healthy', checks, endingSecrets: [] };
    expect((await mailroom.call('GET', '/api/health')).json).toEqual(detail);
    expect((await mailroom.call('GET', '/api/health?code=test-function-key', { key: null })).json).toEqual(detail);
  });
});

describe('timers', () => {
  it.each(['import-schedule', 'outbox-recovery', 'retention', 'sweep'] as const)(
    '%s can be fired by hand, with the master key',
    async (timer) => {
      const path = `/admin/functions/${timer}`;
      expect((await mailroom.call('POST', path, { body: {}, key: 'test-function-key' })).status).toBe(401);
      expect((await mailroom.call('POST', path, { body: {}, key: null })).status).toBe(401);
      await mailroom.fire(timer);
      await expect
        .poll(() => mailroom.log(), { timeout: 10_000 })
        .toMatch(new RegExp(`Executed 'Functions.${timer}' \\(Succeeded`));
    },
  );

  it('no other can', async () => {
    expect((await mailroom.call('POST', '/admin/functions/nothing', { body: {} })).status).toBe(404);
  });
});

describe('secrets', () => {
  const value = 'Geheimnis-47-äöü "\\';
  const path = (name: string, account = 'corpus') => `${accounts}/${account}/secrets/${name}`;

  it('are written, in versions, and never read', async () => {
    const first = await mailroom.call('PUT', path('corpus-imap'), { body: { value } });
    expect([first.status, first.json]).toEqual([
      200,
      { name: 'corpus-imap', version: expect.stringMatching(/^[0-9a-f]{32}$/), expiresAt: null },
    ]);
    const expiresAt = '2031-02-03T04:05:06+01:00';
    const second = await mailroom.expect(200, 'PUT', path('corpus-imap'), { body: { value, expiresAt } });
    expect(second.json.version).not.toBe(first.json.version);
    expect(second.json.expiresAt).toBe('2031-02-03T03:05:06.000Z');

    const store = {
      protocol: 'imaps',
      host: 'mail.example.com',
      auth: { type: 'password', user: 'corpus', secret: 'corpus-imap' },
    };
    const body = { from: 'corpus@example.com', store };
    const account = await mailroom.expect(201, 'PUT', `${accounts}/corpus`, { body });
    expect(account.json.warnings).toEqual([]);
    const status = await mailroom.expect(200, 'GET', `${accounts}/corpus/status`);
    expect(status.json.secrets).toEqual([{ name: 'corpus-imap', state: 'ok', expiresAt: '2031-02-03T03:05:06.000Z' }]);

    // Neither answers nor the log nor any table hold it.
    const seen = [first, second, account, status].map(({ bytes }) => bytes.toString()).join();
    const { connectionString } = mailroom.azurite;
    const rows: string[] = [];
    const tables = TableServiceClient.fromConnectionString(connectionString, { allowInsecureConnection: true });
    for await (const { name = '' } of tables.listTables()) {
      const table = TableClient.fromConnectionString(connectionString, name, { allowInsecureConnection: true });
      for await (const row of table.listEntities()) rows.push(JSON.stringify(row));
    }
    expect(rows.length).toBeGreaterThan(0);
    expect(`${seen}${rows.join()}${await mailroom.log()}`).not.toContain('Geheimnis-47');
  });

  it('may come before the account that names them', async () => {
    await mailroom.expect(200, 'PUT', path('early-x', 'early'), { body: { value: 'x' } });
  });

  it.each(['other-imap', 'corpus', 'corpus-', 'corpus-a_b', 'corpus-a.b', `corpus-${'x'.repeat(121)}`, 'Corpus-x'])(
    'the name %s is refused',
    async (name) => {
      expect(problem(await mailroom.call('PUT', path(name), { body: { value: 'x' } }), 400).pointers).toEqual(['']);
    },
  );

  it('of an account are not open to one whose name begins with its name', async () => {
    problem(await mailroom.call('PUT', path('corpus-imap', 'corpus-two'), { body: { value: 'x' } }), 400);
  });

  it('every mistake is told at once', async () => {
    const body = { value: '', expiresAt: 'tomorrow', more: 1 };
    const { pointers } = problem(await mailroom.call('PUT', path('other-x'), { body }), 400);
    expect(pointers).toEqual(['', '/expiresAt', '/more', '/value']);
    const long = { value: 'x'.repeat(25_001) };
    expect(problem(await mailroom.call('PUT', path('corpus-x'), { body: long }), 400).pointers).toEqual(['/value']);
    problem(await mailroom.call('PUT', path('x-y', 'X'), { body: { value: 'x' } }), 400);
  });
});

// The last one, since it takes the vault away.
describe('health without Key Vault', () => {
  it('is 503, and tells which part does not answer', async () => {
    await mailroom.keyVault.stop();
    const answer = await mailroom.call('GET', '/api/health');
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({ status: 'unhealthy', checks: { settings: 'ok', storage: 'ok' } });
    expect(answer.json.checks.keyVault).not.toBe('ok');
  });
});
