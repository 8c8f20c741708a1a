targetScope = 'subscription'

@description('Name of the azd environment: part of the resource group\'s name, and what every other name is derived from.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything. Microsoft lists those that have Flex Consumption: az functionapp list-flexconsumption-locations.')
@minLength(1)
param location string

@description('Resource group; it is made if it is not there.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-${environmentName}'

@description('Replication of both storage accounts. Standard_LRS where the region has no zones.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Major version of Node.js that the app runs on.')
@allowed(['22', '24'])
param nodeVersion string = '22'

@description('Memory of an instance in MB; its part of a processor follows from it. The host holds a body with Content-Length several times over, up to 1 GB for a mail of 150 MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 4096

@description('Instances at most, for the HTTP functions together and for every other function by itself.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('HTTP requests that one instance works on at a time: with 4096 MB, eight mails with 35 MB of attachments in JSON.')
@minValue(1)
@maxValue(1000)
param httpPerInstanceConcurrency int = 8

@description('Instances for HTTP that are always there and always paid; 0: the first call after a pause waits for one.')
@minValue(0)
@maxValue(1000)
param httpAlwaysReady int = 0

@description('When accounts that are due are looked for. NCRONTAB with seconds, UTC.')
@minLength(11)
param importSchedule string = '0 * * * * *'

@description('When mail, records and assets that are due are deleted. NCRONTAB with seconds, UTC.')
@minLength(11)
param retentionSchedule string = '0 0 * * * *'

@description('When mailboxes are compared with the ledger. NCRONTAB with seconds, UTC.')
@minLength(11)
param sweepSchedule string = '0 0 3 * * *'

@description('Time that one import may take, in seconds; the next one goes on from there.')
@minValue(10)
@maxValue(540)
param importBudgetSeconds int = 240

@description('Waits before the second, third and further attempts of a mail, in minutes, separated by commas; the last one goes on for 48 hours.')
@minLength(1)
param retryMinutes string = '1,5,15,60'

@description('Mails of one account that may wait; further ones are refused with 429. 0: any number.')
@minValue(0)
@maxValue(1000000)
param outboxMaxWaiting int = 0

@description('How long the MIME of mail that was sent is kept, in days.')
@minValue(1)
@maxValue(36500)
param outboxRetentionDays int = 30

@description('How long records of messages and runs are kept, in days.')
@minValue(1)
@maxValue(36500)
param recordRetentionDays int = 90

@description('How long assets are kept, in days; 0: until somebody deletes them.')
@minValue(0)
@maxValue(36500)
param assetRetentionDays int = 0

@description('Microsoft Graph of a private cloud, an https URL; empty: that of each account\'s cloud.')
param graphEndpoint string = ''

@description('Networks (CIDRs, separated by commas) of the loopback, link-local and metadata ranges where mail servers may be all the same. Empty: none.')
param mailAllowedNetworks string = ''

@description('Hosts (in lower case, separated by commas) beside those of Exchange Online that get access tokens of accounts with oauth2, as a relay in front of it. Empty: none.')
param mailOAuth2Hosts string = ''

@description('Networks (CIDRs, separated by commas) beside the internet where webhooks of accounts may be, there over http too. Empty: none.')
param webhookAllowedNetworks string = ''

@description('Puts events on the queue mail-events. False where nobody reads it.')
param eventsQueue bool = true

@description('Makes an Event Grid topic that gets every event; who subscribes to it is yours to say.')
param eventGridTopic bool = false

@description('Where Microsoft Graph reaches the app for accounts with push, an https URL such as that of a gateway in front, without /api; empty: the app\'s own address.')
param publicUrl string = ''

@description('Entra ID of a private cloud, an https URL; empty: that of each account\'s cloud.')
param authorityHost string = ''

@description('Client id of an app registration with the app roles Mailroom.Send, Mailroom.Read and Mailroom.Admin. Given, callers sign in with Entra ID and the roles decide; empty, function keys do.')
param signInClientId string = ''

@description('Tenant that callers sign in to.')
param signInTenantId string = subscription().tenantId

@description('Client ids of the applications that may call at all; empty: every one that has a token for this app. The app roles decide in either case.')
param signInApplications array = []

@description('Puts a virtual network around storage and vault, which then answer to private endpoints alone, and lets the app go out by one fixed address.')
param vnetEnabled bool = false

@description('Address space of the virtual network.')
param vnetAddressPrefix string = '10.60.0.0/24'

@description('How long logs are kept, in days.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Who gets alerts by mail; empty: nobody, they are seen in the portal alone.')
param alertEmail string = ''

@description('A mail that waits longer than this to be imported raises an alert, in minutes.')
@minValue(1)
param oldestMailMinutes int = 60

@description('A secret that ends sooner than this raises an alert, in days.')
@minValue(1)
param secretDays int = 14

@description('Tags of every resource, besides azd\'s own.')
param tags object = {}

// Names of storage accounts and vaults are unique in the world and have at most 24 characters.
var token = toLower(uniqueString(subscription().id, environmentName, location))
var nameEnd = 'mailroom-${token}'
var hostStorageName = 'sthost${token}'
var mailStorageName = 'stmail${token}'
var vaultName = 'kv-mail-${token}'
var allTags = union(tags, { 'azd-env-name': environmentName })
var packageContainer = 'packages'

// The names in shared/platform/storage.ts; `npm run infra:check` compares them.
var containers = ['assets', 'outbox', 'quarantine', 'uploads']
var queues = ['mail-send', 'mail-import', 'mail-events', 'mail-webhooks']
// Made here and not by the host's first failure, so that they can be watched from the first day.
var poisonQueues = ['mail-send-poison', 'mail-import-poison', 'mail-webhooks-poison']
var tables = ['accounts', 'events', 'inbox', 'limits', 'outbox']

// Mailroom deletes what it sent by itself. The rule is a net below that, which must never be faster: mail may be handed
// in a year before it is sent, then be tried for two days, and only then is it kept for `outboxRetentionDays`.
var outboxExpiryDays = 366 + 2 + outboxRetentionDays + 30

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: 'id-${nameEnd}'
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: 'log-${nameEnd}'
    componentName: 'appi-${nameEnd}'
    location: location
    tags: allTags
    retentionDays: logRetentionDays
  }
}

module hostStorage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: hostStorageName
    location: location
    tags: allTags
    sku: storageSku
    containers: [packageContainer]
    privateOnly: vnetEnabled
    workspaceId: monitoring.outputs.workspaceId
  }
}

