// As production is built, without its locks and zones: private endpoints, so that what they break is seen before it matters.

using 'main.bicep'

param stage = 'test'
param mapSettings = {
  SALES_URL: readEnvironmentVariable('SALES_URL', '')
  FINANCE_URL: readEnvironmentVariable('FINANCE_URL', '')
  LOGISTICS_URL: readEnvironmentVariable('LOGISTICS_URL', '')
}
param operatorGroup = readEnvironmentVariable('OPERATOR_GROUP', '')
param alertMail = readEnvironmentVariable('ALERT_MAIL', '')
param retentionDays = 30
