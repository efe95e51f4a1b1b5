// Everything that Concord needs in one resource group, from nothing, by one deployment that may be repeated at will.
// It asks for rights on the resource group alone. Values that differ by stage stand in dev, test and prod.bicepparam.

targetScope = 'resourceGroup'

@description('The stage. Production is locked against deletion and spread over zones unless said otherwise.')
@allowed(['dev', 'test', 'prod'])
param stage string

@description('The region.')
param location string = resourceGroup().location

@description('The word that names begin with.')
@minLength(2)
@maxLength(10)
param workload string = 'concord'

@description('App settings that concord.toml names, such as SALES_URL. Addresses only; a secret is a name in Key Vault.')
param mapSettings object = {}

@description('App settings whose values are secrets: { setting, secret }, the second the name in Key Vault.')
param secretSettings array = []

@description('Addresses (CIDR) that may call the HTTP functions; empty admits the Azure region that Dataverse calls from by its service tag.')
param callers array = []

@description('Addresses (CIDR) of operators, who use the command line against storage.')
param operatorAddresses array = []

@description('The object id of the Entra group whose members may use the command line against storage; empty for nobody.')
param operatorGroup string = ''

@description('Mail address that alerts go to; empty for none.')
param alertMail string = ''

@description('Whether storage, hub and vault are reached through private endpoints only.')
param privateEndpoints bool = (stage != 'dev')

@description('Whether plan and namespaces are spread over zones. On Flex Consumption this bills two instances per function.')
param zoneRedundant bool = (stage == 'prod')

@description('Whether resources that hold data are locked against deletion.')
param locked bool = (stage == 'prod')

@description('Whether the hub has a key that may send, and nothing else, for a sender that cannot use Entra (CluedIn).')
param sendKey bool = true

@description('Service Bus for the function `bus`: none, or a sku. Private endpoints need Premium.')
@allowed(['none', 'Standard', 'Premium'])
param serviceBus string = 'none'

@description('Address of an OpenTelemetry collector that takes OTLP over HTTP; empty for none.')
param otlpEndpoint string = ''

@description('Days that raw events and quarantined originals cannot be changed or deleted.')
@minValue(1)
@maxValue(3650)
param retentionDays int = 90

@description('Memory of an instance in MB; host and handler share it.')
@allowed([512, 2048, 4096])
param instanceMemory int = 512

