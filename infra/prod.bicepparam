// Production: private endpoints, zones, locks, three months of raw events.

using 'main.bicep'

param stage = 'prod'
param mapSettings = {
  SALES_URL: readEnvironmentVariable('SALES_URL', '')
  FINANCE_URL: readEnvironmentVariable('FINANCE_URL', '')
  LOGISTICS_URL: readEnvironmentVariable('LOGISTICS_URL', '')
}
param operatorGroup = readEnvironmentVariable('OPERATOR_GROUP', '')
param alertMail = readEnvironmentVariable('ALERT_MAIL', '')
param retentionDays = 90
