import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientSecretCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeCertificate } from '../certificate.ts';
import { type Entra, startEntra } from '../entra/entra.ts';
import { type KeyVault, startKeyVault } from './key-vault.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const clientId = '22222222-2222-4222-8222-222222222222';
const certificate = await makeCertificate();
const tls = { tlsOptions: { ca: certificate.ca } };
let entra: Entra;
let directory: string;
let file: string;
let vault: KeyVault;
let client: SecretClient;

beforeAll(async () => {
  entra = await startEntra({ certificate, apps: [{ tenantId, clientId, secret: 'right' }] });
});

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'key-vault-'));
  file = join(directory, 'vault.json');
  vault = await startKeyVault({ certificate, authority: entra, tenantId, file });
  client = secretClient(vault.uri, credential());
});

afterEach(async () => {
  await vault.stop();
  await rm(directory, { recursive: true });
});

afterAll(() => entra.stop());

function credential(): ClientSecretCredential {
  const options = { authorityHost: entra.authorityHost, disableInstanceDiscovery: true, ...tls };
  return new ClientSecretCredential(tenantId, clientId, 'right', options);
}

function secretClient(uri: string, tokens: ConstructorParameters<typeof SecretClient>[1]): SecretClient {
  const options = { disableChallengeResourceVerification: true, retryOptions: { maxRetries: 0 }, ...tls };
  return new SecretClient(uri, tokens, options);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test('a secret has versions, and the newest is the one without a version', async () => {
  const expiresOn = new Date(Math.floor(Date.now() / 1000) * 1000 - 60_000);
  const first = await client.setSecret('corpus-smtp', 'one', { contentType: 'text/plain', tags: { a: 'b' } });
  const second = await client.setSecret('corpus-smtp', 'two', { expiresOn });
  expect(second.properties.version).not.toBe(first.properties.version);

  const newest = await client.getSecret('CORPUS-smtp');
  expect(newest.value).toBe('two');
  // Expired, and given out all the same.
  expect(newest.properties.expiresOn).toEqual(expiresOn);
  const version = first.properties.version ?? '';
  const old = await client.getSecret('corpus-smtp', { version });
  expect([old.value, old.properties.contentType, old.properties.tags]).toEqual(['one', 'text/plain', { a: 'b' }]);

  const versions = await all(client.listPropertiesOfSecretVersions('corpus-smtp'));
  expect(versions.map((one) => one.version)).toEqual([version, second.properties.version]);
  expect(versions[0]?.createdOn).toBeInstanceOf(Date);
});

test('a disabled secret is not given out until it is enabled again', async () => {
  const { properties } = await client.setSecret('a', 'value');
  const version = properties.version ?? '';
  await client.updateSecretProperties('a', version, { enabled: false });
  await expect(client.getSecret('a')).rejects.toMatchObject({ statusCode: 403, code: 'Forbidden' });
  await client.updateSecretProperties('a', version, { enabled: true });
  expect((await client.getSecret('a')).value).toBe('value');
});

test('a deleted secret keeps its name, comes back when recovered, and is gone when purged', async () => {
  await client.setSecret('a', 'value');
  const deleted = await (await client.beginDeleteSecret('a', { intervalInMs: 20 })).pollUntilDone();
  expect(deleted.deletedOn).toBeInstanceOf(Date);
  await expect(client.getSecret('a')).rejects.toMatchObject({ statusCode: 404, code: 'SecretNotFound' });
  await expect(client.setSecret('a', 'other')).rejects.toMatchObject({ statusCode: 409 });
  expect((await all(client.listDeletedSecrets())).map((one) => one.name)).toEqual(['a']);

  await (await client.beginRecoverDeletedSecret('a', { intervalInMs: 20 })).pollUntilDone();
  expect((await client.getSecret('a')).value).toBe('value');

  await (await client.beginDeleteSecret('a', { intervalInMs: 20 })).pollUntilDone();
  await client.purgeDeletedSecret('a');
  expect((await client.setSecret('a', 'other')).value).toBe('other');
});

test('lists are paged', async () => {
  const names = Array.from({ length: 30 }, (_, n) => `s${String(n).padStart(2, '0')}`);
  for (const name of names) await client.setSecret(name, 'x');
  expect((await all(client.listPropertiesOfSecrets())).map((one) => one.name)).toEqual(names);
});

test('secrets survive a restart, in a file that only its owner may read', async () => {
  await client.setSecret('a', 'value');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await vault.stop();
  vault = await startKeyVault({ certificate, authority: entra, tenantId, file });
  expect((await secretClient(vault.uri, credential()).getSecret('a')).value).toBe('value');
});

test('a value of 25 KB is taken, a longer one and a wrong name are refused', async () => {
  await client.setSecret('a', 'x'.repeat(25_600));
  const refused = { statusCode: 400, code: 'BadParameter' };
  await expect(client.setSecret('a', 'x'.repeat(25_601))).rejects.toMatchObject(refused);
  await expect(client.setSecret('a_b', 'x')).rejects.toMatchObject(refused);
});

test('a token for another resource, a forged one and an expired one are refused', async () => {
  const foreign = await credential().getToken('https://graph.microsoft.com/.default');
  const forger = await startEntra({ certificate, apps: [{ tenantId, clientId, secret: 'right' }] });
  const hasty = await startEntra({ certificate, apps: [{ tenantId, clientId, secret: 'right' }], tokenLifetime: -600 });
  try {
    const tokenOf = async (authority: Entra) => {
      const options = { authorityHost: authority.authorityHost, disableInstanceDiscovery: true, ...tls };
      const from = new ClientSecretCredential(tenantId, clientId, 'right', options);
      return from.getToken('https://vault.azure.net/.default');
    };
    for (const token of [foreign, await tokenOf(forger)]) {
      const other = secretClient(vault.uri, { getToken: async () => token });
      await expect(other.getSecret('a')).rejects.toMatchObject({ statusCode: 401 });
    }
    const trusting = await startKeyVault({ certificate, authority: hasty, tenantId });
    try {
      const { token } = await tokenOf(hasty);
      expect((await get(`${trusting.uri}/secrets/a?api-version=7.6`, token)).status).toBe(401);
    } finally {
      await trusting.stop();
    }
  } finally {
    await forger.stop();
    await hasty.stop();
  }
});

test('without a token it answers the challenge, without api-version a bad request', async () => {
  const { status, challenge } = await get(`${vault.uri}/secrets/a?api-version=7.6`);
  expect(status).toBe(401);
  expect(challenge).toBe(
    `Bearer authorization="${entra.authorityHost}/${tenantId}", resource="https://vault.azure.net"`,
  );
  const { token } = await credential().getToken('https://vault.azure.net/.default');
  expect((await get(`${vault.uri}/secrets/a`, token)).status).toBe(400);
});

function get(url: string, token?: string): Promise<{ status: number | undefined; challenge: string | undefined }> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const sent = request(url, { ca: certificate.ca, headers }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve({ status: response.statusCode, challenge: response.headers['www-authenticate'] }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}
