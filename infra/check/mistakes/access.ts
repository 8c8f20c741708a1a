import type { Mistake } from './mistake.ts';

const app = 'modules/function-app.bicep';
const vault = 'modules/keyvault.bicep';
const rbac = 'modules/rbac.bicep';
const monitoring = 'modules/monitoring.bicep';

/** Who may do what: roles, keys, secrets, sign-in. */
export const accessMistakes: readonly Mistake[] = [
  {
    title: 'a role that is too narrow for what the code does',
    file: rbac,
    from: "'974c5e8b-45b9-4653-ba55-5f855dd0fb88'",
    to: "'8a0f0c08-91a1-4084-bc3d-661d67233fed'",
    finding: /Roles: mail storage: Storage Queue Data Contributor is missing/,
    inShortRun: true,
  },
  {
    title: 'a role too many',
    file: rbac,
    from: 'for role in [blobOwner, tableContributor]',
    to: 'for role in [blobOwner, tableContributor, queueContributor]',
    finding: /Roles: host storage: Storage Queue Data Contributor should not be there/,
    inShortRun: true,
  },
  {
    title: 'a key in a setting',
    file: 'main.bicep',
    from: '        AZURE_CLIENT_ID:',
    to: "        MailStorage: 'AccountName=a;AccountKey=b'\n        AZURE_CLIENT_ID:",
    finding: /Settings: MailStorage holds a secret/,
    inShortRun: true,
  },
  {
    title: 'a vault that can be destroyed',
    file: vault,
    from: 'enablePurgeProtection: true',
    to: 'enablePurgeProtection: null',
    finding: /enablePurgeProtection is null/,
    inShortRun: true,
  },
  {
    title: 'a secret output',
    file: monitoring,
    from: 'output componentName ',
    to: 'output telemetry string = component.properties.ConnectionString\noutput componentName ',
    finding: /output telemetry tells ConnectionString/,
    inShortRun: true,
  },
  {
    title: 'sign-in that lets everybody in',
    file: app,
    from: "unauthenticatedClientAction: 'Return401'",
    to: "unauthenticatedClientAction: 'AllowAnonymous'",
    finding: /unauthenticatedClientAction is "AllowAnonymous"/,
    inShortRun: true,
  },
  {
    title: 'a password for deployments',
    file: app,
    from: "name: 'scm'\n  properties: { allow: false }",
    to: "name: 'scm'\n  properties: { allow: true }",
    finding: /scm: properties.allow is true/,
  },
  {
    title: 'a second identity',
    file: app,
    from: "type: 'UserAssigned'\n",
    to: "type: 'SystemAssigned, UserAssigned'\n",
    finding: /identity is {"type":"SystemAssigned, UserAssigned"/,
  },
  {
    title: 'a role on the whole resource group',
    file: rbac,
    from: '  scope: vault\n',
    to: '',
    finding: /Roles: the resource group: Key Vault Secrets Officer should not be there/,
  },
  {
    title: 'a vault with access policies',
    file: vault,
    from: 'enableRbacAuthorization: true',
    to: 'enableRbacAuthorization: false',
    finding: /enableRbacAuthorization is false/,
  },
  {
    title: 'telemetry by key',
    file: monitoring,
    from: 'DisableLocalAuth: true',
    to: 'DisableLocalAuth: false',
    finding: /DisableLocalAuth is false/,
  },
  {
    title: 'sign-in of every tenant',
    file: 'main.bicep',
    from: 'param signInTenantId string = subscription().tenantId',
    to: "param signInTenantId string = 'common'",
    finding: /openIdIssuer is "https:\/\/login.microsoftonline.com\/common\/v2.0"/,
  },
  {
    title: 'the host as another identity',
    file: app,
    from: 'AzureWebJobsStorage__clientId: identityClientId',
    to: 'AzureWebJobsStorage__clientId: identityId',
    finding: /AzureWebJobsStorage__clientId is \S+, not \S+clientId/,
  },
  {
    title: 'a path left open',
    file: app,
    from: "            '/api/docs/page.css'",
    to: "            '/api/docs/page.css'\n            '/api/accounts'",
    finding: /Paths open to everybody: \/api\/accounts should not be there/,
  },
];
