// Service Bus for the function `bus`, where a source (finance & operations business events) speaks it. A message that fails
// ten times is dead-lettered, not lost. Premium is what private endpoints need; Standard has no firewall, so it stands on
// Entra alone.

param name string
param location string
param tags object
param sku string
param privateEndpoints bool
param workspaceId string
param appPrincipalId string
param locked bool

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku, tier: sku }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: (privateEndpoints && (sku == 'Premium')) ? 'Disabled' : 'Enabled'
  }
}

resource topic 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' = {
  parent: namespace
  name: 'changes'
  properties: { defaultMessageTimeToLive: 'P14D' }
}

resource reader 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' = {
  parent: topic
  name: 'concord'
  properties: {
    maxDeliveryCount: 10
    // As long as a call may take at the most that Service Bus allows.
    lockDuration: 'PT5M'
    deadLetteringOnMessageExpiration: true
    defaultMessageTimeToLive: 'P14D'
  }
}

// Azure Service Bus Data Receiver, for the trigger of `bus`. A role on the topic does not reach its subscriptions.
resource receiver 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: reader
  name: guid(reader.id, appPrincipalId, '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'audit'
  properties: { workspaceId: workspaceId, logs: [{ category: 'OperationalLogs', enabled: true }] }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: namespace
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'messages that are not read yet' }
}
