// The account of raw events: what Event Hubs Capture writes, before Concord has seen it, unchangeable for the days of
// retention. It is what everything can be rebuilt from. An account of its own, because it is a lake (hierarchical namespace)
// and because the app has no rights here.

param name string
param location string
param tags object
param subnetId string
param publicNetworkAccess string
param workspaceId string
param operatorAddresses array
param captureId string
param retentionDays int
param locked bool

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_43: the name is put together in main.bicep, which it does not always follow; infra/check/names.py holds it to the rules
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_GZRS' }
  properties: {
    accessTier: 'Hot'
    isHnsEnabled: true
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: { blob: { enabled: true, keyType: 'Account' } }
    }
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: 'Deny'
      // Capture comes from the Event Hubs service itself, with its identity (Event Hubs, Capture to firewalled storage).
      bypass: 'AzureServices'
      virtualNetworkRules: [{ id: subnetId, action: 'Allow' }]
      ipRules: [for address in operatorAddresses: { value: address, action: 'Allow' }]
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: { deleteRetentionPolicy: { enabled: true, days: 14 }, containerDeleteRetentionPolicy: { enabled: true, days: 14 } }
}

resource raw 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'raw'
  properties: { publicAccess: 'None' }
}

// A file may grow while its window is open; what stands in it cannot be changed. Unlocked, as for the quarantine.
resource rawPolicy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = {
  parent: raw
  name: 'default'
  properties: { immutabilityPeriodSinceCreationInDays: retentionDays, allowProtectedAppendWritesAll: true }
}

// Older than anybody replays: to the cool tier, and gone some weeks after the policy lets go.
resource ageing 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'age'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['raw/'] }
            actions: {
              baseBlob: {
                tierToCool: { daysAfterModificationGreaterThan: 30 }
                delete: { daysAfterModificationGreaterThan: (retentionDays + 30) }
              }
            }
          }
        }
      ]
    }
  }
}

// Storage Blob Data Contributor on the container, for Capture.
resource captureRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: raw
  name: guid(raw.id, captureId, 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
    principalId: captureId
    principalType: 'ServicePrincipal'
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'StorageRead', enabled: true }, { category: 'StorageDelete', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: account
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'raw events: what everything can be rebuilt from' }
}

output accountId string = account.id
output accountName string = account.name
output containerName string = raw.name
