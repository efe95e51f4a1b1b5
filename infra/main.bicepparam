// What azd deploys: the stage that `azd env set CONCORD_STAGE` names, development unless said otherwise.

using 'main.bicep'

param stage = readEnvironmentVariable('CONCORD_STAGE', 'dev')
param mapSettings = {
  SALES_URL: readEnvironmentVariable('SALES_URL', '')
  FINANCE_URL: readEnvironmentVariable('FINANCE_URL', '')
  LOGISTICS_URL: readEnvironmentVariable('LOGISTICS_URL', '')
}
param operatorGroup = readEnvironmentVariable('OPERATOR_GROUP', '')
param alertMail = readEnvironmentVariable('ALERT_MAIL', '')
param retentionDays = int(readEnvironmentVariable('RETENTION_DAYS', '7'))
