import type { Mistake } from './mistake.ts';

const storage = 'modules/storage.bicep';
const app = 'modules/function-app.bicep';
const vault = 'modules/keyvault.bicep';
const rbac = 'modules/rbac.bicep';

/** Neither the compiler nor the parser check lets these pass. `compiler` is what the compiler says. */
export const refused: readonly (Mistake & { readonly compiler: RegExp })[] = [
  {
    title: 'a property misspelt',
    file: storage,
    from: 'allowSharedKeyAccess: false',
    to: 'allowSharedKeyAcces: false',
    finding: /allowSharedKeyAccess is undefined/,
    compiler: /BCP089/,
  },
  {
    title: 'keys in an output',
    file: storage,
    from: 'output id ',
    to: 'output key string = account.listKeys().keys[0].value\noutput id ',
    finding: /listKeys\(\) asks for keys/,
    compiler: /outputs-should-not-contain-secrets/,
  },
  {
    title: 'a secret parameter in the clear',
    file: rbac,
    from: "@description('Principal id of the identity that gets the roles.')\nparam principalId string",
    to: "@description('A password.')\nparam adminPassword string = ''\n\n@description('Principal.')\nparam principalId string = adminPassword",
    finding: /parameter adminPassword is not secure/,
    compiler: /secure-secrets-in-params/,
  },
  {
    title: 'a parameter of a module missing',
    file: 'main.bicep',
    from: '    vaultName: vault.outputs.name\n',
    to: '',
    finding: /is not given its parameter vaultName/,
    compiler: /BCP035/,
  },
  {
    title: 'a parameter that is not used',
    file: vault,
    from: "publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'\n    networkAcls: {\n      defaultAction: privateOnly ? 'Deny' : 'Allow'",
    to: "publicNetworkAccess: 'Enabled'\n    networkAcls: {\n      defaultAction: 'Allow'",
    finding: /parameter privateOnly is not used/,
    compiler: /no-unused-params/,
  },
  {
    title: 'a host of one cloud',
    file: app,
    from: 'var hostStorageSuffix = environment().suffixes.storage',
    to: "var hostStorageSuffix = 'core.windows.net'",
    finding: /a host of one cloud: core\.windows\.net/,
    compiler: /no-hardcoded-env-urls/,
  },
  {
    title: 'a role missing',
    file: rbac,
    from: '[blobContributor, queueContributor, tableContributor]',
    to: '[blobContributor, tableContributor]',
    finding: /Roles: mail storage: Storage Queue Data Contributor is missing/,
    compiler: /no-unused-vars.*queueContributor/,
  },
  {
    title: 'a name too long',
    file: 'main.bicep',
    from: "'kv-mail-",
    to: "'kv-mailroom-",
    finding: /Azure does not take this name/,
    compiler: /BCP332/,
  },
  {
    title: 'not Bicep',
    file: rbac,
    from: 'var blobOwner = ',
    to: 'var blobOwner : ',
    finding: /rbac\.bicep:\d+: not Bicep/,
    compiler: /BCP\d+/,
  },
];
