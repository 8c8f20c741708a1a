@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Log Analytics workspace that the queries ask.')
param workspaceId string

@description('Storage account of the mail, whose transactions are shown.')
param mailStorageId string

// The queries are those of docs/queries.md; a test compares them.
var lines = loadTextContent('../workbook/lines.kql')
var chosenLines = replace(lines, ';', '\n| where \'*\' in ({Account}) or account in ({Account});')

// A panel shows the last days that it names; where it names none, the time that the reader chose.
var panels = [
  {
    title: 'Mails in and out, by hour'
    query: '${chosenLines}${loadTextContent('../workbook/mail.kql')}'
    visualization: 'timechart'
    days: 0
  }
  {
    title: 'Mails in and out, by day and account'
    query: '${chosenLines}${loadTextContent('../workbook/days.kql')}'
    visualization: 'table'
    days: 0
  }
  {
    title: 'Failures by code'
    query: '${chosenLines}${loadTextContent('../workbook/failures.kql')}'
    visualization: 'table'
    days: 0
  }
  {
    title: 'Accounts that fail now'
    query: '${chosenLines}${loadTextContent('../workbook/failing.kql')}'
    visualization: 'table'
    days: 2
  }
  {
    title: 'Backlog: mails to import, by hour'
    query: '${chosenLines}${loadTextContent('../workbook/backlog.kql')}'
    visualization: 'timechart'
    days: 0
  }
  {
    title: 'Mails to import now'
    query: '${chosenLines}${loadTextContent('../workbook/not-imported.kql')}'
    visualization: 'table'
    days: 1
  }
  {
    title: 'Mails to send now'
    query: '${chosenLines}${loadTextContent('../workbook/not-sent.kql')}'
    visualization: 'table'
    days: 3
  }
  {
    title: 'Seconds from acceptance to sent, by hour'
    query: '${chosenLines}${loadTextContent('../workbook/delivery-seconds.kql')}'
    visualization: 'timechart'
    days: 0
  }
  {
    title: 'Milliseconds of attempts and deliveries, by account'
    query: '${chosenLines}${loadTextContent('../workbook/delivery.kql')}'
    visualization: 'table'
    days: 0
  }
  {
    title: 'Throttles'
    query: '${chosenLines}${loadTextContent('../workbook/throttles.kql')}'
    visualization: 'table'
    days: 0
  }
  {
    title: 'Storage operations that are logged'
    query: loadTextContent('../workbook/storage.kql')
    visualization: 'table'
    days: 0
  }
]

var choices = {
  type: 9
  name: 'choices'
  content: {
    version: 'KqlParameterItem/1.0'
    style: 'pills'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    parameters: [
      {
        id: guid(workspaceId, 'Time')
        version: 'KqlParameterItem/1.0'
        name: 'Time'
        type: 4
        isRequired: true
        value: { durationMs: 604800000 }
        typeSettings: {
          allowCustom: true
          selectableValues: [
            { durationMs: 3600000 }
            { durationMs: 86400000 }
            { durationMs: 604800000 }
            { durationMs: 2592000000 }
          ]
        }
      }
      {
        id: guid(workspaceId, 'Account')
        version: 'KqlParameterItem/1.0'
        name: 'Account'
        type: 2
        isRequired: true
        multiSelect: true
        quote: '\''
        delimiter: ','
        query: '${lines}${loadTextContent('../workbook/accounts.kql')}'
        crossComponentResources: [workspaceId]
        value: ['value::all']
        typeSettings: { additionalResourceOptions: ['value::all'], selectAllValue: '*', showDefault: false }
        timeContextFromParameter: 'Time'
        timeContext: { durationMs: 0 }
        queryType: 0
        resourceType: 'microsoft.operationalinsights/workspaces'
      }
    ]
  }
}

var items = [
  for panel in panels: {
    type: 3
    name: panel.title
    content: union(
      {
        version: 'KqlItem/1.0'
        title: panel.title
        size: 0
        query: panel.query
        visualization: panel.visualization
        noDataMessageStyle: 3
        queryType: 0
        resourceType: 'microsoft.operationalinsights/workspaces'
        crossComponentResources: [workspaceId]
      },
      panel.days > 0
        ? { timeContext: { durationMs: panel.days * 86400000 } }
        : { timeContextFromParameter: 'Time', timeContext: { durationMs: 0 } }
    )
  }
]

// Platform metrics know every transaction, reads of queues and tables included, and cost nothing.
var transactions = {
  type: 10
  name: 'Storage transactions, by operation'
  content: {
    version: 'MetricsItem/2.0'
    chartId: guid(mailStorageId, 'Transactions')
    title: 'Storage transactions, by operation'
    size: 0
    chartType: 2
    resourceType: 'microsoft.storage/storageaccounts'
    metricScope: 0
    resourceIds: [mailStorageId]
    timeContextFromParameter: 'Time'
    timeContext: { durationMs: 0 }
    metrics: [
      {
        namespace: 'microsoft.storage/storageaccounts'
        metric: 'microsoft.storage/storageaccounts-Transaction-Transactions'
        aggregation: 1
        splitBy: 'ApiName'
      }
    ]
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // Azure takes a GUID alone; the same one with every deployment.
  name: guid(workspaceId, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: 'Mailroom'
    description: 'Mails in and out, failures, backlog, delivery times, throttles and storage transactions.'
    version: 'Notebook/1.0'
    sourceId: workspaceId
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([choices], items, [transactions])
      fallbackResourceIds: [workspaceId]
    })
  }
}
