import type { Value } from '../read/functions.ts';
import { isObject } from '../read/functions.ts';
import { only } from './always.ts';
import { at, differences, isMailStorage, ofType, type Rule, same } from './subject.ts';

/** Built-in roles by id; Microsoft: "Azure built-in roles". */
const roles: Readonly<Record<string, string>> = {
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'Storage Blob Data Owner',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe': 'Storage Blob Data Contributor',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88': 'Storage Queue Data Contributor',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'Storage Table Data Contributor',
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': 'Key Vault Secrets Officer',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'Monitoring Metrics Publisher',
  'd5a91429-5739-47e2-a06b-3470a27159e7': 'EventGrid Data Sender',
};

/** All that the app may do; infra/README.md says what needs each. */
const granted: readonly string[] = [
  'host storage: Storage Blob Data Owner',
  'host storage: Storage Table Data Contributor',
  'mail storage: Storage Blob Data Contributor',
  'mail storage: Storage Queue Data Contributor',
  'mail storage: Storage Table Data Contributor',
  'vault: Key Vault Secrets Officer',
  'component: Monitoring Metrics Publisher',
];

function placeOf(scope: string | undefined): string {
  if (scope === undefined) return 'the resource group';
  if (isMailStorage(scope)) return 'mail storage';
  if (/^Microsoft\.Storage\/storageAccounts\/[^/]+$/.test(scope)) return 'host storage';
  if (/^Microsoft\.EventGrid\/topics\/[^/]+$/.test(scope)) return 'topic';
  if (/^Microsoft\.KeyVault\/vaults\/[^/]+$/.test(scope)) return 'vault';
  return /^Microsoft\.Insights\/components\/[^/]+$/.test(scope) ? 'component' : scope;
}

export const roleAssignments: Rule = function* (subject) {
  const identity = only(subject, 'Microsoft.ManagedIdentity/userAssignedIdentities');
  const assignments = ofType(subject, 'Microsoft.Authorization/roleAssignments');
  for (const { id, body } of assignments) {
    const principal = isObject(body.properties) ? body.properties.principalId : undefined;
    if (principal !== `⟨${identity?.id}⟩.properties.principalId`) yield `${id} is not the app's: ${String(principal)}`;
  }
  yield* differences(
    'Roles',
    assignments.map((assignment) => {
      const role = String(at(assignment, 'properties.roleDefinitionId')).split('/').at(-1) ?? '';
      return `${placeOf(assignment.scope)}: ${roles[role] ?? role}`;
    }),
    subject.everything ? [...granted, 'topic: EventGrid Data Sender'] : granted,
  );
};

/** The app is its user-assigned identity, everywhere. */
export const identityOnly: Rule = function* (subject) {
  const identity = only(subject, 'Microsoft.ManagedIdentity/userAssignedIdentities');
  const site = only(subject, 'Microsoft.Web/sites');
  if (!identity || !site) {
    yield 'There is one app, and one identity';
    return;
  }
  const wanted: readonly (readonly [string, Value])[] = [
    ['identity', { type: 'UserAssigned', userAssignedIdentities: { [identity.id]: {} } }],
    ['properties.keyVaultReferenceIdentity', identity.id],
    [
      'properties.functionAppConfig.deployment.storage.authentication',
      { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id },
    ],
  ];
  for (const [path, value] of wanted) {
    if (!same(at(site, path), value)) yield `${site.id}: ${path} is ${JSON.stringify(at(site, path))}`;
  }
};

/** With sign-in in front nobody passes without a token, save where the code lets everybody in; without it keys decide. */
export const signIn: Rule = function* (subject) {
  const [settings] = ofType(subject, 'Microsoft.Web/sites/config').filter(({ name }) => name === 'authsettingsV2');
  if (!settings) {
    yield 'The sign-in in front is not said to be on or off';
    return;
  }
  if (at(settings, 'properties.platform.enabled') !== subject.everything)
    yield 'The sign-in in front is not as asked for';
  if (!subject.everything) return;
  const wanted: Readonly<Record<string, Value>> = {
    'properties.globalValidation.requireAuthentication': true,
    'properties.globalValidation.unauthenticatedClientAction': 'Return401',
    'properties.httpSettings.requireHttps': true,
    'properties.login.tokenStore.enabled': false,
    'properties.identityProviders.azureActiveDirectory.enabled': true,
    // Of one tenant: with `common` everybody who has an account anywhere could sign in.
    'properties.identityProviders.azureActiveDirectory.registration.openIdIssuer':
      'https://login.microsoftonline.com/tenant/v2.0',
  };
  for (const [path, value] of Object.entries(wanted)) {
    if (!same(at(settings, path), value)) yield `Sign-in: ${path} is ${JSON.stringify(at(settings, path))}`;
  }
  const open = at(settings, 'properties.globalValidation.excludedPaths');
  yield* differences(
    'Paths open to everybody',
    Array.isArray(open) ? open.map(String) : [],
    subject.expected.openPaths,
  );
  const audiences = at(settings, 'properties.identityProviders.azureActiveDirectory.validation.allowedAudiences');
  if (!Array.isArray(audiences) || audiences.length === 0) yield 'Sign-in: a token for any audience is taken';
};
