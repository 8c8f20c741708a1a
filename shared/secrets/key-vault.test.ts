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
import { maxRecent, SecretMissing, type SecretStore } from './secret-store.ts';

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

it('distinguishes a secret that is not there, or disabled, from one that cannot be read', async () => {
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
  for await (const { name, expiresAt } of secrets.withExpiry()) {
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

it('keeps tags of a version, and replaces them where it may', async () => {
  await secrets.set('corpus-tagged', 'value', { tags: { account: 'corpus', own: 'x' } });
  expect((await secrets.read('CORPUS-tagged')).tags).toEqual({ account: 'corpus', own: 'x' });
  expect(await secrets.tag('corpus-tagged', { account: 'corpus', kind: 'password' })).toBe(true);
  expect(await secrets.read('corpus-tagged')).toEqual({
    value: 'value',
    tags: { account: 'corpus', kind: 'password' },
  });
  vault.refuse('update', 'rbac');
  expect(await secrets.tag('corpus-tagged', {})).toBe(false);
  vault.refuse('update', undefined);
  expect((await secrets.read('corpus-tagged')).tags).toEqual({ account: 'corpus', kind: 'password' });
});

it('recovers a name that was deleted, and then writes to it', async () => {
  await secrets.set('corpus-gone', 'old', { tags: { account: 'corpus' } });
  expect(await secrets.remove('corpus-gone')).toBe(true);
  await expect(secrets.get('corpus-gone')).rejects.toThrow(SecretMissing);
  expect(await secrets.remove('corpus-gone')).toBe(false);
  expect(await secrets.deleted('corpus-gone')).toMatchObject({ tags: { account: 'corpus' } });
  await secrets.set('corpus-gone', 'new');
  expect(await secrets.get('corpus-gone')).toBe('new');
  expect(await secrets.deleted('corpus-gone')).toBeUndefined();
});

it('says why where it may not recover it', async () => {
  await secrets.set('corpus-stays', 'old');
  await secrets.remove('corpus-stays');
  vault.refuse('recover', 'rbac');
  const refused = secrets.set('corpus-stays', 'hidden value');
  await expect(refused).rejects.toMatchObject({
    reason: 'conflict',
    message: expect.stringMatching(/deleted secret has the name corpus-stays.*Recover or purge/),
  });
  await expect(refused).rejects.not.toThrow(/hidden value/);
  vault.refuse('recover', undefined);
});

it.each([
  ['rbac', 'unavailable', /may not write secrets.*Key Vault Secrets Officer/],
  ['firewall', 'unavailable', /firewall/],
  ['throttled', 'unavailable', /too much/],
  ['beingDeleted', 'conflict', /just deleting or recovering/],
  ['beingRecovered', 'conflict', /just deleting or recovering/],
] as const)('explains a write that is refused: %s', async (refusal, reason, message) => {
  vault.refuse('set', refusal);
  try {
    const refused = secrets.set('corpus-refused', 'hidden value');
    await expect(refused).rejects.toMatchObject({ reason, message: expect.stringMatching(message) });
  } finally {
    vault.refuse('set', undefined);
  }
});

it('explains a vault that is away, and a value that it does not take', async () => {
  const passing = await startKeyVault({ certificate, authority: entra, tenantId: testTenant });
  const here = keyVaultSecrets({ uri: passing.uri, credential: async () => credential(), clock: { now: () => now } });
  await expect(here.set('corpus-long', 'x'.repeat(26_000))).rejects.toMatchObject({
    reason: 'conflict',
    message: expect.stringContaining('too long'),
  });
  await passing.stop();
  await expect(here.set('corpus-smtp', 'value')).rejects.toMatchObject({
    reason: 'unavailable',
    message: expect.stringContaining('could not be reached'),
  });
});

it('of a rotated secret, the versions that were current at an instant are read, the newest first', async () => {
  const values = async (since: number, from = secrets) =>
    (await from.recent('corpus-hook', since)).map(({ value }) => value);
  const clock = { now: () => Date.now() };
  const reader = () => keyVaultSecrets({ uri: vault.uri, credential: async () => credential(), clock });
  await other.setSecret('corpus-hook', 'first');
  const hourAgo = Date.now() - 3_600_000;
  expect(await values(hourAgo, reader())).toEqual(['first']);
  await other.setSecret('corpus-hook', 'second');
  expect(await values(hourAgo, reader())).toEqual(['second', 'first']);
  // Of an hour to come, only the newest one will have been current.
  expect(await values(Date.now() + 3_600_000, reader())).toEqual(['second']);
});

it('of a rotated secret, a version that was disabled is not given out, and many are not endless', async () => {
  const clock = { now: () => Date.now() };
  const reader = () => keyVaultSecrets({ uri: vault.uri, credential: async () => credential(), clock });
  const leaked = await other.setSecret('corpus-leaked', 'leaked');
  await other.setSecret('corpus-leaked', 'kept');
  await other.updateSecretProperties('corpus-leaked', leaked.properties.version ?? '', { enabled: false });
  expect((await reader().recent('corpus-leaked', 0)).map(({ value }) => value)).toEqual(['kept']);
  for (let n = 0; n < 8; n += 1) await other.setSecret('corpus-many', `version ${n}`);
  const many = await reader().recent('corpus-many', 0);
  expect(many).toHaveLength(maxRecent);
  expect(many[0]?.value).toBe('version 7');
  await expect(reader().recent('corpus-none', 0)).rejects.toThrow(SecretMissing);
});
