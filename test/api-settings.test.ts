import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TableClient } from '@azure/data-tables';
import { afterEach, describe, expect, it } from 'vitest';
import { startAzurite } from '../local/azurite.ts';
import { localCertificate } from '../local/certificate.ts';
import { startEntra } from '../local/entra/entra.ts';
import { startKeyVault } from '../local/key-vault/key-vault.ts';
import { freePort } from '../local/ports.ts';
import { Mailroom } from './support/mailroom.ts';
import { principal } from './support/principal.ts';
import { problem } from './support/problem.ts';
import { asksNothing, documentedRoutes, registeredRoutes } from './support/routes.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(env: Readonly<Record<string, string | undefined>>): Promise<Mailroom> {
  const port = await freePort();
  const own = { PORT: String(port), WEBSITE_HOSTNAME: `127.0.0.1:${port}` };
  const mailroom = await Mailroom.start({ env: { ...own, ...env } });
  cleanups.push(() => mailroom.stop());
  return mailroom;
}

it('missing and wrong settings are one clear line at start, and health says so', async () => {
  const wrong = {
    KEY_VAULT_URI: undefined,
    IMPORT_BUDGET_SECONDS: 'soon',
    OUTBOX_RETENTION_DAYS: '0',
    SWEEP_SCHEDULE: '99 0 3 * * *',
    MAIL_ALLOWED_NETWORKS: '10.0.0.1',
  };
  const mailroom = await started(wrong);
  const reported = () => mailroom.log().then((log) => log.split('\n').filter((line) => line.includes('app.settings')));
  await expect.poll(reported).toHaveLength(1);
  const [line = ''] = await reported();
  for (const mistake of [
    'KEY_VAULT_URI is missing',
    'IMPORT_BUDGET_SECONDS must be a whole number of seconds from 10 to 540',
    'OUTBOX_RETENTION_DAYS must be a whole number of days from 1 to 36500',
    'SWEEP_SCHEDULE is not an NCRONTAB expression: a value is out of range',
    'MAIL_ALLOWED_NETWORKS must be networks such as',
  ]) {
    expect(line).toContain(mistake);
  }
  expect(line).not.toContain('soon');

  const bare = await mailroom.call('GET', '/api/health', { key: null });
  expect([bare.status, bare.json]).toEqual([503, { status: 'unhealthy' }]);
  const detail = await mailroom.call('GET', '/api/health');
  expect([detail.status, detail.json]).toEqual([
    503,
    { status: 'unhealthy', checks: { settings: expect.stringContaining('KEY_VAULT_URI is missing') } },
  ]);
  for (const { name, method, path } of await registeredRoutes(mailroom)) {
    if (asksNothing(name)) continue;
    const refused = await mailroom.call(method, path, { body: method === 'GET' ? undefined : {} });
    problem(refused, 503);
    expect(refused.bytes.toString()).not.toContain('KEY_VAULT');
    const { reference } = refused.json;
    const found = async () => (await mailroom.log()).split('\n').filter((line) => line.includes(reference));
    await expect.poll(async () => (await found()).join('\n')).toContain('KEY_VAULT_URI is missing');
  }
});

it("a sign-in that is not the platform's makes nobody an administrator", async () => {
  const mailroom = await started({ WEBSITE_AUTH_ENABLED: 'True' });
  const forged = { key: null, headers: principal('Mailroom.Admin') };
  expect((await mailroom.call('GET', '/api/accounts', forged)).status).toBe(401);
  problem(await mailroom.call('GET', '/api/accounts', { headers: principal('Mailroom.Admin') }), 503);
  const { json } = await mailroom.call('GET', '/api/health');
  expect(json.checks.settings).toContain('WEBSITE_AUTH_ENABLED is set by the platform alone');
});

