import type { Value } from '../read/functions.ts';
import { isObject } from '../read/functions.ts';
import { at, differences, ofType, type Rule, type Subject, same } from './subject.ts';

/** Properties that resources of a type have whatever the parameters say. */
const always: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  'Microsoft.Storage/storageAccounts': {
    kind: 'StorageV2',
    'properties.allowSharedKeyAccess': false,
    'properties.allowBlobPublicAccess': false,
    'properties.allowCrossTenantReplication': false,
    'properties.defaultToOAuthAuthentication': true,
    'properties.minimumTlsVersion': 'TLS1_2',
    'properties.supportsHttpsTrafficOnly': true,
    'properties.networkAcls.bypass': 'None',
  },
  'Microsoft.Storage/storageAccounts/blobServices': {
    'properties.deleteRetentionPolicy': { enabled: true, days: 7 },
    'properties.containerDeleteRetentionPolicy': { enabled: true, days: 7 },
  },
  'Microsoft.Storage/storageAccounts/blobServices/containers': { 'properties.publicAccess': 'None' },
  'Microsoft.KeyVault/vaults': {
    'properties.enableRbacAuthorization': true,
    'properties.enableSoftDelete': true,
    'properties.softDeleteRetentionInDays': 90,
    'properties.enablePurgeProtection': true,
    'properties.enabledForDeployment': false,
    'properties.enabledForDiskEncryption': false,
    'properties.enabledForTemplateDeployment': false,
    'properties.networkAcls.bypass': 'None',
  },
  'Microsoft.Insights/components': { 'properties.DisableLocalAuth': true },
  'Microsoft.OperationalInsights/workspaces': { 'properties.features.disableLocalAuth': true },
  'Microsoft.Web/serverfarms': {
    kind: 'functionapp',
    sku: { name: 'FC1', tier: 'FlexConsumption' },
    'properties.reserved': true,
  },
  'Microsoft.Web/sites': {
    kind: 'functionapp,linux',
    'properties.httpsOnly': true,
    'properties.siteConfig.minTlsVersion': '1.2',
    'properties.siteConfig.scmMinTlsVersion': '1.2',
    'properties.siteConfig.ftpsState': 'Disabled',
  },
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies': { 'properties.allow': false },
  'Microsoft.Authorization/roleAssignments': { 'properties.principalType': 'ServicePrincipal' },
};

export const alwaysThere: Rule = function* (subject) {
  for (const [type, properties] of Object.entries(always)) {
    const resources = ofType(subject, type);
    if (resources.length === 0) yield `There is no ${type}`;
    for (const resource of resources) {
      for (const [path, value] of Object.entries(properties)) {
        const is = at(resource, path);
        if (!same(is, value)) yield `${resource.id}: ${path} is ${JSON.stringify(is)}, not ${JSON.stringify(value)}`;
      }
    }
  }
};

/** With the network, storage and vault answer to private endpoints alone. */
export const publicAccess: Rule = function* (subject) {
  const guarded = ['Microsoft.Storage/storageAccounts', 'Microsoft.KeyVault/vaults'];
  for (const resource of guarded.flatMap((type) => ofType(subject, type))) {
    const wanted = subject.everything ? ['Disabled', 'Deny'] : ['Enabled', 'Allow'];
    const is = [at(resource, 'properties.publicNetworkAccess'), at(resource, 'properties.networkAcls.defaultAction')];
    if (!same(is as Value[], wanted))
      yield `${resource.id}: network access is ${is.join(', ')}, not ${wanted.join(', ')}`;
  }
};

/** The types that may be deployed, each at the version that was looked at. */
const versions: Readonly<Record<string, string>> = {
  'Microsoft.Authorization/roleAssignments': '2022-04-01',
  'Microsoft.EventGrid/topics': '2025-02-15',
  'Microsoft.Insights/actionGroups': '2023-01-01',
  'Microsoft.Insights/components': '2020-02-02',
  'Microsoft.Insights/diagnosticSettings': '2021-05-01-preview',
  'Microsoft.Insights/scheduledQueryRules': '2023-12-01',
  'Microsoft.Insights/workbooks': '2023-06-01',
  'Microsoft.KeyVault/vaults': '2025-05-01',
  'Microsoft.ManagedIdentity/userAssignedIdentities': '2024-11-30',
  'Microsoft.Network/natGateways': '2025-05-01',
  'Microsoft.Network/privateDnsZones': '2024-06-01',
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': '2024-06-01',
  'Microsoft.Network/privateEndpoints': '2025-05-01',
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': '2025-05-01',
  'Microsoft.Network/publicIPAddresses': '2025-05-01',
  'Microsoft.Network/virtualNetworks': '2025-05-01',
  'Microsoft.OperationalInsights/workspaces': '2025-07-01',
  'Microsoft.Resources/resourceGroups': '2025-04-01',
  'Microsoft.Storage/storageAccounts': '2025-06-01',
  'Microsoft.Storage/storageAccounts/blobServices': '2025-06-01',
  'Microsoft.Storage/storageAccounts/blobServices/containers': '2025-06-01',
  'Microsoft.Storage/storageAccounts/managementPolicies': '2025-06-01',
  'Microsoft.Storage/storageAccounts/queueServices': '2025-06-01',
  'Microsoft.Storage/storageAccounts/queueServices/queues': '2025-06-01',
  'Microsoft.Storage/storageAccounts/tableServices': '2025-06-01',
  'Microsoft.Storage/storageAccounts/tableServices/tables': '2025-06-01',
  'Microsoft.Web/serverfarms': '2025-03-01',
  'Microsoft.Web/sites': '2025-03-01',
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies': '2025-03-01',
  'Microsoft.Web/sites/config': '2025-03-01',
};

