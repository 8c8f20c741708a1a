@description('Name of the app.')
param name string

@description('Name of the plan.')
param planName string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('The app\'s identity.')
param identityId string

@description('Client id of the app\'s identity.')
param identityClientId string

@description('Name of the storage account of the Functions host.')
param hostStorageName string

@description('Container of the deployed package, in the host\'s storage.')
param packageContainer string

@description('Name of the Application Insights component.')
param componentName string

@description('Log Analytics workspace of the platform\'s logs.')
param workspaceId string

@description('Major version of Node.js.')
param nodeVersion string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('Instances at most, for the HTTP functions together and for every other function.')
param maximumInstanceCount int

@description('HTTP requests that one instance works on at a time.')
param httpPerInstanceConcurrency int

@description('Instances for HTTP that are always there.')
param httpAlwaysReady int

@description('Subnet that the app\'s outbound traffic goes through; empty: none.')
param subnetId string

@description('Settings of Mailroom itself.')
param settings object

@description('Client id of the app registration of the sign-in in front; empty: function keys decide.')
param signInClientId string

@description('Tenant that callers sign in to.')
param signInTenantId string

@description('Client ids of the applications that may call; empty: every one that has a token for this app.')
param signInApplications array

var hostStorageSuffix = environment().suffixes.storage
var hostBlobUri = 'https://${hostStorageName}.blob.${hostStorageSuffix}'

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  // azd finds the app of service `api` (azure.yaml) by this tag.
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostBlobUri}/${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'node', version: nodeVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: httpAlwaysReady > 0 ? [{ name: 'http', instanceCount: httpAlwaysReady }] : []
        triggers: { http: { perInstanceConcurrency: httpPerInstanceConcurrency } }
      }
    }
  }
}

// Whoever deploys does so with an Entra identity; the site's own user names and passwords are off.
resource ftpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

// Those of the host first, then Mailroom's. Flex Consumption refuses or ignores the classic ones, such as
// FUNCTIONS_WORKER_RUNTIME and WEBSITE_RUN_FROM_PACKAGE; runtime and package are in functionAppConfig.
resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsStorage__blobServiceUri: hostBlobUri
      AzureWebJobsStorage__queueServiceUri: 'https://${hostStorageName}.queue.${hostStorageSuffix}'
      AzureWebJobsStorage__tableServiceUri: 'https://${hostStorageName}.table.${hostStorageSuffix}'
      APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      // Ready-made mail of 150 MiB and its envelope; the host's own limit is 100 MiB.
      FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '167772160'
      // The host takes 32 KB of headers and hands them on to Node, which takes 16 KB and never answers more.
      NODE_OPTIONS: '--max-http-header-size=65536'
    },
    settings
  )
}

// The sign-in only says who the caller is. What a caller may do is decided by the app roles, in the app.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: empty(signInClientId)
    ? { platform: { enabled: false }, globalValidation: { requireAuthentication: false } }
    : {
        platform: { enabled: true }
        globalValidation: {
          requireAuthentication: true
          unauthenticatedClientAction: 'Return401'
          // Routes that ask for no sign-in in the code either: open to everybody, but for the second, which asks for a key.
          // Microsoft Graph calls the last: what it has sent shows by a code that only the app can make.
          excludedPaths: [
            '/api/health'
            '/api/health/key'
            '/api/openapi.json'
            '/api/docs'
            '/api/docs/page.js'
            '/api/docs/page.css'
            '/api/console'
            '/api/console/*'
            '/api/graph/notifications'
          ]
        }
        httpSettings: { requireHttps: true }
        login: { tokenStore: { enabled: false } }
        identityProviders: {
          azureActiveDirectory: {
            enabled: true
            registration: {
              clientId: signInClientId
              openIdIssuer: '${environment().authentication.loginEndpoint}${signInTenantId}/v2.0'
            }
            validation: {
              allowedAudiences: [signInClientId, 'api://${signInClientId}']
              defaultAuthorizationPolicy: { allowedApplications: signInApplications }
            }
          }
        }
      }
  dependsOn: [appSettings]
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'platform'
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'FunctionAppLogs', enabled: true }
      { category: 'AppServiceAuthenticationLogs', enabled: true }
    ]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
