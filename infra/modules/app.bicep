// The function app: Flex Consumption, runtime `custom`, the app's identity for everything. Flex Consumption refuses settings
// that other plans want (FUNCTIONS_WORKER_RUNTIME among them); infra/check/settings.py holds the list against what is set here.

param name string
param planName string
param location string
param tags object
param subnetId string
param workspaceId string
param identityId string
param clientId string
param insightsConnection string
param hostAccount string
param dataAccount string
param eventsNamespace string
param busNamespace string
param vaultName string
param otlpEndpoint string
param mapSettings object
param secretSettings array
param callers array
param zoneRedundant bool
param instanceMemory int
param maximumInstances int

var storage = environment().suffixes.storage

// Dataverse calls webhooks from the whole region's address range and nothing narrower (Power Platform, online requirements);
// what really guards is the function key and the webhook's own secret.
var dataverse = [{ name: 'dataverse', priority: 100, action: 'Allow', tag: 'ServiceTag', ipAddress: 'AzureCloud.${location}' }]
var named = [for (address, i) in callers: { name: 'caller-${i}', priority: (100 + i), action: 'Allow', ipAddress: address }]

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225: spread over zones in production; elsewhere it would bill two instances for each function
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_17: Dataverse cannot show a client certificate; a function key and a secret of its own are asked for
  // checkov:skip=CKV_AZURE_212: Flex Consumption starts instances as they are needed and has no minimum of this kind
  // checkov:skip=CKV_AZURE_213: Flex Consumption has no health check path; the alert on silence takes its place
  // checkov:skip=CKV_AZURE_222: Dataverse webhooks come from public addresses; everybody but the named ones is refused
  name: name
  location: location
  // How azd finds it.
  tags: union(tags, { 'azd-service-name': 'concord' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${hostAccount}.blob.${storage}/app-package'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
        triggers: { http: { perInstanceConcurrency: 32 } }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: [] }
      ipSecurityRestrictionsDefaultAction: 'Deny'
      ipSecurityRestrictions: empty(callers) ? dataverse : named
    }
  }
}

var connections = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  AzureWebJobsStorage__blobServiceUri: 'https://${hostAccount}.blob.${storage}'
  AzureWebJobsStorage__queueServiceUri: 'https://${hostAccount}.queue.${storage}'
  AzureWebJobsStorage__tableServiceUri: 'https://${hostAccount}.table.${storage}'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
  EventHubConnection__fullyQualifiedNamespace: '${eventsNamespace}.servicebus.windows.net'
  EventHubConnection__credential: 'managedidentity'
  EventHubConnection__clientId: clientId
  WorkQueueConnection__queueServiceUri: 'https://${dataAccount}.queue.${storage}'
  WorkQueueConnection__credential: 'managedidentity'
  WorkQueueConnection__clientId: clientId
}

// Without a Service Bus the function `bus` is switched off, and its names lead nowhere.
var bus = empty(busNamespace) ? { 'AzureWebJobs.bus.Disabled': 'true' } : {
  ServiceBusConnection__fullyQualifiedNamespace: '${busNamespace}.servicebus.windows.net'
  ServiceBusConnection__credential: 'managedidentity'
  ServiceBusConnection__clientId: clientId
}

var own = {
  AZURE_CLIENT_ID: clientId
  CONCORD_STORAGE: dataAccount
  CONCORD_MAPS: 'maps'
  CONCORD_LOG: 'info'
  EVENTS_HUB: 'changes'
  EVENTS_CONSUMER_GROUP: 'concord'
  BUS_TOPIC: 'changes'
  BUS_SUBSCRIPTION: 'concord'
  SWEEP_CRON: '0 */5 * * * *'
  CHANGES_CRON: '0 */15 * * * *'
  NIGHTLY_CRON: '0 0 2 * * *'
  OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint
  OTEL_SERVICE_NAME: 'concord'
}

// Names of secrets become references; the value is read by the host, with the app's identity.
var secretPairs = [for it in secretSettings: '"${it.setting}":"@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${it.secret})"']
var secrets = json('{${join(secretPairs, ',')}}')

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  // checkov:skip=CKV_AZURE_13: this resource is the app settings, which have no such property
  // checkov:skip=CKV_AZURE_63: this resource is the app settings, which have no such property
  // checkov:skip=CKV_AZURE_65: this resource is the app settings, which have no such property
  // checkov:skip=CKV_AZURE_66: this resource is the app settings, which have no such property
  // checkov:skip=CKV_AZURE_80: this resource is the app settings, which have no such property
  // checkov:skip=CKV_AZURE_88: this resource is the app settings, which have no such property
  // checkov:skip=CKV_AZURE_222: this resource is the app settings, which have no such property
  parent: app
  name: 'appsettings'
  properties: union(connections, bus, own, mapSettings, secrets)
}

// Code is deployed with Entra tokens; neither FTP nor the deployment site takes a password.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

// The host's own log, which tells of a handler that does not start.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'audit'
  properties: { workspaceId: workspaceId, logs: [{ category: 'FunctionAppLogs', enabled: true }] }
}

output appName string = app.name
output address string = 'https://${app.properties.defaultHostName}'
