@description('End of the names of what is made here.')
param nameEnd string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Address space of the network; its first /24 becomes the two subnets.')
param addressPrefix string

@description('The storage account of the Functions host.')
param hostStorageId string

@description('The storage account of the mail.')
param mailStorageId string

@description('The vault.')
param vaultId string

var services = ['blob', 'queue', 'table', 'vault']
var storageSuffix = environment().suffixes.storage
// `.vault.azure.net` → `privatelink.vaultcore.azure.net`, the same in national clouds.
var vaultZone = replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')
var zoneNames = [
  'privatelink.blob.${storageSuffix}'
  'privatelink.queue.${storageSuffix}'
  'privatelink.table.${storageSuffix}'
  vaultZone
]
var targets = [
  { name: 'host-blob', id: hostStorageId, service: 'blob' }
  { name: 'host-queue', id: hostStorageId, service: 'queue' }
  { name: 'host-table', id: hostStorageId, service: 'table' }
  { name: 'mail-blob', id: mailStorageId, service: 'blob' }
  { name: 'mail-queue', id: mailStorageId, service: 'queue' }
  { name: 'mail-table', id: mailStorageId, service: 'table' }
  { name: 'vault', id: vaultId, service: 'vault' }
]

// The way out: mail servers are outside, and they like to know the address that a client comes from.
resource address 'Microsoft.Network/publicIPAddresses@2025-05-01' = {
  name: 'pip-${nameEnd}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    publicIPAllocationMethod: 'Static'
  }
}

resource gateway 'Microsoft.Network/natGateways@2025-05-01' = {
  name: 'ng-${nameEnd}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    publicIpAddresses: [{ id: address.id }]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${nameEnd}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        // Flex Consumption asks for this delegation, and for a /27 or larger.
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          defaultOutboundAccess: false
          natGateway: { id: gateway.id }
          delegations: [
            { name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: 'app'
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: 'endpoints'
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneName in zoneNames: {
    name: zoneName
    location: 'global'
    tags: tags
  }
]

resource zoneLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneName, i) in zoneNames: {
    parent: zone[i]
    name: 'vnet-${nameEnd}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for target in targets: {
    name: 'pep-${target.name}-${nameEnd}'
    location: location
    tags: tags
    properties: {
      subnet: { id: endpointSubnet.id }
      privateLinkServiceConnections: [
        {
          name: target.name
          properties: { privateLinkServiceId: target.id, groupIds: [target.service] }
        }
      ]
    }
  }
]

resource endpointZone 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (target, i) in targets: {
    parent: endpoint[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: target.service
          properties: { privateDnsZoneId: zone[indexOf(services, target.service)].id }
        }
      ]
    }
    dependsOn: [zoneLink]
  }
]

output appSubnetId string = appSubnet.id
output outboundAddress string = address.properties.ipAddress
