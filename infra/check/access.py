"""What a security reader looks for in the templates: every role that is needed is granted and no other, accounts and namespaces
are hardened, no secret is read or shown, and what is stored is called what the program calls it.
"""

import json
import re
import sys

from bicep import ROOT, Expression, files

# Role definitions by their ids (Azure built-in roles).
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Azure Event Hubs Data Receiver",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Azure Service Bus Data Receiver",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Functions that hand out keys, and values made up while deploying.
SECRETIVE = re.compile(r"\b(list(?:Keys|Secrets|AccountSas|ServiceSas|Credentials|ConnectionStrings)?\(|newGuid\(|getSecret\()")
# The only output that names a connection: without a role it opens nothing (monitoring.bicep says why).
SHOWN = {"insightsConnection"}
# What must stand, literally, in each resource of a type.
HARDENED = {
    "Microsoft.Storage/storageAccounts": {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "supportsHttpsTrafficOnly": True,
        "minimumTlsVersion": "TLS1_2",
        "networkAcls.defaultAction": "Deny",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"publicAccess": "None"},
    "Microsoft.EventHub/namespaces": {"minimumTlsVersion": "1.2"},
    "Microsoft.ServiceBus/namespaces": {"minimumTlsVersion": "1.2", "disableLocalAuth": True},
    "Microsoft.KeyVault/vaults": {"enableRbacAuthorization": True, "enablePurgeProtection": True, "networkAcls.defaultAction": "Deny"},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
    "Microsoft.OperationalInsights/workspaces": {"features.disableLocalAuth": True},
    "Microsoft.Web/sites": {
        "httpsOnly": True,
        "siteConfig.minTlsVersion": "1.2",
        "siteConfig.scmMinTlsVersion": "1.2",
        "siteConfig.ftpsState": "Disabled",
        "siteConfig.remoteDebuggingEnabled": False,
        "siteConfig.ipSecurityRestrictionsDefaultAction": "Deny",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"allow": False},
}
# Resources that lose something when they are deleted, and so have a lock.
PRECIOUS = {"Microsoft.Storage/storageAccounts", "Microsoft.EventHub/namespaces", "Microsoft.ServiceBus/namespaces", "Microsoft.KeyVault/vaults"}


def granted(all_files):
    """(who, role, on what) of every role assignment, and problems of its form."""
    found, problems = set(), []
    for file in all_files:
        roles = {name: GUID.search(content.source)[0] for name, content in file.variables.get("roles", {}).items()}
        by_symbol = {resource.symbol: resource for resource in file.resources}
        for resource in file.resources:
            if resource.type != "Microsoft.Authorization/roleAssignments":
                continue
            properties, scope = resource.body["properties"], resource.body.get("scope")
            if scope is None or scope.source not in by_symbol:
                problems.append(f"{resource.place}: is not on one resource")
                continue
            if not isinstance(resource.body["name"], Expression) or not resource.body["name"].source.startswith("guid("):
                problems.append(f"{resource.place}: its name is not computed, so a second deployment would fail")
            if properties.get("principalType") not in ("ServicePrincipal", "Group"):
                problems.append(f"{resource.place}: principalType is missing, so a new identity may not be found")
            source = properties["roleDefinitionId"].source
            ids = [roles[source.split(".")[1]]] if source.startswith("roles.") else GUID.findall(source)
            if source == "role":
                ids = [roles[name] for name in re.findall(r"roles\.(\w+)", file.variables["operatorRoles"].source)]
            problems += [f"{resource.place}: {one} is no role that is known here" for one in ids if one not in ROLES]
            on = by_symbol[scope.source]
            found |= {(properties["principalId"].source, ROLES.get(one), f"{on.type} {on.symbol}") for one in ids}
    return found, problems


def needed():
    """What the functions and settings call for."""
    app, data = "appPrincipalId", "Microsoft.Storage/storageAccounts data"
    kinds = {
        "eventHubTrigger": ("Azure Event Hubs Data Receiver", "Microsoft.EventHub/namespaces/eventhubs hub"),
        "queueTrigger": ("Storage Queue Data Contributor", data),
        "serviceBusTrigger": ("Azure Service Bus Data Receiver", "Microsoft.ServiceBus/namespaces/topics/subscriptions reader"),
    }
    settings = (ROOT / "infra/modules/app.bicep").read_text()
    found = set()
    for path in (ROOT / "functions").glob("*/function.json"):
        found |= {(app, *kinds[binding["type"]]) for binding in json.loads(path.read_text())["bindings"] if binding["type"] in kinds}
    if "AzureWebJobsStorage__credential" in settings:
        host = "Microsoft.Storage/storageAccounts host"
        found |= {(app, "Storage Blob Data Owner", host), (app, "Storage Table Data Contributor", host)}
    if "CONCORD_STORAGE: dataAccount" in settings:
        kept = ["Storage Table Data Contributor", "Storage Queue Data Contributor", "Storage Blob Data Contributor"]
        found |= {(who, role, data) for role in kept for who in (app, "operatorGroup")}
    if "@Microsoft.KeyVault" in settings:
        found.add((app, "Key Vault Secrets User", "Microsoft.KeyVault/vaults secrets"))
    if "Authorization=AAD" in settings:
        found.add((app, "Monitoring Metrics Publisher", "Microsoft.Insights/components component"))
    if "captureDescription" in (ROOT / "infra/modules/events.bicep").read_text():
        found.add(("captureId", "Storage Blob Data Contributor", "Microsoft.Storage/storageAccounts/blobServices/containers raw"))
    return found


