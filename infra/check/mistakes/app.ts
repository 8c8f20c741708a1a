import type { Mistake } from './mistake.ts';

const app = 'modules/function-app.bicep';
const vault = 'modules/keyvault.bicep';
const rbac = 'modules/rbac.bicep';

/** The app itself: its settings, how it is found and deployed. */
export const appMistakes: readonly Mistake[] = [
  {
    title: 'a setting misspelt',
    file: 'main.bicep',
    from: '        OUTBOX_RETENTION_DAYS:',
    to: '        OUTBOX_RETENTION_DAY:',
    finding: /Settings: OUTBOX_RETENTION_DAYS is missing/,
    inShortRun: true,
  },
  {
    title: 'the app over http',
    file: app,
    from: 'httpsOnly: true',
    to: 'httpsOnly: false',
    finding: /httpsOnly is false/,
  },
  {
    title: 'a role for somebody else',
    file: 'main.bicep',
    from: 'principalId: identity.outputs.principalId\n    host',
    to: "principalId: '00000000-0000-0000-0000-000000000001'\n    host",
    finding: /is not the app's/,
  },
  {
    title: 'a setting that nothing reads',
    file: 'main.bicep',
    from: '        IMPORT_SCHEDULE:',
    to: "        IMPORT_BATCH: '8'\n        IMPORT_SCHEDULE:",
    finding: /Settings: IMPORT_BATCH should not be there/,
  },
  {
    title: 'a setting that the code refuses',
    file: 'main.bicep',
    from: "MailStorage__credential: 'managedidentity'",
    to: "MailStorage__credential: 'managedIdentity'",
    finding: /MailStorage__credential must be managedidentity/,
  },
  {
    title: 'a classic setting on Flex Consumption',
    file: app,
    from: '      AzureWebJobsStorage__credential:',
    to: "      FUNCTIONS_WORKER_RUNTIME: 'node'\n      AzureWebJobsStorage__credential:",
    finding: /Flex Consumption does not take FUNCTIONS_WORKER_RUNTIME/,
  },
  {
    title: 'a default that is not the code’s',
    file: 'main.bicep',
    from: 'param importBudgetSeconds int = 240',
    to: 'param importBudgetSeconds int = 120',
    finding: /the code's own defaults are/,
  },
  {
    title: 'requests that are smaller than mail',
    file: app,
    from: "'167772160'",
    to: "'104857600'",
    finding: /FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is 104857600, not 167772160/,
  },
  {
    title: 'headers that never get an answer',
    file: app,
    from: "      NODE_OPTIONS: '--max-http-header-size=65536'\n",
    to: '',
    finding: /Settings: NODE_OPTIONS is missing/,
  },
  {
    title: 'an app that azd does not find',
    file: app,
    from: "'azd-service-name': 'api'",
    to: "'azd-service-name': 'app'",
    finding: /azd does not find the app/,
  },
  {
    title: 'a package fetched from elsewhere',
    file: app,
    from: 'hostBlobUri}/',
    to: 'hostBlobUri}/app-',
    finding: /the package is fetched from/,
  },
  {
    title: 'a parameter that is not explained',
    file: rbac,
    from: "@description('Name of the vault.')\n",
    to: '',
    finding: /parameter vaultName has no description/,
  },
  {
    title: 'an unknown version of an API',
    file: vault,
    from: "vaults@2025-05-01' = {",
    to: "vaults@2024-11-01' = {",
    finding: /Microsoft.KeyVault\/vaults@2024-11-01/,
  },
];
