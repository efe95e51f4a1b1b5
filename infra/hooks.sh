#!/bin/sh
# What a template cannot do, before and after it: azd and infra/deploy.sh call this, and it may be called again at will.
#   hooks.sh before    the resource provider that the functions' subnet is delegated to
#   hooks.sh after     waits until the host has the functions, then registers the webhooks of concord.toml in Dataverse
# After: FUNCTION_APP, KEY_VAULT and AZURE_RESOURCE_GROUP (or RESOURCE_GROUP) name what was deployed, PACKAGE the zip of it.
set -eu
group=${RESOURCE_GROUP:-${AZURE_RESOURCE_GROUP:-}}
root=$(cd "$(dirname "$0")/.." && pwd)
package=${PACKAGE:-$root/dist/app.zip}

before() {
  az provider register --namespace Microsoft.App --wait
}

# The host answers with its functions once the handler runs.
served() {
  # Names stand in a zip as they are.
  wanted=$(grep -ao '[A-Za-z0-9_-]*/function\.json' "$package" | sort -u | wc -l)
  for _ in $(seq 1 30); do
    found=$(az functionapp function list --name "$FUNCTION_APP" --resource-group "$group" --query 'length(@)' --output tsv || echo 0)
    [ "${found:-0}" -ge "$wanted" ] && echo "$FUNCTION_APP serves $found functions" && return
    sleep 10
  done
  echo "$FUNCTION_APP serves ${found:-no} functions of $wanted; look at FunctionAppLogs in its workspace" >&2
  exit 1
}

# The settings that concord.toml names as secrets of webhooks.
secrets() {
  sed -n 's/^ *webhook_secret *= *"\${\([A-Z0-9_]*\)}".*/\1/p' "$root/maps/concord.toml"
}

# secret SETTING: its value, made up and put into the vault when there is none. It is put there through Azure's own management,
# which the vault's firewall does not stand before, and through a file, which other users of the machine cannot see.
secret() {
  name=$(echo "$1" | tr 'A-Z_' 'a-z-')
  vault=$(az keyvault show --name "$KEY_VAULT" --resource-group "$group" --query id --output tsv)
  url="https://management.azure.com$vault/secrets/$name?api-version=2025-05-01"
  eval "value=\${$1:-}"
  if [ -z "$value" ]; then
    az rest --method get --url "$url" --output none 2>/dev/null && return
    value=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  fi
  file=$(mktemp)
  printf '{"properties":{"value":"%s"}}' "$value" >"$file"
  az rest --method put --url "$url" --body "@$file" --output none
  rm -f "$file"
  echo "$value"
}

# What was registered before stays; with SETTING=VALUE in the environment it is registered again, with that value.
registered() {
  missing=
  for setting in $(secrets); do
    value=$(secret "$setting")
    [ -n "$value" ] || missing=$setting
    export "$setting=$value"
  done
  [ -n "${setting:-}" ] || return 0
  [ -z "$missing" ] || { echo "$missing is in the vault, so webhooks are taken as registered; set it to register them anew" && return 0; }
  az functionapp restart --name "$FUNCTION_APP" --resource-group "$group"
  WEBHOOK_FUNCTION_KEY=$(az functionapp function keys list --name "$FUNCTION_APP" --resource-group "$group" --function-name webhook --query default --output tsv)
  host=$(az functionapp show --name "$FUNCTION_APP" --resource-group "$group" --query defaultHostName --output tsv)
  export WEBHOOK_FUNCTION_KEY
  # Whoever deploys has no rights on the storage, so this stands in the environment's own audit, not in Concord's.
  unset CONCORD_STORAGE
  cd "$root" && cargo run --locked -- webhook register --url "https://$host"
}

case "${1:-}" in
  before) before ;;
  after) served && registered ;;
  *) echo "usage: hooks.sh before|after" >&2 && exit 2 ;;
esac
