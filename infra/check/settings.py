"""Every app setting that is read is set, on Azure and in the example, and none is set that nobody reads or that Flex
Consumption forbids.

What is read is found where it is read: names in the code of `src`, `%NAME%` and connections in `functions/`, `${NAME}` in `maps/`.
"""

import json
import re
import sys

from bicep import INFRA, ROOT, Expression, files

# Read by the code, and not for us to set on Azure.
ELSEWHERE = {
    "FUNCTIONS_CUSTOMHANDLER_PORT": "the host sets it",
    "FUNCTIONS_APP_ROOT_PATH": "the host sets it",
    "IDENTITY_ENDPOINT": "the platform sets it",
    "IDENTITY_HEADER": "the platform sets it",
    "AZURE_TENANT_ID": "for an application with a secret or a federated token; the app has an identity",
    "AZURE_CLIENT_SECRET": "as above",
    "AZURE_FEDERATED_TOKEN_FILE": "as above",
}
# Set on Azure, and nothing to set on a developer's machine.
AZURE_ONLY = {
    "AZURE_CLIENT_ID": "a developer is signed in instead",
    "CONCORD_LOG": "the usual level will do",
}
# Where a collector wants a password, it is one of `secretSettings`.
SECRET = {"OTEL_EXPORTER_OTLP_HEADERS"}
# Of functions and parts that a project may leave out: then they are set, and nobody minds.
SPARE = {"BUS_TOPIC", "BUS_SUBSCRIPTION", "CHANGES_CRON", "NIGHTLY_CRON", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"}
SPARE |= {f"ServiceBusConnection__{part}" for part in ("fullyQualifiedNamespace", "credential", "clientId")}
# Set in the example for the local host alone.
LOCAL_ONLY = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
# What the Functions host itself reads.
HOST = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"}
# Azure Functions, Flex Consumption: settings that must not be there.
FORBIDDEN = set(
    """FUNCTIONS_EXTENSION_VERSION FUNCTIONS_WORKER_RUNTIME FUNCTIONS_WORKER_RUNTIME_VERSION FUNCTIONS_WORKER_PROCESS_COUNT
    FUNCTIONS_MAX_HTTP_CONCURRENCY WEBSITE_RUN_FROM_PACKAGE WEBSITE_CONTENTSHARE WEBSITE_CONTENTAZUREFILECONNECTIONSTRING
    WEBSITE_CONTENTOVERVNET WEBSITE_VNET_ROUTE_ALL WEBSITE_DNS_SERVER WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT
    WEBSITE_NODE_DEFAULT_VERSION SCM_DO_BUILD_DURING_DEPLOYMENT ENABLE_ORYX_BUILD WEBSITE_TIME_ZONE TZ AzureWebJobsStorage""".split()
)
# Which settings make a connection by identity, by the kind of trigger.
ADDRESS = {"eventHubTrigger": "fullyQualifiedNamespace", "serviceBusTrigger": "fullyQualifiedNamespace", "queueTrigger": "queueServiceUri"}
NAME = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"')


def in_code():
    """Names of settings in the code that runs, by the file that reads them."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*.rs")):
        parts = path.relative_to(ROOT / "src").parts
        # Stand-ins and tests set what others read; what a command reads, whoever calls it sets.
        if "tests" in path.stem or "tests" in parts or parts[0] in ("cli", "emulator"):
            continue
        code = re.split(r"#\[cfg\((?:any\()?test", path.read_text())[0]
        for name in NAME.findall(re.sub(r"env!\([^)]*\)", "", code)):
            found[name] = str(path.relative_to(ROOT))
    return found


def in_functions():
    """Names in `%NAME%`, and connections with what completes them."""
    names, connections = {}, {"AzureWebJobsStorage": {"blobServiceUri", "queueServiceUri", "tableServiceUri"}}
    for path in sorted((ROOT / "functions").glob("*/function.json")):
        content = path.read_text()
        names |= {name: str(path.relative_to(ROOT)) for name in re.findall(r"%(\w+)%", content)}
        for binding in json.loads(content)["bindings"]:
            if "connection" in binding:
                connections.setdefault(binding["connection"], set()).add(ADDRESS[binding["type"]])
    return names, connections


def in_maps():
    found = {}
    for path in sorted((ROOT / "maps").rglob("*.toml")):
        lines = [line for line in path.read_text().split("\n") if not line.lstrip().startswith("#")]
        found |= {name: str(path.relative_to(ROOT)) for name in re.findall(r"\$\{(\w+)\}", "\n".join(lines))}
    return found


def on_azure():
    """What app.bicep sets by itself, on one condition or another."""
    app = next(file for file in files() if file.path.name == "app.bicep")
    sources = [content.source for content in app.variables.values() if isinstance(content, Expression)]
    conditional = {name.strip("'") for source in sources if "?" in source for name in re.findall(r"^\s+([\w']+): ", source, re.M)}
    conditional |= {name for source in sources for name in re.findall(r"'(AzureWebJobs\.\w+\.Disabled)'", source)}
    return conditional | {key for content in app.variables.values() if isinstance(content, dict) for key in content}


def of_stage(path):
    content = path.read_text()
    block = re.search(r"^param mapSettings = \{\n(.*?)^\}", content, re.M | re.S)
    return set(re.findall(r"^\s+(\w+):", block[1], re.M) if block else []) | set(re.findall(r"setting: '(\w+)'", content))


def main():
    code, (functions, connections), maps = in_code(), in_functions(), in_maps()
    azure = on_azure()
    local = set(json.loads((ROOT / "local.settings.example.json").read_text())["Values"])
    problems = []

    read = {name: where for name, where in (code | functions).items() if name not in ELSEWHERE}
    problems += [f"{where} reads {name}, which infra/modules/app.bicep does not set" for name, where in read.items() if name not in azure | SECRET]
    problems += [
        f"{where} reads {name}, which local.settings.example.json does not have"
        for name, where in (read | maps).items()
        if name not in local and name not in AZURE_ONLY
    ]
    wanted = {f"{name}__{part}" for name, parts in connections.items() for part in (*parts, "credential", "clientId")}
    problems += [f"the connection of {name} is not complete: app.bicep does not set it" for name in sorted(wanted - azure)]
    problems += [f"local.settings.example.json does not have the connection {name}" for name in connections.keys() - local]
    for path in sorted(INFRA.glob("*.bicepparam")):
        problems += [f"{where} reads {name}, which infra/{path.name} does not set" for name, where in maps.items() if name not in of_stage(path)]

    disabling = {name for name in azure if re.fullmatch(r"AzureWebJobs\.\w+\.Disabled", name)}
    idle = azure - read.keys() - wanted - HOST - SPARE - disabling
    problems += [f"app.bicep sets {name}, which nobody reads" for name in sorted(idle)]
    idle = local - read.keys() - maps.keys() - connections.keys() - LOCAL_ONLY - disabling
    problems += [f"local.settings.example.json has {name}, which nobody reads" for name in sorted(idle)]
    problems += [f"app.bicep sets {name}, which Flex Consumption forbids" for name in sorted(azure & FORBIDDEN)]
    gone = (ELSEWHERE.keys() | AZURE_ONLY.keys()) - code.keys() - {"IDENTITY_HEADER"}
    problems += [f"infra/check/settings.py excuses {name}, which nobody reads" for name in sorted(gone)]
    print("\n".join(problems) or f"{len(read) + len(maps)} settings and {len(connections)} connections are set")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
