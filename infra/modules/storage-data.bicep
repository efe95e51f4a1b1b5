// The account of Concord: ledger, error records, queues, and blobs of rows too large for a table. Originals of refused events
// lie in a container of their own, where nobody can change them for the days of retention. Without a hierarchical namespace,
// because tables and queues want none. Replicated to a second region: after a failover there the ledger may be minutes behind,
// which repeats writes and loses none.

param name string
param location string
param tags object
param subnetId string
param publicNetworkAccess string
param workspaceId string
param operatorAddresses array
param retentionDays int
param locked bool

// These names are the program's own (`store::Names`).
var tables = ['ConcordLedger', 'ConcordPoison']
// The host moves what fails five times to <queue>-poison; it is made here, so that the host need not.
var queues = ['concord-work', 'concord-work-poison', 'concord-poison']

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_43: the name is put together in main.bicep, which it does not always follow; infra/check/names.py holds it to the rules
  // checkov:skip=CKV_AZURE_36: no Microsoft service but the app itself reads here, and it comes through its subnet
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_RAGZRS' }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // A key of the account for tables and queues can only be chosen now; it is what a customer's own key needs later.
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: { blob: { enabled: true, keyType: 'Account' }, table: { enabled: true, keyType: 'Account' }, queue: { enabled: true, keyType: 'Account' } }
    }
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'None'
      virtualNetworkRules: [{ id: subnetId, action: 'Allow' }]
      ipRules: [for address in operatorAddresses: { value: address, action: 'Allow' }]
    }
  }
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource table 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [for it in tables: {
  parent: tableService
  name: it
}]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [for it in queues: {
  parent: queueService
  name: it
}]

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: { deleteRetentionPolicy: { enabled: true, days: 14 }, containerDeleteRetentionPolicy: { enabled: true, days: 14 } }
}

resource rows 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'concord'
  properties: { publicAccess: 'None' }
}

resource quarantine 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'concord-quarantine'
  properties: { publicAccess: 'None' }
}

// Unlocked: an erasure request can still be met by whoever may change the policy. Lock it when the law asks for more.
resource quarantinePolicy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = {
  parent: quarantine
  name: 'default'
  properties: { immutabilityPeriodSinceCreationInDays: retentionDays, allowProtectedAppendWrites: false }
}

resource blobAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'StorageWrite', enabled: true }, { category: 'StorageDelete', enabled: true }]
  }
}

// Writes are the work itself and would cost more than they tell; deletions are not.
resource tableAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: tableService
  name: 'audit'
  properties: { workspaceId: workspaceId, logs: [{ category: 'StorageDelete', enabled: true }] }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: account
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'ledger, error records and quarantine' }
}

output accountId string = account.id
output accountName string = account.name
