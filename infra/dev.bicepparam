// For trying it out: nothing locked, no private endpoints, one zone. Addresses come from the environment, as azd and CI set them.

using 'main.bicep'

param stage = 'dev'
param mapSettings = {
  SALES_URL: readEnvironmentVariable('SALES_URL', '')
  FINANCE_URL: readEnvironmentVariable('FINANCE_URL', '')
  LOGISTICS_URL: readEnvironmentVariable('LOGISTICS_URL', '')
}
param operatorGroup = readEnvironmentVariable('OPERATOR_GROUP', '')
param alertMail = readEnvironmentVariable('ALERT_MAIL', '')
param retentionDays = 7
