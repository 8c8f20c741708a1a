import { expect, test } from 'vitest';
import { functionsEnvironment, localIdentity, neededParts, registeredIdentity, whyNoGraph } from './laptop-settings.ts';

const parts = {
  connectionString: 'local',
  authorityHost: 'https://localhost:1',
  keyVaultUri: 'https://localhost:2',
  graphEndpoint: 'https://localhost:3',
  publicUrl: 'http://127.0.0.1:7071',
  caFile: 'ca.pem',
  functionKey: 'f',
  masterKey: 'm',
  clientSecret: 's',
};

test('without settings every part is needed, and its setting made', () => {
  const env = { PATH: '/bin', KEY_VAULT_URI: '' };
  expect(neededParts(env)).toEqual({ azurite: true, entra: true, keyVault: true, graph: true });
  expect(whyNoGraph(env)).toBeUndefined();
  expect(functionsEnvironment(env, parts)).toEqual({
    PATH: '/bin',
    MailStorage: 'local',
    AzureWebJobsStorage: 'local',
    KEY_VAULT_URI: 'https://localhost:2',
    AZURE_AUTHORITY_HOST: 'https://localhost:1',
    GRAPH_ENDPOINT: 'https://localhost:3',
    PUBLIC_URL: 'http://127.0.0.1:7071',
    AZURE_TENANT_ID: localIdentity.tenantId,
    AZURE_CLIENT_ID: localIdentity.clientId,
    AZURE_CLIENT_SECRET: 's',
    NODE_EXTRA_CA_CERTS: 'ca.pem',
    IMPORT_SCHEDULE: '0 * * * * *',
    RETENTION_SCHEDULE: '0 0 * * * *',
    SWEEP_SCHEDULE: '0 0 3 * * *',
    LOCAL_FUNCTION_KEY: 'f',
    LOCAL_MASTER_KEY: 'm',
    MAIL_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128',
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '167772160',
    NODE_OPTIONS: '--max-http-header-size=65536',
  });
});

test('a setting that is given is kept, and its part not started', () => {
  const env = {
    MailStorage__blobServiceUri: 'https://mail.blob.core.windows.net',
    AzureWebJobsStorage: 'given',
    AZURE_AUTHORITY_HOST: 'https://login.example.com',
    IMPORT_SCHEDULE: '*/10 * * * * *',
  };
  expect(neededParts(env)).toEqual({ azurite: false, entra: false, keyVault: true, graph: false });
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

test('Graph is started only beside Entra ID, and not where it is given; the reason is reported', () => {
  const given = { GRAPH_ENDPOINT: 'https://graph.example.com' };
  expect(neededParts(given)).toMatchObject({ entra: true, graph: false });
  expect(whyNoGraph(given)).toMatch(/GRAPH_ENDPOINT is given/);
  expect(functionsEnvironment(given, { ...parts, graphEndpoint: undefined })).toMatchObject(given);

  const authority = { AZURE_AUTHORITY_HOST: 'https://login.example.com' };
  expect(neededParts(authority)).toMatchObject({ entra: false, graph: false });
  expect(whyNoGraph(authority)).toMatch(/given: AZURE_AUTHORITY_HOST/);
  const cloud = {
    KEY_VAULT_URI: 'https://v.vault.azure.net',
    AZURE_TENANT_ID: 't',
    AZURE_CLIENT_ID: 'c',
    AZURE_CLIENT_SECRET: 'given',
  };
  expect(neededParts(cloud)).toMatchObject({ entra: false, graph: false });
  expect(whyNoGraph(cloud)).toMatch(/given: a vault/);
  expect(functionsEnvironment(cloud, { functionKey: 'f', masterKey: 'm', clientSecret: 's' }).GRAPH_ENDPOINT).toBe(
    undefined,
  );
});
