#!/usr/bin/env bash
# Deploys without azd, from a clone or a pipeline: everything that Concord needs, then the app itself. May be repeated at will.
#   infra/deploy.sh STAGE RESOURCE_GROUP [LOCATION]
# STAGE is dev, test or prod. Addresses of systems are read from the environment (SALES_URL …), as infra/STAGE.bicepparam names
# them. With PACKAGE=FILE that package is deployed, such as the one before (roll back), and with WHAT_IF=1 nothing is done but
# shown. Needs the Azure CLI, signed in, and cargo unless PACKAGE is given.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
[[ $# -ge 2 && $1 =~ ^(dev|test|prod)$ ]] || usage
readonly stage=$1 group=$2 location=${3:-}
readonly template=(--resource-group "$group" --template-file infra/main.bicep --parameters "infra/$stage.bicepparam")

if [ -n "$location" ]; then
  az group create --name "$group" --location "$location" --output none
fi
if [ -n "${WHAT_IF:-}" ]; then
  az deployment group what-if "${template[@]}"
  exit
fi
package=${PACKAGE:-dist/app.zip}
[ -n "${PACKAGE:-}" ] || cargo run --locked -- package

infra/hooks.sh before
az deployment group create --name concord "${template[@]}" --output none
# By its tag, as azd finds it too.
FUNCTION_APP=$(az functionapp list --resource-group "$group" --query "[?tags.\"azd-service-name\"=='concord'].name | [0]" --output tsv)
KEY_VAULT=$(az keyvault list --resource-group "$group" --query '[0].name' --output tsv)
export FUNCTION_APP KEY_VAULT RESOURCE_GROUP=$group PACKAGE=$package
az functionapp deployment source config-zip --name "$FUNCTION_APP" --resource-group "$group" --src "$package" --output none
infra/hooks.sh after