export const knownVersions: Rule = function* ({ deployment }) {
  for (const { type, apiVersion, id } of deployment.resources) {
    if (versions[type] !== apiVersion) yield `${id}: ${type}@${apiVersion}, where ${versions[type] ?? 'none'} is known`;
  }
};

/** Microsoft: "Naming rules and restrictions for Azure resources". */
const nameRules: readonly (readonly [string, RegExp])[] = [
  ['Microsoft.Insights/workbooks', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
  ['Microsoft.Resources/resourceGroups', /^[\w.()-]{1,89}[\w()-]$/],
  ['Microsoft.Storage/storageAccounts', /^[a-z0-9]{3,24}$/],
  ['Microsoft.Storage/storageAccounts/blobServices/containers', /^[a-z0-9](-?[a-z0-9]){2,62}$/],
  ['Microsoft.Storage/storageAccounts/queueServices/queues', /^[a-z0-9](-?[a-z0-9]){2,62}$/],
  ['Microsoft.Storage/storageAccounts/tableServices/tables', /^[A-Za-z][A-Za-z0-9]{2,62}$/],
  ['Microsoft.KeyVault/vaults', /^[a-zA-Z](-?[a-zA-Z0-9]){2,23}$/],
  ['Microsoft.ManagedIdentity/userAssignedIdentities', /^[a-zA-Z0-9][\w-]{2,127}$/],
  ['Microsoft.EventGrid/topics', /^[a-zA-Z0-9-]{3,50}$/],
  ['Microsoft.OperationalInsights/workspaces', /^[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]$/],
  ['Microsoft.Web/serverfarms', /^[a-zA-Z0-9-]{1,60}$/],
  ['Microsoft.Web/sites', /^[a-zA-Z0-9][a-zA-Z0-9-]{0,58}[a-zA-Z0-9]$/],
  ['Microsoft.Network/privateEndpoints', /^[a-zA-Z0-9][\w.-]{0,78}\w$/],
];

export const allowedNames: Rule = function* (subject) {
  for (const [type, pattern] of nameRules) {
    for (const { id, name } of ofType(subject, type)) {
      if (!pattern.test(name) || (type === 'Microsoft.KeyVault/vaults' && name.length > 24)) {
        yield `${id}: Azure does not take this name`;
      }
    }
  }
};

/** What is kept of a service, by the last part of its type. */
const categories: Readonly<Record<string, readonly string[]>> = {
  sites: ['FunctionAppLogs', 'AppServiceAuthenticationLogs'],
  vaults: ['AuditEvent'],
  topics: ['DeliveryFailures', 'PublishFailures'],
  blobServices: ['StorageRead', 'StorageWrite', 'StorageDelete'],
  queueServices: ['StorageWrite', 'StorageDelete'],
  tableServices: ['StorageWrite', 'StorageDelete'],
};

/** Who did what is kept: of the app, of the vault, and of each service of both accounts. */
export const audited: Rule = function* (subject) {
  const [workspace] = ofType(subject, 'Microsoft.OperationalInsights/workspaces');
  const settings = ofType(subject, 'Microsoft.Insights/diagnosticSettings');
  for (const setting of settings) {
    if (at(setting, 'properties.workspaceId') !== workspace?.id) yield `${setting.id} goes to another workspace`;
    const kind = Object.keys(categories).find((one) => setting.scope?.includes(`/${one}/`)) ?? '';
    const logs = at(setting, 'properties.logs');
    const kept = (Array.isArray(logs) ? (logs as readonly Value[]) : []).filter(
      (one) => isObject(one) && one.enabled === true,
    );
    yield* differences(
      `Categories of ${setting.scope}`,
      kept.map((one) => (isObject(one) ? String(one.category) : '')),
      categories[kind] ?? [],
    );
  }
  const logged = (type: string) => ofType(subject, type).map(({ id }) => id);
  yield* differences(
    'Resource logs',
    settings.map(({ scope }) => scope ?? ''),
    [
      ...logged('Microsoft.Web/sites'),
      ...logged('Microsoft.KeyVault/vaults'),
      ...logged('Microsoft.EventGrid/topics'),
      ...['blob', 'queue', 'table'].flatMap((kind) => logged(`Microsoft.Storage/storageAccounts/${kind}Services`)),
    ],
  );
};

/** The one resource of a type; undefined where there are none or several. */
export function only(subject: Subject, type: string) {
  const resources = ofType(subject, type);
  return resources.length === 1 ? resources[0] : undefined;
}
