import type { Mistake } from './mistake.ts';

const vault = 'modules/keyvault.bicep';
const network = 'modules/network.bicep';

/** Network, logs, alerts and the workbook. */
export const operationMistakes: readonly Mistake[] = [
  {
    title: 'a private endpoint missing',
    file: network,
    from: "  { name: 'mail-table', id: mailStorageId, service: 'table' }\n",
    to: '',
    finding: /Private endpoints: .*stmail\w+ table is missing/,
    inShortRun: true,
  },
  {
    title: 'an audit log switched off',
    file: vault,
    from: "category: 'AuditEvent', enabled: true",
    to: "category: 'AuditEvent', enabled: false",
    finding: /Categories of Microsoft.KeyVault\S+: AuditEvent is missing/,
  },
  {
    title: 'a topic that takes keys',
    file: 'modules/event-grid.bicep',
    from: 'disableLocalAuth: true',
    to: 'disableLocalAuth: false',
    finding: /topics\S+: properties.disableLocalAuth is false, not true/,
  },
  {
    title: 'an alert that is never raised',
    file: 'modules/alerts.bicep',
    from: "operator: 'LessThanOrEqual'",
    to: "operator: 'LessThan'",
    finding: /raised by Minimum of days LessThan 14/,
  },
  {
    title: 'a private endpoint without its zone',
    file: network,
    from: 'indexOf(services, target.service)',
    to: "indexOf(services, 'blob')",
    finding: /pep-vault-\S+ has no name in the network/,
  },
  {
    title: 'a subnet that Flex Consumption cannot use',
    file: network,
    from: "serviceName: 'Microsoft.App/environments'",
    to: "serviceName: 'Microsoft.Web/serverFarms'",
    finding: /not delegated to Flex Consumption/,
  },
  {
    title: 'the vault not audited',
    file: vault,
    from: 'scope: vault\n',
    to: '',
    finding: /Resource logs: Microsoft.KeyVault\S+ is missing/,
  },
  {
    title: 'an alert on a misspelt event',
    file: 'alerts/account-failing.kql',
    from: '("account.failing", ',
    to: '("account.fails", ',
    finding: /Events of the alert account-failing: account.fails should not be there/,
  },
  {
    title: 'an alert that misses the host’s words',
    file: 'alerts/poison-queue.kql',
    from: '"Message has reached ',
    to: '"Message reached ',
    finding: /MaxDequeueCount of " is not looked for/,
  },
  {
    title: 'an alert on a column that is not there',
    file: 'alerts/secret-expiring.kql',
    from: 'project TimeGenerated, account, secret, days',
    to: 'project TimeGenerated, account, secret',
    finding: /the query has no column days/,
  },
  {
    title: 'an alert that tells nobody',
    file: 'modules/alerts.bicep',
    from: 'actionGroups: empty(email) ? [] : [operators.id]',
    to: 'actionGroups: []',
    finding: /tells somebody else/,
  },
  {
    title: 'a panel of the workbook on another event',
    file: 'workbook/throttles.kql',
    from: "'provider.throttled'",
    to: "'inbox.run'",
    finding: /Events of the panel Throttles: inbox.run should not be there/,
  },
  {
    title: 'a panel that does not follow the choice of accounts',
    file: 'modules/workbook.bicep',
    from: ' or account in ({Account})',
    to: '',
    finding: /The panel Throttles does not follow the choice of accounts/,
    inShortRun: true,
  },
  {
    title: 'a panel that is always about the last day',
    file: 'modules/workbook.bicep',
    from: "loadTextContent('../workbook/throttles.kql')}'\n    visualization: 'table'\n    days: 0",
    to: "loadTextContent('../workbook/throttles.kql')}'\n    visualization: 'table'\n    days: 1",
    finding: /The panel Throttles shows 1 days, not 0/,
  },
  {
    title: 'a panel missing',
    file: 'modules/workbook.bicep',
    from: "    title: 'Failures by code'",
    to: "    title: 'Failures'",
    finding: /Panels: Failures by code is missing/,
  },
  {
    title: 'the transactions of the host’s storage',
    file: 'main.bicep',
    from: 'mailStorageId: mailStorage.outputs.id\n  }\n}\n\noutput',
    to: 'mailStorageId: hostStorage.outputs.id\n  }\n}\n\noutput',
    finding: /The workbook shows the transactions of another storage account/,
  },
];
