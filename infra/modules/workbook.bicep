// One page to look at: outcomes, lag, what waits, what was set aside, drift, cost. Its queries are the files in infra/queries.

param name string
param location string
param tags object
param workspaceId string

// Titles, queries and how each is drawn.
var charts = [
  { title: 'Rows by outcome', query: loadTextContent('../queries/outcomes.kql'), drawn: 'timechart' }
  { title: 'Minutes late, 95th percentile', query: loadTextContent('../queries/lag.kql'), drawn: 'table' }
  { title: 'What waits in the queues', query: loadTextContent('../queries/waiting.kql'), drawn: 'timechart' }
  { title: 'Set aside, by map', query: loadTextContent('../queries/poisoned.kql'), drawn: 'table' }
  { title: 'Set aside, by fault', query: loadTextContent('../queries/faults.kql'), drawn: 'table' }
  { title: 'Asked to bring again', query: loadTextContent('../queries/refused.kql'), drawn: 'table' }
  { title: 'Standing still', query: loadTextContent('../queries/halt.kql'), drawn: 'table' }
  { title: 'Canaries that did not arrive', query: loadTextContent('../queries/canary.kql'), drawn: 'table' }
  { title: 'Found and mended at night', query: loadTextContent('../queries/drift.kql'), drawn: 'table' }
  { title: 'Work done', query: loadTextContent('../queries/cost.kql'), drawn: 'timechart' }
]

var parts = [for chart in charts: {
  type: 3
  name: chart.title
  content: {
    version: 'KqlItem/1.0'
    title: chart.title
    query: chart.query
    visualization: chart.drawn
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    crossComponentResources: [workspaceId]
    timeContext: { durationMs: 86400000 }
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // A workbook's name must be a GUID.
  name: guid(resourceGroup().id, name, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Concord ${name}'
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: string({ version: 'Notebook/1.0', items: parts, fallbackResourceIds: [workspaceId] })
  }
}