module mailStorage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: mailStorageName
    location: location
    tags: allTags
    sku: storageSku
    containers: containers
    queues: concat(queues, poisonQueues)
    tables: tables
    expiry: [{ container: 'outbox', days: outboxExpiryDays }]
    privateOnly: vnetEnabled
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/keyvault.bicep' = {
  scope: group
  params: {
    name: vaultName
    location: location
    tags: allTags
    privateOnly: vnetEnabled
    workspaceId: monitoring.outputs.workspaceId
  }
}

module roles 'modules/rbac.bicep' = {
  scope: group
  params: {
    principalId: identity.outputs.principalId
    hostStorageName: hostStorage.outputs.name
    mailStorageName: mailStorage.outputs.name
    vaultName: vault.outputs.name
    componentName: monitoring.outputs.componentName
  }
}

module topic 'modules/event-grid.bicep' = if (eventGridTopic) {
  scope: group
  params: {
    name: 'evgt-${nameEnd}'
    location: location
    tags: allTags
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  scope: group
  params: {
    nameEnd: nameEnd
    location: location
    tags: allTags
    addressPrefix: vnetAddressPrefix
    hostStorageId: hostStorage.outputs.id
    mailStorageId: mailStorage.outputs.id
    vaultId: vault.outputs.id
  }
}

module functionApp 'modules/function-app.bicep' = {
  scope: group
  params: {
    name: 'func-${nameEnd}'
    planName: 'plan-${nameEnd}'
    location: location
    tags: allTags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostStorageName: hostStorage.outputs.name
    packageContainer: packageContainer
    componentName: monitoring.outputs.componentName
    workspaceId: monitoring.outputs.workspaceId
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpPerInstanceConcurrency: httpPerInstanceConcurrency
    httpAlwaysReady: httpAlwaysReady
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    // The settings that shared/platform reads; `npm run infra:check` compares them.
    settings: union(
      {
        AZURE_CLIENT_ID: identity.outputs.clientId
        MailStorage__credential: 'managedidentity'
        MailStorage__clientId: identity.outputs.clientId
        MailStorage__blobServiceUri: 'https://${mailStorageName}.blob.${environment().suffixes.storage}'
        MailStorage__queueServiceUri: 'https://${mailStorageName}.queue.${environment().suffixes.storage}'
        MailStorage__tableServiceUri: 'https://${mailStorageName}.table.${environment().suffixes.storage}'
        KEY_VAULT_URI: 'https://${vaultName}${environment().suffixes.keyvaultDns}'
        IMPORT_SCHEDULE: importSchedule
        RETENTION_SCHEDULE: retentionSchedule
        SWEEP_SCHEDULE: sweepSchedule
        RETRY_MINUTES: retryMinutes
        OUTBOX_MAX_WAITING: outboxMaxWaiting > 0 ? string(outboxMaxWaiting) : ''
        IMPORT_BUDGET_SECONDS: string(importBudgetSeconds)
        OUTBOX_RETENTION_DAYS: string(outboxRetentionDays)
        RECORD_RETENTION_DAYS: string(recordRetentionDays)
        ASSET_RETENTION_DAYS: assetRetentionDays > 0 ? string(assetRetentionDays) : ''
        MAIL_ALLOWED_NETWORKS: mailAllowedNetworks
        MAIL_OAUTH2_HOSTS: mailOAuth2Hosts
        WEBHOOK_ALLOWED_NETWORKS: webhookAllowedNetworks
        EVENTS_QUEUE: eventsQueue ? 'on' : 'off'
        PUBLIC_URL: publicUrl
      },
      // Left out, not left empty: SDKs read the second by themselves.
      empty(graphEndpoint) ? {} : { GRAPH_ENDPOINT: graphEndpoint },
      empty(authorityHost) ? {} : { AZURE_AUTHORITY_HOST: authorityHost },
      eventGridTopic ? { EVENT_GRID_TOPIC_ENDPOINT: topic!.outputs.endpoint } : {}
    )
    signInClientId: signInClientId
    signInTenantId: signInTenantId
    signInApplications: signInApplications
  }
  // The first start asks for storage and vault already.
  dependsOn: [roles]
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    nameEnd: nameEnd
    location: location
    tags: allTags
    workspaceName: monitoring.outputs.workspaceName
    email: alertEmail
    oldestMailMinutes: oldestMailMinutes
    secretDays: secretDays
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    mailStorageId: mailStorage.outputs.id
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = subscription().tenantId
output MAILROOM_APP_NAME string = functionApp.outputs.name
output MAILROOM_URL string = '${functionApp.outputs.url}/api'
output MAILROOM_VAULT_NAME string = vault.outputs.name
output MAILROOM_STORAGE_NAME string = mailStorage.outputs.name
output MAILROOM_WORKSPACE_NAME string = monitoring.outputs.workspaceName
output MAILROOM_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output MAILROOM_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output MAILROOM_OUTBOUND_ADDRESS string = vnetEnabled ? network!.outputs.outboundAddress : ''
