import { expect, test } from 'vitest';
import { functionsEnvironment, localIdentity, neededParts, registeredIdentity } from './laptop-settings.ts';

const parts = {
  connectionString: 'local',
  authorityHost: 'https://localhost:1',
  keyVaultUri: 'https://localhost:2',
  caFile: 'ca.pem',
  functionKey: 'f',
  masterKey: 'm',
  clientSecret: 's',
};

test('without settings every part is needed, and its setting made', () => {
  const env = { PATH: '/bin', KEY_VAULT_URI: '' };
  expect(neededParts(env)).toEqual({ azurite: true, entra: true, keyVault: true });
  expect(functionsEnvironment(env, parts)).toEqual({
    PATH: '/bin',
    MailStorage: 'local',
    AzureWebJobsStorage: 'local',
    KEY_VAULT_URI: 'https://localhost:2',
    AZURE_AUTHORITY_HOST: 'https://localhost:1',
    AZURE_TENANT_ID: localIdentity.tenantId,
    AZURE_CLIENT_ID: localIdentity.clientId,
    AZURE_CLIENT_SECRET: 's',
    NODE_EXTRA_CA_CERTS: 'ca.pem',
    IMPORT_SCHEDULE: '0 * * * * *',
    RETENTION_SCHEDULE: '0 0 * * * *',
    SWEEP_SCHEDULE: '0 0 3 * * *',
    LOCAL_FUNCTION_KEY: 'f',
    LOCAL_MASTER_KEY: 'm',
  });
});

test('a setting that is given is kept, and its part not started', () => {
  const env = {
    MailStorage__blobServiceUri: 'https://mail.blob.core.windows.net',
    AzureWebJobsStorage: 'given',
    AZURE_AUTHORITY_HOST: 'https://login.example.com',
    IMPORT_SCHEDULE: '*/10 * * * * *',
  };
  expect(neededParts(env)).toEqual({ azurite: false, entra: false, keyVault: true });
  const made = functionsEnvironment(env, { functionKey: 'f', masterKey: 'm', clientSecret: 's' });
  expect(made).toMatchObject(env);
  expect(made).not.toHaveProperty('MailStorage');
  expect(neededParts({ MailStorage: 'only one' })).toMatchObject({ azurite: true });
});

test('a vault with an identity of its own belongs to the real Entra ID', () => {
  const identity = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_CLIENT_SECRET: 'given' };
  expect(neededParts({ KEY_VAULT_URI: 'https://v.vault.azure.net', ...identity })).toMatchObject({ entra: false });
  expect(neededParts(identity)).toMatchObject({ entra: true, keyVault: true });
  expect(registeredIdentity(identity, 's')).toEqual({ tenantId: 't', clientId: 'c', secret: 'given' });
  expect(functionsEnvironment(identity, parts)).toMatchObject(identity);
});
