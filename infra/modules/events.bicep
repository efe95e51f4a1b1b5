// The hub that changes arrive on, with Capture to the raw account. Four partitions: the order of one row is kept by the ledger,
// not by the partition, so their number only says how many batches run at once. Retention is the longest of Standard, because
// a halt (a lost role, a column gone) must be mended before events age away.

param name string
param location string
param tags object
param subnetId string
param workspaceId string
param rawAccount string
param rawContainer string
param captureIdentity string
param sendKey bool
param privateEndpoints bool
param locked bool

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard', capacity: 1 }
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${captureIdentity}': {} } }
  properties: {
    // CluedIn's stream knows connection strings only. With a key at all, the namespace takes keys; the only one made here may
    // send to the one hub and nothing else.
    disableLocalAuth: !sendKey
    minimumTlsVersion: '1.2'
    isAutoInflateEnabled: true
    maximumThroughputUnits: 4
  }
}

resource rules 'Microsoft.EventHub/namespaces/networkRuleSets@2026-01-01' = {
  parent: namespace
  name: 'default'
  properties: {
    // Senders are elsewhere as a rule; with private endpoints they come through one of their own.
    publicNetworkAccess: privateEndpoints ? 'Disabled' : 'Enabled'
    defaultAction: privateEndpoints ? 'Deny' : 'Allow'
    trustedServiceAccessEnabled: true
    virtualNetworkRules: [{ subnet: { id: subnetId }, ignoreMissingVnetServiceEndpoint: false }]
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: rawAccount
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' = {
  parent: namespace
  name: 'changes'
  properties: {
    partitionCount: 4
    retentionDescription: { cleanupPolicy: 'Delete', retentionTimeInHours: 168 }
    captureDescription: {
      enabled: true
      encoding: 'Avro'
      intervalInSeconds: 300
      sizeLimitInBytes: 104857600
      skipEmptyArchives: true
      destination: {
        name: 'EventHubArchive.AzureBlockBlob'
        identity: { type: 'UserAssigned', userAssignedIdentity: captureIdentity }
        properties: {
          storageAccountResourceId: storage.id
          blobContainer: rawContainer
          archiveNameFormat: '{Namespace}/{EventHub}/{Year}/{Month}/{Day}/{Hour}/{PartitionId}/{Minute}-{Second}'
        }
      }
    }
  }
}

// A group of the app's own: two readers of one group take events from each other.
resource group 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2026-01-01' = {
  parent: hub
  name: 'concord'
  properties: {}
}

resource sender 'Microsoft.EventHub/namespaces/eventhubs/authorizationRules@2026-01-01' = if (sendKey) {
  parent: hub
  name: 'send'
  properties: { rights: ['Send'] }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'audit'
  properties: { workspaceId: workspaceId, logs: [{ category: 'OperationalLogs', enabled: true }] }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: namespace
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'events that are not read yet' }
}

output namespaceId string = namespace.id
output namespaceName string = namespace.name
