@description('End of the names of what is made here.')
param nameEnd string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Name of the Log Analytics workspace.')
param workspaceName string

@description('Who gets alerts by mail; empty: nobody, they are seen in the portal alone.')
param email string

@description('A mail that waits longer than this to be imported raises the alert, in minutes.')
param oldestMailMinutes int

@description('A secret that ends sooner than this raises the alert, in days.')
param secretDays int

// One alert of each rule stands per value of these, and ends by itself once its query no longer finds it. The queries
// look at the latest word only, within a day or two, which is the longest window there is. What lasts longer is logged
// again every hour (failing accounts, secrets), or by every import (mail that waits).
var rules = [
  {
    name: 'poison-queue'
    title: 'Mailroom: a queue message was given up'
    description: 'A message failed five times. A mail or an import may have failed with it; the log says which.'
    severity: 1
    query: loadTextContent('../alerts/poison-queue.kql')
    measure: 'moved'
    operator: 'GreaterThan'
    threshold: 0
    aggregation: 'Total'
    dimensions: ['queue']
    frequency: 'PT15M'
    window: 'P1D'
  }
  {
    name: 'account-failing'
    title: 'Mailroom: an account does not work'
    description: 'An account can neither send nor fetch until somebody sees to it; its mail waits.'
    severity: 1
    query: loadTextContent('../alerts/account-failing.kql')
    measure: 'failing'
    operator: 'GreaterThan'
    threshold: 0
    aggregation: 'Total'
    dimensions: ['account', 'side']
    frequency: 'PT15M'
    window: 'P2D'
  }
  {
    name: 'import-backlog'
    title: 'Mailroom: mail waits too long to be imported'
    description: 'The oldest mail that is not imported yet is older than it should be.'
    severity: 2
    query: loadTextContent('../alerts/import-backlog.kql')
    measure: 'oldestAgeSeconds'
    operator: 'GreaterThan'
    threshold: oldestMailMinutes * 60
    aggregation: 'Maximum'
    dimensions: ['account']
    frequency: 'PT15M'
    window: 'P1D'
  }
  {
    name: 'webhook-given-up'
    title: 'Mailroom: events were given up for a webhook'
    description: 'A receiver has not taken events for three days. They are kept for 30 days and can be sent again.'
    severity: 2
    query: loadTextContent('../alerts/webhook-given-up.kql')
    measure: 'events'
    operator: 'GreaterThan'
    threshold: 0
    aggregation: 'Total'
    dimensions: ['account']
    frequency: 'PT15M'
    window: 'P1D'
  }
  {
    name: 'topic-failing'
    title: 'Mailroom: the Event Grid topic takes no events'
    description: 'Events wait for the topic. Look at the role of the app on it, and at its endpoint.'
    severity: 2
    query: loadTextContent('../alerts/topic-failing.kql')
    measure: 'failing'
    operator: 'GreaterThan'
    threshold: 0
    aggregation: 'Total'
    dimensions: ['topic']
    frequency: 'PT15M'
    window: 'P1D'
  }
  {
    name: 'timer-silent'
    title: 'Mailroom: a timer stands still'
    description: 'The platform does not fire a timer any more. Calls and queue messages do its work where there are any; restart the app.'
    severity: 1
    query: loadTextContent('../alerts/timer-silent.kql')
    measure: 'minutes'
    operator: 'GreaterThan'
    threshold: 0
    aggregation: 'Maximum'
    dimensions: ['timer']
    frequency: 'PT15M'
    window: 'P1D'
  }
  {
    name: 'secret-expiring'
    title: 'Mailroom: a secret ends soon'
    description: 'The account stops working on that day unless a new version of its secret is written.'
    severity: 2
    query: loadTextContent('../alerts/secret-expiring.kql')
    measure: 'days'
    operator: 'LessThanOrEqual'
    threshold: secretDays
    aggregation: 'Minimum'
    dimensions: ['account', 'secret']
    frequency: 'PT1H'
    window: 'P2D'
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${nameEnd}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'mailroom'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource alert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'alert-${rule.name}-${nameEnd}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      scopes: [workspace.id]
      // On the day it is made, a workspace does not know the tables yet.
      skipQueryValidation: true
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            metricMeasureColumn: rule.measure
            timeAggregation: rule.aggregation
            operator: rule.operator
            threshold: rule.threshold
            dimensions: [
              for dimension in rule.dimensions: { name: dimension, operator: 'Include', values: ['*'] }
            ]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: {
        actionGroups: empty(email) ? [] : [operators.id]
      }
    }
  }
]
