import { ClientSecretCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Entra, startEntra } from '../../local/entra/entra.ts';
import { type KeyVault, startKeyVault } from '../../local/key-vault/key-vault.ts';
import {
  serverCertificate as certificate,
  testClient,
  testSecret,
  testTenant,
  trustTestServers,
} from '../../test/support/scripted-graph.ts';
import { keyVaultSecrets } from './key-vault.ts';
import { SecretMissing, type SecretStore } from './secret-store.ts';

let entra: Entra;
let vault: KeyVault;
/** Another process, or a person, who writes to the vault. */
let other: SecretClient;
let now = 0;
let secrets: SecretStore;

function credential(): ClientSecretCredential {
  const options = { authorityHost: entra.authorityHost, disableInstanceDiscovery: true };
  return new ClientSecretCredential(testTenant, testClient, testSecret, options);
}

beforeAll(async () => {
  trustTestServers();
  entra = await startEntra({
    certificate,
    apps: [{ tenantId: testTenant, clientId: testClient, secret: testSecret }],
  });
  vault = await startKeyVault({ certificate, authority: entra, tenantId: testTenant });
  other = new SecretClient(vault.uri, credential(), { disableChallengeResourceVerification: true });
});

beforeEach(() => {
  now = Date.parse('2026-11-01T00:00:00Z');
  secrets = keyVaultSecrets({ uri: vault.uri, credential: async () => credential(), clock: { now: () => now } });
});

afterAll(async () => {
  await vault.stop();
  await entra.stop();
});

it('a secret rotated by others is used by the next connection, without a restart', async () => {
  await other.setSecret('corpus-smtp', 'old');
  expect(await secrets.get('corpus-smtp')).toBe('old');
  await other.setSecret('corpus-smtp', 'new');
  // A burst of connections at the same moment asks once.
  expect(await secrets.get('corpus-smtp')).toBe('old');
  now += 5_000;
  expect(await secrets.get('corpus-smtp')).toBe('new');
});

it('one that is written here is used at once, and answered with its version', async () => {
  const first = await secrets.set('corpus-imap', 'old');
  expect(await secrets.get('corpus-imap')).toBe('old');
  const second = await secrets.set('corpus-imap', 'new', { expiresAt: new Date('2027-01-02T03:04:05Z') });
  expect(second).toEqual({
    name: 'corpus-imap',
    version: expect.stringMatching(/^[0-9a-f]{32}$/),
    expiresAt: '2027-01-02T03:04:05.000Z',
  });
  expect(second.version).not.toBe(first.version);
  expect(await secrets.get('corpus-imap')).toBe('new');
  expect(await secrets.expiry('corpus-imap')).toEqual(new Date('2027-01-02T03:04:05Z'));
});

it('tells a secret that is not there, or disabled, from one that cannot be read', async () => {
  await expect(secrets.get('corpus-none')).rejects.toThrow(SecretMissing);
  expect(await secrets.expiry('corpus-none')).toBeUndefined();
  const { properties } = await other.setSecret('corpus-off', 'value');
  expect(await secrets.get('corpus-off')).toBe('value');
  await other.updateSecretProperties('corpus-off', properties.version ?? '', { enabled: false });
  now += 5_000;
  await expect(secrets.get('corpus-off')).rejects.toThrow(SecretMissing);
});

it('lists what has an end, over pages, and nothing that is disabled', async () => {
  const expiresOn = new Date('2026-11-20T00:00:00Z');
  const names = Array.from({ length: 27 }, (_, n) => `ending-${String(n).padStart(2, '0')}`);
  await Promise.all(names.map((name) => other.setSecret(name, 'value', { expiresOn })));
  await other.setSecret('ending-off', 'value', { expiresOn, enabled: false });
  await other.setSecret('endless', 'value');
  const found: string[] = [];
  for await (const { name, expiresAt } of secrets.ends()) {
    if (expiresAt.getTime() === expiresOn.getTime()) found.push(name);
  }
  expect(found.sort()).toEqual(names);
});

it('while Key Vault is away the last value serves, for a quarter of an hour', async () => {
  const passing = await startKeyVault({ certificate, authority: entra, tenantId: testTenant });
  const here = keyVaultSecrets({ uri: passing.uri, credential: async () => credential(), clock: { now: () => now } });
  await here.set('corpus-smtp', 'value');
  expect(await here.get('corpus-smtp')).toBe('value');
  await passing.stop();
  now += 15 * 60_000 - 1;
  expect(await here.get('corpus-smtp')).toBe('value');
  now += 1;
  await expect(here.get('corpus-smtp')).rejects.toThrow(/ECONNREFUSED/);
});
