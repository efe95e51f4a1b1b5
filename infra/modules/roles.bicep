// Who may do what: each role at the narrowest scope that works, and no other. What a role is for stands beside it; the identity
// of Capture has its one role beside the raw container, and the Service Bus queue has its own.

param appPrincipalId string
param operatorGroup string
param hostAccount string
param dataAccount string
param eventsNamespace string
param vault string
param insights string

var roles = {
  blobOwner: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b')
  blobContributor: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
  tableContributor: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3')
  queueContributor: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '974c5e8b-45b9-4653-ba55-5f855dd0fb88')
  eventsReceiver: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde')
  secretsUser: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  metricsPublisher: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '3913510d-42f4-4e42-8a64-420c390055eb')
}

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostAccount
}

resource data 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: dataAccount
}

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' existing = {
  name: eventsNamespace
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' existing = {
  parent: namespace
  name: 'changes'
}

resource secrets 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vault
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insights
}

// AzureWebJobsStorage by identity: leases, checkpoints, timers, keys, the package (Azure Functions, host storage permissions).
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: host
  name: guid(host.id, appPrincipalId, roles.blobOwner)
  properties: { roleDefinitionId: roles.blobOwner, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// The host's own diagnostic events, which it warns about for ever when it cannot write them.
resource hostTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: host
  name: guid(host.id, appPrincipalId, roles.tableContributor)
  properties: { roleDefinitionId: roles.tableContributor, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// Ledger and error records. The account holds nothing but what is Concord's.
resource dataTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data
  name: guid(data.id, appPrincipalId, roles.tableContributor)
  properties: { roleDefinitionId: roles.tableContributor, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// The work queue is read by the trigger and written by the handler; the host moves what fails to its poison queue.
resource dataQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data
  name: guid(data.id, appPrincipalId, roles.queueContributor)
  properties: { roleDefinitionId: roles.queueContributor, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// Large rows and quarantined originals.
resource dataBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data
  name: guid(data.id, appPrincipalId, roles.blobContributor)
  properties: { roleDefinitionId: roles.blobContributor, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// The trigger of `events`. A consumer group alone is too narrow: the trigger is then refused (Event Hubs, Listen claim required).
resource eventsReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hub
  name: guid(hub.id, appPrincipalId, roles.eventsReceiver)
  properties: { roleDefinitionId: roles.eventsReceiver, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// App settings that are references to secrets.
resource secretsReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: secrets
  name: guid(secrets.id, appPrincipalId, roles.secretsUser)
  properties: { roleDefinitionId: roles.secretsUser, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// Logs and metrics, since the component takes no key.
resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: component
  name: guid(component.id, appPrincipalId, roles.metricsPublisher)
  properties: { roleDefinitionId: roles.metricsPublisher, principalId: appPrincipalId, principalType: 'ServicePrincipal' }
}

// Operators at the command line read and mend what the handler keeps: the same three roles, on the same account, for people.
var operatorRoles = empty(operatorGroup) ? [] : [roles.tableContributor, roles.queueContributor, roles.blobContributor]

resource operators 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in operatorRoles: {
  scope: data
  name: guid(data.id, operatorGroup, role)
  properties: { roleDefinitionId: role, principalId: operatorGroup, principalType: 'Group' }
}]