@description('The most instances of one function. Each may claim, so the targets see up to this many writers.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

var tags = { workload: workload, stage: stage }
var name = '${workload}-${stage}'
// Names of accounts are global, at most 24 long, and hold neither hyphens nor capitals.
var suffix = take(uniqueString(resourceGroup().id, workload, stage), 8)
// With private endpoints, nobody comes from outside but the operators that are named.
var publicNetworkAccess = (privateEndpoints && empty(operatorAddresses)) ? 'Disabled' : 'Enabled'
var busName = 'sb-${name}-${suffix}'
var short = toLower(replace(workload, '-', ''))

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: { name: name, location: location, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: { name: name, location: location, tags: tags, retentionDays: retentionDays }
}

module network 'modules/network.bicep' = {
  name: 'network'
  params: { name: name, location: location, tags: tags }
}

module host 'modules/storage-host.bicep' = {
  name: 'storage-host'
  params: {
    name: '${short}host${suffix}'
    location: location
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    subnetId: network.outputs.functionsSubnetId
    workspaceId: monitoring.outputs.workspaceId
    locked: locked
  }
}

module data 'modules/storage-data.bicep' = {
  name: 'storage-data'
  params: {
    name: '${short}data${suffix}'
    location: location
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    subnetId: network.outputs.functionsSubnetId
    workspaceId: monitoring.outputs.workspaceId
    operatorAddresses: operatorAddresses
    retentionDays: retentionDays
    locked: locked
  }
}

module raw 'modules/storage-raw.bicep' = {
  name: 'storage-raw'
  params: {
    name: '${short}raw${suffix}'
    location: location
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    subnetId: network.outputs.functionsSubnetId
    workspaceId: monitoring.outputs.workspaceId
    operatorAddresses: operatorAddresses
    captureId: identity.outputs.capturePrincipalId
    retentionDays: retentionDays
    locked: locked
  }
}

module events 'modules/events.bicep' = {
  name: 'events'
  params: {
    name: 'evhns-${name}-${suffix}'
    location: location
    tags: tags
    subnetId: network.outputs.functionsSubnetId
    workspaceId: monitoring.outputs.workspaceId
    rawAccount: raw.outputs.accountName
    rawContainer: raw.outputs.containerName
    captureIdentity: identity.outputs.captureId
    sendKey: sendKey
    privateEndpoints: privateEndpoints
    locked: locked
  }
}

module bus 'modules/bus.bicep' = if (serviceBus != 'none') {
  name: 'bus'
  params: {
    name: busName
    location: location
    tags: tags
    sku: serviceBus
    privateEndpoints: privateEndpoints
    workspaceId: monitoring.outputs.workspaceId
    appPrincipalId: identity.outputs.appPrincipalId
    locked: locked
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    name: 'kv-${short}-${suffix}'
    location: location
    tags: tags
    subnetId: network.outputs.functionsSubnetId
    workspaceId: monitoring.outputs.workspaceId
    operatorAddresses: operatorAddresses
    locked: locked
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateEndpoints) {
  name: 'private-endpoints'
  params: {
    name: name
    location: location
    tags: tags
    networkId: network.outputs.networkId
    subnetId: network.outputs.endpointsSubnetId
    hostId: host.outputs.accountId
    dataId: data.outputs.accountId
    rawId: raw.outputs.accountId
    eventsId: events.outputs.namespaceId
    vaultId: vault.outputs.vaultId
    busId: (serviceBus == 'Premium') ? resourceId('Microsoft.ServiceBus/namespaces', busName) : ''
  }
  // Named by its id, because without Premium there is none.
  dependsOn: [bus]
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  params: {
    appPrincipalId: identity.outputs.appPrincipalId
    operatorGroup: operatorGroup
    hostAccount: host.outputs.accountName
    dataAccount: data.outputs.accountName
    eventsNamespace: events.outputs.namespaceName
    vault: vault.outputs.vaultName
    insights: monitoring.outputs.insightsName
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    name: 'func-${name}-${suffix}'
    planName: 'plan-${name}'
    location: location
    tags: tags
    subnetId: network.outputs.functionsSubnetId
    workspaceId: monitoring.outputs.workspaceId
    identityId: identity.outputs.appId
    clientId: identity.outputs.appClientId
    insightsConnection: monitoring.outputs.insightsConnection
    hostAccount: host.outputs.accountName
    dataAccount: data.outputs.accountName
    eventsNamespace: events.outputs.namespaceName
    busNamespace: (serviceBus == 'none') ? '' : busName
    vaultName: vault.outputs.vaultName
    otlpEndpoint: otlpEndpoint
    mapSettings: mapSettings
    secretSettings: secretSettings
    callers: callers
    zoneRedundant: zoneRedundant
    instanceMemory: instanceMemory
    maximumInstances: maximumInstances
  }
  // The host must be able to read its package and keys when it first starts.
  dependsOn: [roles, endpoints]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    eventsId: events.outputs.namespaceId
    mail: alertMail
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: { name: name, location: location, tags: tags, workspaceId: monitoring.outputs.workspaceId }
}

// What azd and the scripts need. No key, no connection string.
output FUNCTION_APP string = app.outputs.appName
output FUNCTION_ADDRESS string = app.outputs.address
output IDENTITY_CLIENT_ID string = identity.outputs.appClientId
output KEY_VAULT string = vault.outputs.vaultName
output CONCORD_STORAGE string = data.outputs.accountName
output EVENTS_NAMESPACE string = events.outputs.namespaceName
