"""Whether the checks find anything: each of these breakages, made in a copy, must be refused by its check."""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAIN = "infra/main.bicep"
APP, DATA, EVENTS, ROLES, IDENTITY, ENDPOINTS = (
    f"infra/modules/{name}.bicep" for name in ("app", "storage-data", "events", "roles", "identity", "private-endpoints")
)

# Check, file, what stands there, what stands there instead, what the check then says.
MUTANTS = [
    ("arm_types", APP, "runtime: {", "runtim: {", "there is no runtim"),
    ("arm_types", APP, "ftpsState: 'Disabled'", "ftpsState: 'Off'", "'Off' is none of"),
    ("arm_types", EVENTS, "partitionCount: 4", "partitionCount: '4'", "is no int"),
    ("arm_types", DATA, "  kind: 'StorageV2'\n", "", "kind is missing"),
    ("arm_types", DATA, "properties: { publicAccess: 'None' }", "properties: { hasLegalHold: true }", "by the service alone"),
    ("language", "infra/main.bicep", "    locked: locked\n", "", "is not given locked"),
    ("language", "infra/main.bicep", "data.outputs.accountId", "data.outputs.id", "has no output id"),
    ("language", ROLES, "principalId: operatorGroup", "principalId: operators2", "operators2 is not declared"),
    ("language", "infra/modules/alerts.bicep", "queries/halt.kql", "queries/stop.kql", "is not there"),
    ("arm_types", IDENTITY, "app.properties.clientId", "app.properties.appId", "has no appId to read"),
    ("semantics", MAIN, "    locked: locked\n", "    locked: 'yes'\n", "wants locked to be bool, and it is string"),
    ("semantics", MAIN, "retentionDays: retentionDays", "retentionDays: stage", "wants retentionDays to be int, and it is string"),
    ("semantics", MAIN, "hostId: host.outputs.accountId", "hostId: callers", "wants hostId to be string, and it is array"),
    ("semantics", MAIN, "param sendKey bool = true", "param sendKey bool = 'true'", "sendKey is to be bool and is string"),
    ("semantics", IDENTITY, "output appId string = app.id", "output appId bool = app.id", "appId is to be bool and is string"),
    ("semantics", MAIN, "= if (serviceBus != 'none')", "= if (serviceBus)", "(serviceBus) is no condition"),
    ("semantics", MAIN, "output KEY_VAULT string =", "output KEY_VAULT string = endpoints.outputs.id //", "may not be there"),
    ("semantics", MAIN, "var short = ", "var short = '${busName}'\nvar busy = ", "'${busName}' needs no quotes"),
    ("semantics", MAIN, "var name = '${workload}-${stage}'", "var name = '${short}-${busName}'", "name needs busName needs name"),
    ("semantics", MAIN, "    name: '${short}host${suffix}'", "    name: '${short}functions${suffix}'", "Azure refuses the name"),
    ("semantics", MAIN, "toLower(replace(workload, '-', ''))", "toLower(workload)", "Azure refuses the name"),
    ("semantics", MAIN, "take(uniqueString(", "substring(uniqueString(", "how long its name may get is not known"),
    ("semantics", MAIN, "@maxLength(10)\n", "", "how long its name may get is not known"),
    ("semantics", MAIN, "uniqueString(resourceGroup().id, workload, stage), 8)", "uniqueString(resourceGroup().id, workload, stage))", "take takes 2 to 2"),
    ("semantics", MAIN, "name: 'roles'", "name: 'roles-${identity.outputs.appId}'", "is not known when the deployment starts"),
    ("semantics", MAIN, "var tags = {", "var stage = 'x'\nvar tags = {", "stage is declared twice"),
    ("semantics", IDENTITY, "  tags: tags\n", "  tags: tags\n  tags: tags\n", "tags stands twice"),
    ("semantics", IDENTITY, "param name string", "param name string\nparam adminPassword string", "is not @secure()"),
    ("semantics", IDENTITY, "location: location", "location: 'westeurope'", "its location is fixed"),
    ("semantics", IDENTITY, "location: location", "location: resourceGroup().location", "a location comes by a parameter"),
    ("semantics", ROLES, "scope: component\n  name: guid(component.id,", "scope: data\n  name: guid(data.id,", "component: nobody uses it"),
    ("semantics", ROLES, "roles.metricsPublisher, principalId", "roles.publisher, principalId", "roles has no publisher"),
    ("semantics", ENDPOINTS, "groupIds: [it.part]", "groupIds: [it.piece]", "it has no piece"),
    ("semantics", ENDPOINTS, "dependsOn: [link]", "dependsOn: [link, zone]", "needs not say that it depends on zone"),
    ("semantics", ENDPOINTS, "blob.${environment().suffixes.storage}", "blob.core.windows.net", "core.windows.net differs by cloud"),
    ("semantics", DATA, "'ConcordPoison'", "'Concord-Poison'", "Azure refuses the name Concord-Poison"),
    ("semantics", "infra/test.bicepparam", "param stage = 'test'", "param stage = 'tests'", "stage may not be 'tests'"),
    ("semantics", "infra/test.bicepparam", "param retentionDays = 30", "param retentionDays = '30'", "retentionDays is to be int and is string"),
    ("settings", APP, "  SWEEP_CRON: '0 */5 * * * *'\n", "", "reads SWEEP_CRON"),
    ("settings", APP, "  SWEEP_CRON:", "  WEBSITE_TIME_ZONE: 'UTC'\n  SWEEP_CRON:", "Flex Consumption forbids"),
    ("settings", APP, "  WorkQueueConnection__clientId: clientId\n", "", "is not complete"),
    ("settings", "infra/prod.bicepparam", "FINANCE_URL", "FINANCES_URL", "reads FINANCE_URL"),
    ("settings", "src/config/settings.rs", '"CONCORD_STORAGE"', '"CONCORD_STORES"', "reads CONCORD_STORES"),
    ("settings", "local.settings.example.json", '"SWEEP_CRON"', '"SWEEPS_CRON"', "does not have"),
    ("access", DATA, "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "must be False"),
    ("access", DATA, "'concord-work', ", "", "concord-work is missing"),
    ("access", DATA, "  parent: quarantine\n", "  parent: rows\n", "can be changed"),
    ("access", ROLES, "a638d3c7-ab3a-418d-83e6-5f17a39d4fde", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "not granted: appPrincipalId"),
    ("access", ROLES, "roles.secretsUser, principalId", "roles.blobOwner, principalId", "granted and not needed"),
    ("access", "infra/modules/vault.bicep", "output vaultId string = vault.id", "output vaultKey string = vault.listKeys().key", "hands out"),
    ("host", "host.json", '"defaultExecutablePath": "concord"', '"defaultExecutablePath": "./concord"', "does not match"),
    ("host", "functions/events/function.json", '"dataType": "string"', '"dataType": "text"', "is not one of"),
    ("host", "functions/work/function.json", '"queueName": "concord-work",', "", "'queueName' is a required property"),
    ("host", ".github/workflows/deploy.yml", "azure/login@a457da9ea143d694b1b9c7c869ebb04ebe844ef5 # v2.3.0", "azure/login@v2", "not pinned"),
]


def survives(mutant):
    """Why a mutant was not found; none when it was."""
    check, name, before, after, said = mutant
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("infra", "functions", "maps", "src", ".github"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("host.json", "local.settings.example.json"):
            shutil.copy(ROOT / part, copy / part)
        path = copy / name
        text = path.read_text()
        if before not in text:
            return f"{name} no longer has {before!r}"
        path.write_text(text.replace(before, after))
        ran = subprocess.run([sys.executable, copy / f"infra/check/{check}.py"], capture_output=True, text=True)
        if ran.returncode == 0 or said not in ran.stdout:
            return f"{check} does not find {after!r} in {name}: {ran.stdout}{ran.stderr}"
    return None


def main():
    with ThreadPoolExecutor(4) as together:
        missed = [problem for problem in together.map(survives, MUTANTS) if problem]
    print("\n".join(missed) or f"all {len(MUTANTS)} breakages are found")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
