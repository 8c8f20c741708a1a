import { describe, expect, it } from 'vitest';
import { readSettings, SettingsError } from './settings.ts';

const complete = {
  MailStorage: 'UseDevelopmentStorage=true',
  KEY_VAULT_URI: 'https://vault.example.net',
  AZURE_TENANT_ID: 'tenant',
  AZURE_CLIENT_ID: 'client',
  AZURE_CLIENT_SECRET: 'hunter2',
};

describe('settings', () => {
  it('have the defaults of the contract', () => {
    expect(readSettings(complete)).toMatchObject({
      importBudgetMs: 240_000,
      outboxRetentionDays: 30,
      recordRetentionDays: 90,
      assetRetentionDays: undefined,
      storage: { kind: 'connectionString' },
      identity: { kind: 'clientSecret' },
    });
  });

  it('a managed identity goes before a client secret', () => {
    const settings = readSettings({ ...complete, IDENTITY_ENDPOINT: 'http://127.0.0.1/token' });
    expect(settings.identity).toEqual({ kind: 'managedIdentity', clientId: 'client' });
  });

  it('storage by identity needs all three services', () => {
    const { MailStorage: _, ...rest } = complete;
    const services = {
      MailStorage__blobServiceUri: 'https://a.blob.core.example',
      MailStorage__queueServiceUri: 'https://a.queue.core.example',
      MailStorage__tableServiceUri: 'https://a.table.core.example',
    };
    expect(readSettings({ ...rest, ...services, MailStorage__credential: 'managedidentity' }).storage).toMatchObject({
      kind: 'identity',
      managedIdentity: true,
    });
    const { MailStorage__tableServiceUri: __, ...two } = services;
    expect(() => readSettings({ ...rest, ...two })).toThrow(/MailStorage/);
  });

  it.each([
    [{ KEY_VAULT_URI: undefined }, /KEY_VAULT_URI is missing/],
    [{ KEY_VAULT_URI: '' }, /KEY_VAULT_URI is missing/],
    [{ KEY_VAULT_URI: 'http://vault.example.net' }, /KEY_VAULT_URI must be an https URL/],
    [{ MailStorage: undefined }, /MailStorage is missing/],
    [{ MailStorage: 'x' }, /MailStorage must be a connection string/],
    [{ AZURE_CLIENT_SECRET: undefined }, /identity is missing/],
    [{ IMPORT_BUDGET_SECONDS: 'soon' }, /IMPORT_BUDGET_SECONDS must be a number of seconds/],
    [{ RECORD_RETENTION_DAYS: '0' }, /RECORD_RETENTION_DAYS/],
    [{ IMPORT_SCHEDULE: 'soon' }, /IMPORT_SCHEDULE must be an NCRONTAB expression/],
    [{ SWEEP_SCHEDULE: '00:05:00' }, /SWEEP_SCHEDULE must be an NCRONTAB expression/],
    [{ RETENTION_SCHEDULE: '0 0 * * * * *' }, /RETENTION_SCHEDULE must be an NCRONTAB expression/],
  ])('%j is one clear line without a value', (change, line) => {
    const read = () => readSettings({ ...complete, ...change });
    expect(read).toThrow(SettingsError);
    expect(read).toThrow(line);
    expect(() => read()).not.toThrow(/\n|hunter2/);
  });

  it.each(['0 */5 * * * *', '*/5 * * * *', '0 0 3 * * Mon-Fri', '0 0,30 8-18/2 1 JAN,jul *'])(
    '%s is a schedule',
    (schedule) => {
      expect(readSettings({ ...complete, IMPORT_SCHEDULE: schedule })).toEqual(readSettings(complete));
    },
  );

  it('every mistake is named at once', () => {
    expect(() => readSettings({ IMPORT_BUDGET_SECONDS: 'x' })).toThrow(
      /KEY_VAULT_URI.*IMPORT_BUDGET_SECONDS.*MailStorage.*identity/,
    );
  });
});
