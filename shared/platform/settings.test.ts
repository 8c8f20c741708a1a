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
      retryWaitsMs: [60_000, 300_000, 900_000, 3_600_000],
      maxWaiting: undefined,
      outboxRetentionDays: 30,
      recordRetentionDays: 90,
      assetRetentionDays: undefined,
      storage: { kind: 'connectionString' },
      identity: { kind: 'clientSecret' },
    });
  });

  it('the waits between attempts are minutes', () => {
    expect(readSettings({ ...complete, RETRY_MINUTES: ' 2, 30' }).retryWaitsMs).toEqual([120_000, 1_800_000]);
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
    [{ MAIL_ALLOWED_NETWORKS: '127.0.0.0/8,localhost' }, /MAIL_ALLOWED_NETWORKS must be networks/],
    [{ MAIL_OAUTH2_HOSTS: 'https://relay' }, /MAIL_OAUTH2_HOSTS must be host names/],
    [{ RETRY_MINUTES: '1,5,' }, /RETRY_MINUTES must be 1 to 20 whole numbers of minutes, separated by commas/],
    [{ RETRY_MINUTES: '0' }, /RETRY_MINUTES must be 1 to 20 whole numbers of minutes, separated by commas/],
    [{ RETRY_MINUTES: '1,1441' }, /RETRY_MINUTES must have no wait of more than 1440 minutes/],
    [{ OUTBOX_MAX_WAITING: '0' }, /OUTBOX_MAX_WAITING must be a whole number of mails from 1 to 1000000/],
    [{ IMPORT_BUDGET_SECONDS: 'soon' }, /IMPORT_BUDGET_SECONDS must be a whole number of seconds from 10 to 540/],
    [{ IMPORT_BUDGET_SECONDS: '541' }, /IMPORT_BUDGET_SECONDS must be a whole number of seconds from 10 to 540/],
    [{ IMPORT_BUDGET_SECONDS: '10.5' }, /IMPORT_BUDGET_SECONDS must be a whole number of seconds from 10 to 540/],
    [{ IMPORT_BUDGET_SECONDS: '0x20' }, /IMPORT_BUDGET_SECONDS must be a whole number of seconds from 10 to 540/],
    [{ ASSET_RETENTION_DAYS: '1e3' }, /ASSET_RETENTION_DAYS must be a whole number of days from 1 to 36500/],
    [{ MailStorage__blobServiceUri: 'a.blob.core' }, /MailStorage__blobServiceUri must be a URL of https or http/],
    [{ MailStorage__credential: 'me' }, /MailStorage__credential must be managedidentity/],
    [{ GRAPH_ENDPOINT: 'http://graph' }, /GRAPH_ENDPOINT must be an https URL/],
    [{ AZURE_AUTHORITY_HOST: 'login' }, /AZURE_AUTHORITY_HOST must be an https URL/],
    [{ PUBLIC_URL: 'http://mail.example.com' }, /PUBLIC_URL must be an https URL/],
    [{ PUBLIC_URL: 'https://mail.example.com/?a=b' }, /PUBLIC_URL must be an https URL/],
    [{ PUBLIC_URL: 'https://u:p@mail.example.com' }, /PUBLIC_URL must be an https URL/],
    [{ PUBLIC_URL: 'http://127.0.0.1.example.com' }, /PUBLIC_URL must be an https URL/],
    [{ WEBSITE_AUTH_ENABLED: 'true' }, /WEBSITE_AUTH_ENABLED is set by the platform alone/],
    [
      { WEBSITE_AUTH_ENABLED: 'true', WEBSITE_INSTANCE_ID: 'i', APPSETTING_WEBSITE_AUTH_ENABLED: 'true' },
      /WEBSITE_AUTH_ENABLED is set by the platform alone/,
    ],
    [{ RECORD_RETENTION_DAYS: '0' }, /RECORD_RETENTION_DAYS must be a whole number of days from 1 to 36500/],
    [{ IMPORT_SCHEDULE: 'soon' }, /IMPORT_SCHEDULE must be an NCRONTAB expression/],
    [{ IMPORT_SCHEDULE: '99 * * * * *' }, /IMPORT_SCHEDULE is not an NCRONTAB expression: a value is out of range/],
    [{ SWEEP_SCHEDULE: '0 0 0 31 2 *' }, /SWEEP_SCHEDULE never comes round/],
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

  it.each([
    [{}, undefined],
    [{ WEBSITE_HOSTNAME: 'mail.azurewebsites.net' }, 'https://mail.azurewebsites.net'],
    [{ WEBSITE_HOSTNAME: 'localhost:7071' }, undefined],
    [
      { WEBSITE_HOSTNAME: 'mail.azurewebsites.net', PUBLIC_URL: 'https://gw.example.com/mail/' },
      'https://gw.example.com/mail',
    ],
    [{ PUBLIC_URL: 'http://127.0.0.1:7071' }, 'http://127.0.0.1:7071'],
  ])('with %j the app is reached at %s', (given, url) => {
    expect(readSettings({ ...complete, ...given }).publicUrl).toBe(url);
  });

  it('every mistake is named at once', () => {
    expect(() => readSettings({ IMPORT_BUDGET_SECONDS: 'x' })).toThrow(
      /KEY_VAULT_URI.*IMPORT_BUDGET_SECONDS.*MailStorage.*identity/,
    );
  });
});
