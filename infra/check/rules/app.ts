import { readSettings, SettingsError } from '../../../shared/platform/settings.ts';
import { hostSettings, onlyWhenGiven } from '../expected.ts';
import { isObject } from '../read/functions.ts';
import { only } from './always.ts';
import { at, differences, isMailStorage, ofType, type Rule, type Subject } from './subject.ts';

/** Microsoft: "Flex Consumption plan deprecations": refused or ignored there. */
const refusedByFlex =
  /^(FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_WORKER_PROCESS_COUNT|FUNCTIONS_MAX_HTTP_CONCURRENCY|WEBSITE_.*|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD|linuxFxVersion)$/;

/** Ready-made mail of 150 MiB, and room for what is around it. */
const requestBytes = 160 * 1024 * 1024;

/** Keys, passwords, signatures and private keys; nothing that a setting holds looks like one. */
const secretValue = /AccountKey=|SharedAccess|[?&;]sig=|password|BEGIN [A-Z ]*PRIVATE KEY|listKeys/i;

function settingsOf(subject: Subject): Readonly<Record<string, string>> | undefined {
  const resource = ofType(subject, 'Microsoft.Web/sites/config').find(({ name }) => name === 'appsettings');
  const values = resource && at(resource, 'properties');
  if (!isObject(values)) return undefined;
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

/** Every setting that is read is set, and no other. */
export const settingsOfApp: Rule = function* (subject) {
  const settings = settingsOf(subject);
  if (!settings) {
    yield 'The app has no settings';
    return;
  }
  const { expected, everything } = subject;
  const own = expected.settings.filter((name) => everything || !onlyWhenGiven.includes(name));
  yield* differences('Settings', Object.keys(settings), [...hostSettings, ...own]);
  for (const [name, value] of Object.entries(settings)) {
    if (refusedByFlex.test(name)) yield `Settings: Flex Consumption does not take ${name}`;
    if (secretValue.test(value)) yield `Settings: ${name} holds a secret`;
  }
  for (const [name, schedule] of Object.entries(expected.schedules)) {
    if (settings[name] !== schedule) yield `Settings: ${name} is ${settings[name]}, by the code ${schedule}`;
  }
};

/** What the host reads: its own storage, opened by the app's identity, telemetry by the same, and mail of 150 MiB. */
export const settingsOfHost: Rule = function* (subject) {
  const settings = settingsOf(subject) ?? {};
  const identity = only(subject, 'Microsoft.ManagedIdentity/userAssignedIdentities');
  const host = ofType(subject, 'Microsoft.Storage/storageAccounts').find(({ id }) => !isMailStorage(id));
  const clientId = `⟨${identity?.id}⟩.properties.clientId`;
  const where = (service: string) => `https://${host?.name}.${service}.core.windows.net`;
  const wanted: Readonly<Record<string, string>> = {
    AzureWebJobsStorage__credential: 'managedidentity',
    AzureWebJobsStorage__clientId: clientId,
    AzureWebJobsStorage__blobServiceUri: where('blob'),
    AzureWebJobsStorage__queueServiceUri: where('queue'),
    AzureWebJobsStorage__tableServiceUri: where('table'),
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `ClientId=${clientId};Authorization=AAD`,
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(requestBytes),
    NODE_OPTIONS: '--max-http-header-size=65536',
  };
  for (const [name, value] of Object.entries(wanted)) {
    if (name in settings && settings[name] !== value) yield `Settings: ${name} is ${settings[name]}, not ${value}`;
  }
};

/** The code's own reading of them: taken without a word, and, where nothing was asked for, with the code's defaults. */
export const settingsAreTaken: Rule = function* (subject) {
  const settings = settingsOf(subject) ?? {};
  const identity = only(subject, 'Microsoft.ManagedIdentity/userAssignedIdentities');
  const mail = ofType(subject, 'Microsoft.Storage/storageAccounts').find(({ id }) => isMailStorage(id));
  const vault = only(subject, 'Microsoft.KeyVault/vaults');
  try {
    // Known to Azure alone: it holds the region's own name.
    const topic = settings.EVENT_GRID_TOPIC_ENDPOINT && {
      EVENT_GRID_TOPIC_ENDPOINT: 'https://topic.example/api/events',
    };
    const read = readSettings({ ...settings, ...topic, IDENTITY_ENDPOINT: 'http://localhost' });
    const clientId = `⟨${identity?.id}⟩.properties.clientId`;
    const where = (service: string) => `https://${mail?.name}.${service}.core.windows.net`;
    const wanted = {
      storage: {
        kind: 'identity',
        blob: where('blob'),
        queue: where('queue'),
        table: where('table'),
        clientId,
        managedIdentity: true,
      },
      identity: { kind: 'managedIdentity', clientId },
      keyVaultUri: `https://${vault?.name}.vault.azure.net`,
    };
    for (const [name, value] of Object.entries(wanted)) {
      const is = read[name as keyof typeof wanted];
      if (JSON.stringify(is) !== JSON.stringify(value))
        yield `Settings: the code reads ${name} as ${JSON.stringify(is)}`;
    }
    if (subject.everything) return;
    const { storage, identity: who, keyVaultUri, ...rest } = read;
    const {
      storage: _s,
      identity: _i,
      keyVaultUri: _k,
      ...defaults
    } = readSettings({
      MailStorage: 'UseDevelopmentStorage=true',
      KEY_VAULT_URI: keyVaultUri,
      IDENTITY_ENDPOINT: 'http://localhost',
    });
    if (JSON.stringify(rest) !== JSON.stringify(defaults)) {
      yield `Settings: ${JSON.stringify(rest)}, where the code's own defaults are ${JSON.stringify(defaults)}`;
    }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    yield error.message;
  }
};

/** What azd and the platform go by: the tag, the runtime, the container of the package. */
export const appConfig: Rule = function* (subject) {
  const site = only(subject, 'Microsoft.Web/sites');
  const plan = only(subject, 'Microsoft.Web/serverfarms');
  if (!site || !plan) return;
  if (at(site, 'properties.serverFarmId') !== plan.id) yield `${site.id} is not on the plan`;
  if (at(site, 'tags.azd-service-name') !== 'api') yield `${site.id}: azd does not find the app by its tag`;
  if (at(site, 'properties.functionAppConfig.runtime.name') !== 'node') yield `${site.id}: the runtime is not Node.js`;
  const container = ofType(subject, 'Microsoft.Storage/storageAccounts/blobServices/containers').find(
    ({ id }) => !isMailStorage(id),
  );
  const [, account] = container?.id.split('/').slice(1) ?? [];
  const place = `https://${account}.blob.core.windows.net/${container?.name}`;
  const value = at(site, 'properties.functionAppConfig.deployment.storage.value');
  if (value !== place) yield `${site.id}: the package is fetched from ${String(value)}, not ${place}`;
  for (const policy of ['ftp', 'scm']) {
    const off = ofType(subject, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies');
    if (!off.some(({ name }) => name === policy)) yield `${site.id}: the ${policy} password is not switched off`;
  }
};
