// The network that all calls of the app leave through, so that storage, hub and vault can refuse everybody else. It costs
// nothing by itself: without private endpoints, the subnet's service endpoints are the door.

param name string
param location string
param tags object

// Flex Consumption gives each instance an address; 40 of them fit well into /26 (Azure Functions, Flex Consumption networking).
resource functionsRules 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-${name}-functions'
  location: location
  tags: tags
  // Nobody calls the instances by this network.
  properties: {
    securityRules: [
      {
        name: 'no-one-in'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource endpointsRules 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-${name}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'functions-in'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '10.20.0.0/26'
          sourcePortRange: '*'
          destinationAddressPrefix: '10.20.0.64/26'
          // HTTPS, and AMQP of Event Hubs.
          destinationPortRanges: ['443', '5671']
        }
      }
      {
        name: 'no-one-else-in'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

// The subnets stand inside: declared beside it, a second deployment could be taken for one that removes them.
resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/24'] }
    subnets: [
      {
        // No underscore: Flex Consumption refuses it.
        name: 'functions'
        properties: {
          addressPrefix: '10.20.0.0/26'
          networkSecurityGroup: { id: functionsRules.id }
          delegations: [{ name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }]
          serviceEndpoints: [
            { service: 'Microsoft.Storage' }
            { service: 'Microsoft.EventHub' }
            { service: 'Microsoft.KeyVault' }
            { service: 'Microsoft.ServiceBus' }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.20.0.64/26'
          networkSecurityGroup: { id: endpointsRules.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

output networkId string = network.id
output functionsSubnetId string = '${network.id}/subnets/functions'
output endpointsSubnetId string = '${network.id}/subnets/endpoints'
