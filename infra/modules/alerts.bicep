// What somebody must look at. Each rule asks the query of the same name in infra/queries, which is tested on sample log lines;
// a rule adds how often, how much and for how long. Alerts end by themselves when their cause does.

param name string
param location string
param tags object
param workspaceId string
param eventsId string
param mail string

resource who 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: take(name, 12)
    enabled: true
    emailReceivers: empty(mail) ? [] : [{ name: 'operators', emailAddress: mail, useCommonAlertSchema: true }]
  }
}

// More than ten rows set aside within an hour, for each map by itself.
resource poisoned 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${name}-poisoned'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Concord ${name}: more than ten rows of a map set aside within an hour'
    description: 'docs/operations.md, Poison: `concord poison list` says which and why.'
    severity: 2
    enabled: true
    autoMitigate: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT1H'
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/poisoned.kql')
          metricMeasureColumn: 'Poisoned'
          timeAggregation: 'Total'
          dimensions: [{ name: 'map', operator: 'Include', values: ['*'] }]
          operator: 'GreaterThan'
          threshold: 10
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [who.id] }
  }
}

// The stream stands still and will until somebody mends the installation.
resource halt 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${name}-halt'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Concord ${name}: halted'
    description: 'docs/operations.md, Faults by act: a credential, a role, a table or a setting. Nothing is lost while the hub keeps its events.'
    severity: 0
    enabled: true
    autoMitigate: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/halt.kql')
          metricMeasureColumn: 'Halted'
          timeAggregation: 'Total'
          dimensions: [{ name: 'code', operator: 'Include', values: ['*'] }]
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [who.id] }
  }
}

// Changes arrive late, for a quarter of an hour on end.
resource lag 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${name}-lag'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Concord ${name}: changes are more than 15 minutes late'
    description: 'docs/operations.md, What to watch: a slow target, a throttled one, or more than it takes.'
    severity: 2
    enabled: true
    autoMitigate: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/lag.kql')
          metricMeasureColumn: 'LagMinutes'
          timeAggregation: 'Maximum'
          dimensions: [{ name: 'trigger', operator: 'Include', values: ['*'] }]
          operator: 'GreaterThan'
          threshold: 15
          failingPeriods: { numberOfEvaluationPeriods: 3, minFailingPeriodsToAlert: 3 }
        }
      ]
    }
    actions: { actionGroups: [who.id] }
  }
}

// No sign of life: the sweep, which a timer starts, has not ended within an hour.
resource silence 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${name}-silence'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Concord ${name}: silent for an hour'
    description: 'The handler does not run, or its logs do not arrive. Begin with FunctionAppLogs of the function app.'
    severity: 1
    enabled: true
    autoMitigate: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/silence.kql')
          metricMeasureColumn: 'Sweeps'
          timeAggregation: 'Total'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [who.id] }
  }
}

// What was written at a source to be looked for at its target does not arrive. Silent where no map has a canary.
resource canary 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${name}-canary'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Concord ${name}: changes do not arrive'
    description: 'docs/operations.md, Canaries: a map whose stamps are not at the target in time. Events are lost, or the target is away.'
    severity: 2
    enabled: true
    autoMitigate: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/canary.kql')
          metricMeasureColumn: 'Lost'
          timeAggregation: 'Total'
          dimensions: [{ name: 'map', operator: 'Include', values: ['*'] }]
          operator: 'GreaterThan'
          threshold: 1
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [who.id] }
  }
}

// Senders are turned away: the hub needs more throughput units than it may take.
resource throttled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${name}-throttled'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Hubs refuses senders: raise maximumThroughputUnits in infra/modules/events.bicep.'
    severity: 2
    enabled: true
    autoMitigate: true
    scopes: [eventsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'throttled'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'ThrottledRequests'
          metricNamespace: 'Microsoft.EventHub/namespaces'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: [{ actionGroupId: who.id }]
  }
}
