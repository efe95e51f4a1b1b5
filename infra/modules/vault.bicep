// The vault of what must be secret: the webhook's shared secrets and, for systems that know no identity, their passwords. The
// template never sees a value. The app reads, and can neither list keys nor change anything.

param name string
param location string
param tags object
param subnetId string
param workspaceId string
param operatorAddresses array
param locked bool

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'None'
      virtualNetworkRules: [{ id: subnetId, ignoreMissingVnetServiceEndpoint: false }]
      ipRules: [for address in operatorAddresses: { value: address }]
    }
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: { workspaceId: workspaceId, logs: [{ category: 'AuditEvent', enabled: true }] }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: vault
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: 'secrets that senders hold too' }
}

output vaultId string = vault.id
output vaultName string = vault.name