it('with Entra sign-in in front the app roles decide', async () => {
  const mailroom = await started({ WEBSITE_AUTH_ENABLED: 'True', WEBSITE_INSTANCE_ID: 'one' });
  const needed = await documentedRoutes();
  const all = ['Mailroom.Read', 'Mailroom.Send', 'Mailroom.Admin'];
  for (const { name, method, path } of await registeredRoutes(mailroom)) {
    // Graph signs in with nobody: its notifications are told by what they hold.
    if (asksNothing(name) || name === 'POST /graph/notifications') continue;
    const role = needed.get(name) ?? '';
    expect(all, name).toContain(role);
    const body = method === 'GET' ? undefined : {};
    const nobody = await mailroom.call(method, path, { body });
    problem(nobody, 401);
    expect(nobody.headers.get('www-authenticate'), name).toBe('Bearer');
    const others = [...all.filter((other) => ![role, 'Mailroom.Admin'].includes(other)), 'Mailroom.Nothing'];
    const refused = await mailroom.call(method, path, { body, headers: principal(...others) });
    expect(problem(refused, 403).detail, name).toContain(role);
    for (const enough of new Set([role, 'Mailroom.Admin'])) {
      const { status } = await mailroom.call(method, path, { body, headers: principal(enough) });
      expect([200, 201, 400, 404], name).toContain(status);
    }
  }
  expect((await mailroom.call('GET', '/api/health', { key: null })).status).toBe(200);
});

describe('npm start', () => {
  const identity = {
    tenantId: '33333333-3333-4333-8333-333333333333',
    clientId: '44444444-4444-4444-8444-444444444444',
    secret: 'given-client-secret',
  };

  function run(env: Readonly<Record<string, string>>): { child: ChildProcess; output: () => string } {
    const start = fileURLToPath(new URL('../local/start.ts', import.meta.url));
    const child = spawn(process.execPath, [start], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const ended = once(child, 'exit');
    cleanups.push(async () => {
      child.kill('SIGTERM');
      await ended;
    });
    return { child, output: () => output };
  }

  it('takes the settings it is given, and starts no part of its own for them', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'given-'));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    const certificate = await localCertificate(join(directory, 'certificate'));
    const azurite = await startAzurite();
    cleanups.push(() => azurite.stop());
    const entra = await startEntra({ certificate, apps: [identity] });
    cleanups.push(() => entra.stop());
    const vault = { certificate, authority: entra, tenantId: identity.tenantId, file: join(directory, 'vault.json') };
    const keyVault = await startKeyVault(vault);
    cleanups.push(() => keyVault.stop());
    const port = String(await freePort());
    const { output } = run({
      PORT: port,
      LOCAL_DATA_DIR: join(directory, 'data'),
      LOCAL_FUNCTION_KEY: 'given-function-key',
      LOCAL_MASTER_KEY: 'given-master-key',
      AzureWebJobsStorage: azurite.connectionString,
      MailStorage: azurite.connectionString,
      KEY_VAULT_URI: keyVault.uri,
      AZURE_AUTHORITY_HOST: entra.authorityHost,
      AZURE_TENANT_ID: identity.tenantId,
      AZURE_CLIENT_ID: identity.clientId,
      AZURE_CLIENT_SECRET: identity.secret,
      NODE_EXTRA_CA_CERTS: certificate.caFile,
    });
    await expect.poll(output).toContain(`Mailroom ready on http://127.0.0.1:${port}`);
    expect(output()).not.toMatch(/^(Azurite|Entra ID stand-in|Key Vault stand-in): /m);
    expect(output()).not.toMatch(/given-(function|master)-key|given-client-secret/);

    const put = (path: string, body: unknown) =>
      fetch(`http://127.0.0.1:${port}/api/accounts/given${path}`, {
        method: 'PUT',
        headers: { 'x-functions-key': 'given-function-key', 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await put('/secrets/given-x', { value: 'in the given vault' })).status).toBe(200);
    expect((await put('', { from: 'given@example.com', import: { schedule: null } })).status).toBe(201);
    expect(await readFile(vault.file, 'utf8')).toContain('in the given vault');
    const options = { allowInsecureConnection: true };
    const table = TableClient.fromConnectionString(azurite.connectionString, 'accounts', options);
    expect((await table.getEntity('accounts', 'given')).rowKey).toBe('given');
  });
});
