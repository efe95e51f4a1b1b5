// Private addresses for everything that holds data, and the names that lead to them.

param name string
param location string
param tags object
param networkId string
param subnetId string
param hostId string
param dataId string
param rawId string
param eventsId string
param vaultId string
// Empty without a Service Bus that may have an endpoint.
param busId string

var zones = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.queue.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
  'privatelink.dfs.${environment().suffixes.storage}'
  'privatelink.servicebus.windows.net'
  'privatelink.vaultcore.azure.net'
]

// `zone` is a place in the list above.
var endpoints = [
  { name: 'host-blob', target: hostId, part: 'blob', zone: 0 }
  { name: 'host-queue', target: hostId, part: 'queue', zone: 1 }
  { name: 'host-table', target: hostId, part: 'table', zone: 2 }
  { name: 'data-blob', target: dataId, part: 'blob', zone: 0 }
  { name: 'data-queue', target: dataId, part: 'queue', zone: 1 }
  { name: 'data-table', target: dataId, part: 'table', zone: 2 }
  { name: 'raw-blob', target: rawId, part: 'blob', zone: 0 }
  { name: 'raw-dfs', target: rawId, part: 'dfs', zone: 3 }
  { name: 'events', target: eventsId, part: 'namespace', zone: 4 }
  { name: 'vault', target: vaultId, part: 'vault', zone: 5 }
]

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [for domain in zones: {
  name: domain
  location: 'global'
  tags: tags
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (domain, i) in zones: {
  parent: zone[i]
  name: 'link-${name}'
  location: 'global'
  tags: tags
  properties: { registrationEnabled: false, virtualNetwork: { id: networkId } }
}]

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = [for it in endpoints: {
  name: 'pe-${name}-${it.name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [{ name: it.name, properties: { privateLinkServiceId: it.target, groupIds: [it.part] } }]
  }
}]

resource record 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [for (it, i) in endpoints: {
  parent: endpoint[i]
  name: 'default'
  properties: { privateDnsZoneConfigs: [{ name: it.part, properties: { privateDnsZoneId: zone[it.zone].id } }] }
  dependsOn: [link]
}]

resource busEndpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = if (!empty(busId)) {
  name: 'pe-${name}-bus'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [{ name: 'bus', properties: { privateLinkServiceId: busId, groupIds: ['namespace'] } }]
  }
}

resource busRecord 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = if (!empty(busId)) {
  parent: busEndpoint
  name: 'default'
  properties: { privateDnsZoneConfigs: [{ name: 'namespace', properties: { privateDnsZoneId: zone[4].id } }] }
  dependsOn: [link]
}
