// One workspace for logs of the app and audit logs of everything else, and Application Insights on top of it. Neither takes
// keys: whoever sends needs the role Monitoring Metrics Publisher.

param name string
param location string
param tags object
param retentionDays int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-${name}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    // Audit logs are kept for 90 days at least.
    retentionInDays: max(retentionDays, 90)
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${name}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
  }
}

output workspaceId string = workspace.id
output insightsName string = insights.name
// No secret: it names the component and its address, and without a role nothing is taken (local authentication is off).
output insightsConnection string = insights.properties.ConnectionString