def roles(all_files):
    have, problems = granted(all_files)
    want = needed()
    # bus.bicep is deployed when a Service Bus is asked for.
    optional = {grant for grant in have if grant[1] == "Azure Service Bus Data Receiver"}
    problems += [f"a role is needed and not granted: {' · '.join(grant)}" for grant in sorted(want - have)]
    problems += [f"a role is granted and not needed: {' · '.join(grant)}" for grant in sorted(have - want - optional)]
    return problems


def at(body, path):
    for part in path.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def hardened(all_files):
    problems = []
    for file in all_files:
        resources = [resource for resource in file.resources if not resource.existing]
        for resource in resources:
            for path, wanted in HARDENED.get(resource.type, {}).items():
                found = at(resource.body.get("properties", {}), path)
                if found != wanted or type(found) is not type(wanted):
                    problems.append(f"{resource.place}: {path} must be {wanted!r}, literally")
        locked = {resource.body["scope"].source for resource in resources if resource.type == "Microsoft.Authorization/locks"}
        watched = {resource.body["scope"].source for resource in resources if resource.type == "Microsoft.Insights/diagnosticSettings"}
        for resource in resources:
            if resource.type in PRECIOUS and resource.symbol not in locked:
                problems.append(f"{resource.place}: has no lock")
            if resource.type in PRECIOUS - {"Microsoft.Storage/storageAccounts"} and resource.symbol not in watched:
                problems.append(f"{resource.place}: has no diagnostic settings")
            if resource.type == "Microsoft.Storage/storageAccounts/blobServices" and resource.symbol not in watched:
                problems.append(f"{resource.place}: has no diagnostic settings")
    return problems


def secrets(all_files):
    problems = []
    for file in all_files:
        code = re.sub(r"//.*", "", file.text)
        problems += [f"{file.name}: {found} hands out a secret" for found in SECRETIVE.findall(code)]
        for name, source in file.outputs.items():
            if re.search(r"connectionstring|[a-z]key\b|password|secret\b", source, re.I) and name not in SHOWN:
                problems.append(f"{file.name}: the output {name} looks like a secret")
        skips = re.findall(r"checkov:skip=(.*)", file.text)
        problems += [f"{file.name}: {skip} has no reason" for skip in skips if not re.match(r"CKV\w+: \S+( \S+){4}", skip)]
        problems += [f"{file.name}: {found} looks like a secret" for found in re.findall(r"'(?:[A-Za-z0-9+/]{40,}={0,2})'", code)]
    return problems


def names(all_files):
    """Tables, queues and containers against `store::Names`."""
    source = (ROOT / "src/store/config.rs").read_text()
    default = re.search(r"impl Default for Names \{(.*?)\n\}", source, re.S)[1]
    program = dict(re.findall(r'(\w+): "([^"]+)"\.into\(\)', default))
    triggers = [json.loads(path.read_text())["bindings"] for path in (ROOT / "functions").glob("*/function.json")]
    queues = {binding["queueName"] for bindings in triggers for binding in bindings if binding["type"] == "queueTrigger"}
    data = next(file for file in all_files if file.path.name == "storage-data.bicep")
    containers = {r.body["name"] for r in data.resources if r.type.endswith("/containers")}
    have = set(data.variables["tables"]) | set(data.variables["queues"]) | containers
    want = set(program.values()) | queues | {f"{queue}-poison" for queue in queues}
    problems = [f"{data.name}: {name} is missing, which the program uses" for name in sorted(want - have)]
    problems += [f"{data.name}: {name} is of no use to the program" for name in sorted(have - want)]
    kept = {name for key, name in program.items() if key == "quarantine"} | {"raw"}
    policies = {r.body["parent"].source for file in all_files for r in file.resources if r.type.endswith("/immutabilityPolicies")}
    symbols = {r.body["name"] for file in all_files for r in file.resources if r.type.endswith("/containers") and r.symbol in policies}
    problems += [f"{name} can be changed: it has no immutability policy" for name in sorted(kept - symbols)]
    return problems


def main():
    all_files = files()
    problems = roles(all_files) + hardened(all_files) + secrets(all_files) + names(all_files)
    print("\n".join(problems) or f"{len(needed())} roles are needed and granted; everything is hardened")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
