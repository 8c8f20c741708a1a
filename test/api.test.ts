import { TableClient, TableServiceClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../local/ports.ts';
import { Mailroom, singleFunctionKeys } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { documentedRoutes, registeredRoutes } from './support/routes.ts';

let mailroom: Mailroom;

beforeAll(async () => {
  const port = await freePort();
  // The platform gives every app its own name; without it the app does not know where to ask for a key.
  mailroom = await Mailroom.start({ env: { PORT: String(port), WEBSITE_HOSTNAME: `127.0.0.1:${port}` } });
});

afterAll(() => mailroom?.stop());

const accounts = '/api/accounts';

describe('who may call', () => {
  const id = 'corpus.0000000000000000000000';

  it('every route but the health, the description, the console and that of Graph needs a key', async () => {
    const routes = await registeredRoutes(mailroom);
    const open = routes.filter(({ authLevel }) => authLevel === 'anonymous').map(({ name }) => name);
    const description = ['GET /docs', 'GET /docs/page.css', 'GET /docs/page.js', 'GET /openapi.json'];
    const pages = ['GET /console', 'GET /console/{path}'];
    expect([...open].sort()).toEqual([...pages, ...description, 'GET /health', 'POST /graph/notifications'].sort());
    for (const { name, method, path } of routes.filter(({ authLevel }) => authLevel !== 'anonymous')) {
      for (const key of [null, 'wrong-key']) {
        const answer = await mailroom.call(method, path, { key });
        expect([answer.status, answer.bytes.length], name).toEqual([401, 0]);
      }
    }
  });

  it.each(Object.entries(singleFunctionKeys))('the key of %s opens that function alone', async (name, key) => {
    const own = {
      'account-put': 'PUT /accounts/{account}',
      'account-messages-send': 'POST /accounts/{account}/messages',
      'account-patch': 'PATCH /accounts/{account}',
      'account-verify': 'POST /accounts/{account}/verify',
      'accounts-list': 'GET /accounts',
    }[name];
    const opened: string[] = [];
    for (const route of await registeredRoutes(mailroom)) {
      if (route.authLevel === 'anonymous') continue;
      const { status } = await mailroom.call(route.method, route.path, { key });
      if (status !== 401) opened.push(route.name);
    }
    expect(opened).toEqual([own]);
  });

  it('docs/http.md has every route, and none that is not there', async () => {
    const routes = await registeredRoutes(mailroom);
    expect([...(await documentedRoutes()).keys()].sort()).toEqual(routes.map(({ name }) => name).sort());
  });

  it('takes nobody for signed in by a header, where no sign-in is in front', async () => {
    const claims = [{ typ: 'roles', val: 'Mailroom.Admin' }];
    const headers = { 'x-ms-client-principal': Buffer.from(JSON.stringify({ claims })).toString('base64') };
    expect((await mailroom.call('GET', accounts, { headers, key: null })).status).toBe(401);
    headers['x-ms-client-principal'] = Buffer.from(JSON.stringify({ claims: [] })).toString('base64');
    expect((await mailroom.call('GET', accounts, { headers })).status).toBe(200);
  });

  it.each(['code=test-function-key', 'CODE=test-function-key', 'code=test-function-key&clientId=dam'])(
    'takes the key in the query as well, as the host does: %s',
    async (query) => {
      await mailroom.expect(200, 'GET', `${accounts}?${query}`, { key: null });
      expect((await mailroom.call('GET', `/api/health?${query}`, { key: null })).json.checks).toBeDefined();
    },
  );

  it.each([
    ['GET', '/api', undefined],
    ['GET', '/api/nothing', undefined],
    ['GET', '/api//accounts', undefined],
    ['GET', `/api/assets/${id}/attachments/first`, undefined],
    ['GET', '/api/accounts/corpus/secrets', undefined],
    ['DELETE', '/api/accounts', 'GET'],
    ['PUT', '/api/messages', 'GET, POST'],
    ['GET', '/api/accounts/corpus/secrets/corpus-imap', 'PUT'],
    ['GET', '/api/accounts/corpus/import', 'POST'],
    ['POST', '/api/assets', 'GET'],
    ['DELETE', '/api/health', 'GET'],
    ['POST', '/api/console', 'GET'],
    ['PUT', '/api/console/accounts/corpus', 'GET'],
  ])('%s %s is not there: a problem like any other', async (method, path, allow) => {
    for (const key of [null, 'test-function-key']) {
      const answer = await mailroom.call(method, path, { key });
      problem(answer, allow === undefined ? 404 : 405);
      expect(answer.headers.get('allow') ?? undefined).toBe(allow);
    }
  });

  it('every route refuses a parameter that it does not know', async () => {
    for (const { name, method, path } of await registeredRoutes(mailroom)) {
      // The query of a screen's address is the page's own.
      if (name === 'GET /console/{path}') continue;
      // Graph's has the same answer for whatever it is sent: nobody learns anything from it.
      if (name === 'POST /graph/notifications') continue;
      const answer = await mailroom.call(method, `${path}?acount=corpus`);
      expect([answer.status, ...problem(answer, 400).pointers], name).toEqual([400, '/acount']);
    }
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
    const checks = { settings: 'ok', storage: 'ok', keyVault: 'ok', timers: 'ok' };
    const detail = { status: 'healthy', checks, timers: expect.any(Object), endingSecrets: [] };
    expect((await mailroom.call('GET', '/api/health')).json).toEqual(detail);
    expect((await mailroom.call('GET', '/api/health?code=test-function-key', { key: null })).json).toEqual(detail);
  });

  it('asks Key Vault once for the many who ask without a key', { timeout: 180_000 }, async () => {
    const before = mailroom.keyVault.calls();
    for (let round = 0; round < 10; round += 1) {
      const asked = Array.from({ length: 20 }, () => mailroom.call('GET', '/api/health', { key: null }));
      for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
    }
    // One answer serves five seconds; the machine may be slow.
    expect(mailroom.keyVault.calls() - before).toBeLessThanOrEqual(20);
  });
});

describe('timers', () => {
  it.each(['import-schedule', 'outbox-recovery', 'outbox-release', 'retention', 'sweep'] as const)(
    '%s can be fired by hand, with the master key',
    async (timer) => {
      const path = `/admin/functions/${timer}`;
      const asked = async (key: string | null) => (await mailroom.call('POST', path, { body: {}, key })).status;
      expect([await asked('test-function-key'), await asked(null)]).toEqual([403, 401]);
      await mailroom.fire(timer);
      await expect.poll(() => mailroom.log()).toMatch(new RegExp(`Executed 'Functions.${timer}' \\(Succeeded`));
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
    const bare = { from: 'corpus@example.com' };
    await mailroom.expect(201, 'PUT', `${accounts}/corpus`, { body: bare });
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
    const account = await mailroom.expect(200, 'PUT', `${accounts}/corpus`, { body });
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

  it('may come before their account', async () => {
    await mailroom.expect(200, 'PUT', path('early-x', 'early'), { body: { value: 'x' } });
  });

  it.each(['other-imap', 'corpus', 'corpus-', 'corpus-a_b', 'corpus-a.b', `corpus-${'x'.repeat(121)}`])(
    'the name %s is refused',
    async (name) => {
      expect(problem(await mailroom.call('PUT', path(name), { body: { value: 'x' } }), 400).pointers).toEqual(['']);
    },
  );

  it('of an account are not open to one whose name begins with its name', async () => {
    problem(await mailroom.call('PUT', path('corpus-imap', 'corpus-two'), { body: { value: 'x' } }), 400);
  });

  it('every mistake is reported at once', async () => {
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
  it('is 503, and says which part does not answer', async () => {
    await mailroom.keyVault.stop();
    const answer = await mailroom.call('GET', '/api/health');
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({ status: 'unhealthy', checks: { settings: 'ok', storage: 'ok' } });
    expect(answer.json.checks.keyVault).not.toBe('ok');
  });
});
