"""Every resource in Bicep against the types that Microsoft publishes.

The types are the models of Microsoft's management libraries for Python (azure-mgmt-*, MIT licence), each generated from the
specification of one API version; `.ci/infra.txt` pins them to the versions that the templates name. They are read, not run.
Found are: names that are misspelt or not there, what only the service writes, what is missing, wrong kinds of values, and words
that an enumeration does not have.
"""

import ast
import functools
import importlib.util
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bicep import Expression, For, files

# Resource type: the module of its models, the class of what is sent, the API version.
TYPES = {
    "Microsoft.Authorization/locks": ("azure.mgmt.resource.locks", "ManagementLockObject", "2020-05-01"),
    "Microsoft.Authorization/roleAssignments": ("azure.mgmt.authorization.v2022_04_01", "RoleAssignmentCreateParameters", "2022-04-01"),
    "Microsoft.EventHub/namespaces": ("azure.mgmt.eventhub", "EHNamespace", "2026-01-01"),
    "Microsoft.EventHub/namespaces/eventhubs": ("azure.mgmt.eventhub", "Eventhub", "2026-01-01"),
    "Microsoft.EventHub/namespaces/eventhubs/authorizationRules": ("azure.mgmt.eventhub", "AuthorizationRule", "2026-01-01"),
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": ("azure.mgmt.eventhub", "ConsumerGroup", "2026-01-01"),
    "Microsoft.EventHub/namespaces/networkRuleSets": ("azure.mgmt.eventhub", "NetworkRuleSet", "2026-01-01"),
    "Microsoft.Insights/actionGroups": ("azure.mgmt.monitor", "ActionGroupResource", "2023-01-01"),
    "Microsoft.Insights/components": ("azure.mgmt.applicationinsights.v2020_02_02", "ApplicationInsightsComponent", "2020-02-02"),
    "Microsoft.Insights/metricAlerts": ("azure.mgmt.monitor", "MetricAlertResource", "2018-03-01"),
    "Microsoft.Insights/scheduledQueryRules": ("azure.mgmt.monitor", "ScheduledQueryRuleResource", "2023-12-01"),
    "Microsoft.Insights/workbooks": ("azure.mgmt.applicationinsights.v2023_06_01", "Workbook", "2023-06-01"),
    "Microsoft.KeyVault/vaults": ("azure.mgmt.keyvault", "VaultCreateOrUpdateParameters", "2025-05-01"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("azure.mgmt.msi.v2024_11_30", "Identity", "2024-11-30"),
    "Microsoft.Network/networkSecurityGroups": ("azure.mgmt.network", "NetworkSecurityGroup", "2025-05-01"),
    "Microsoft.Network/privateDnsZones": ("azure.mgmt.privatedns", "PrivateZone", "2024-06-01"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("azure.mgmt.privatedns", "VirtualNetworkLink", "2024-06-01"),
    "Microsoft.Network/privateEndpoints": ("azure.mgmt.network", "PrivateEndpoint", "2025-05-01"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("azure.mgmt.network", "PrivateDnsZoneGroup", "2025-05-01"),
    "Microsoft.Network/virtualNetworks": ("azure.mgmt.network", "VirtualNetwork", "2025-05-01"),
    "Microsoft.OperationalInsights/workspaces": ("azure.mgmt.loganalytics", "Workspace", "2025-07-01"),
    "Microsoft.ServiceBus/namespaces": ("azure.mgmt.servicebus", "SBNamespace", "2026-01-01"),
    "Microsoft.ServiceBus/namespaces/topics": ("azure.mgmt.servicebus", "SBTopic", "2026-01-01"),
    "Microsoft.ServiceBus/namespaces/topics/subscriptions": ("azure.mgmt.servicebus", "SBSubscription", "2026-01-01"),
    "Microsoft.Storage/storageAccounts": ("azure.mgmt.storage", "StorageAccountCreateParameters", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/blobServices": ("azure.mgmt.storage", "BlobServiceProperties", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("azure.mgmt.storage", "BlobContainer", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": ("azure.mgmt.storage", "ImmutabilityPolicy", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/managementPolicies": ("azure.mgmt.storage", "ManagementPolicy", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/queueServices": ("azure.mgmt.storage", "QueueServiceProperties", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/queueServices/queues": ("azure.mgmt.storage", "StorageQueue", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/tableServices": ("azure.mgmt.storage", "TableServiceProperties", "2025-06-01"),
    "Microsoft.Storage/storageAccounts/tableServices/tables": ("azure.mgmt.storage", "Table", "2025-06-01"),
    "Microsoft.Web/serverfarms": ("azure.mgmt.web", "AppServicePlan", "2024-11-01"),
    "Microsoft.Web/sites": ("azure.mgmt.web", "Site", "2024-11-01"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": ("azure.mgmt.web", "CsmPublishingCredentialsPoliciesEntity", "2024-11-01"),
    "Microsoft.Web/sites/config": ("azure.mgmt.web", "StringDictionary", "2024-11-01"),
}
# Diagnostic settings stand in no library of today; these are their parts that we use (Azure Monitor REST reference, diagnostic
# settings, create or update).
DIAGNOSTICS = ("Microsoft.Insights/diagnosticSettings", "2021-05-01-preview")
# What Bicep itself reads of a resource.
LANGUAGE = {"name", "parent", "scope", "dependsOn"}


@dataclass
class Type:
    """A text, number or switch (`plain`), a list or map `of` something, or an object of `fields`; nothing set is anything."""

    plain: type = None
    words: frozenset = frozenset()
    of: "Type" = None
    is_list: bool = False
    fields: dict = None
    required: set = field(default_factory=set)
    read_only: bool = False


ANYTHING = Type()
TEXT = Type(plain=str)
PLAIN = {"str": str, "int": int, "bool": bool, "float": int, "long": int, "duration": str, "iso-8601": str}


class Models:
    """The classes of one library."""

    def __init__(self, module):
        place = Path(importlib.util.find_spec(module).submodule_search_locations[0])
        models = place / "models"
        source = models / "_models_py3.py" if (models / "_models_py3.py").exists() else models / "_models.py"
        self.classes = {node.name: node for node in ast.parse(source.read_text()).body if isinstance(node, ast.ClassDef)}
        self.enums = {}
        for path in models.glob("_*enums.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    values = [line.value.value for line in node.body if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)]
                    self.enums[node.name] = frozenset(values)
        self.place = place

    def speaks(self, version):
        return any(version in path.read_text() for path in self.place.rglob("*.py") if path.parent.name != "models" and "aio" not in path.parts)

    @functools.cache
    def type(self, name):
        """A class with what it inherits and, where values say which of several it is, what those add."""
        found = Type(fields={})
        for node in self.lineage(name):
            self.read(node, found)
        required = set(found.required)
        for node in self.below(name):
            self.read(node, found)
        # What one of several asks for, the others do not.
        found.required = required
        return found

    def read(self, node, into):
        (self.new_style if attribute(node, "_attribute_map") is None else self.old_style)(node, into)

    def lineage(self, name):
        node = self.classes.get(name)
        if node is None:
            return []
        bases = [base.id if isinstance(base, ast.Name) else base.attr for base in node.bases if isinstance(base, (ast.Name, ast.Attribute))]
        return [node, *(one for base in bases for one in self.lineage(base))]

    def below(self, name):
        children = [node for node in self.classes.values() if any(isinstance(base, ast.Name) and base.id == name for base in node.bases)]
        poly = attribute(self.classes[name], "_subtype_map") is not None or "discriminator" in ast.unparse(self.classes[name])[:6000]
        return children if poly else []

    def old_style(self, node, into):
        rules = ast.literal_eval(attribute(node, "_validation")) if attribute(node, "_validation") is not None else {}
        words = dict(re.findall(r":(?:ivar|vartype) (\w+): (?:str or )~[\w.]*\.(\w+)", ast.get_docstring(node) or ""))
        for python, place in ast.literal_eval(attribute(node, "_attribute_map")).items():
            *path, last = [part.replace("\0", ".") for part in place["key"].replace("\\.", "\0").split(".")]
            at = into
            for part in path:
                at = at.fields.setdefault(part, Type(fields={}))
                at.fields = {} if at.fields is None else at.fields
            found = self.named(place["type"], words.get(python))
            found.read_only = rules.get(python, {}).get("readonly", False)
            if rules.get(python, {}).get("required"):
                at.required.add(last)
            at.fields.setdefault(last, found)

    def named(self, name, words=None):
        if name.startswith(("[", "{")):
            return Type(of=self.named(name[1:-1]), is_list=name.startswith("["))
        if name in PLAIN:
            return Type(plain=PLAIN[name], words=self.enums.get(words, frozenset()))
        return self.reference(name)

    def reference(self, name):
        if name in self.enums:
            return Type(plain=str, words=self.enums[name])
        return Type(fields=name) if name in self.classes else Type()

    def new_style(self, node, into):
        for line in node.body:
            if not (isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call)):
                continue
            if getattr(line.value.func, "id", "") not in ("rest_field", "rest_discriminator"):
                continue
            options = {option.arg: option.value for option in line.value.keywords}
            name = options["name"].value if "name" in options else line.target.id
            if name in into.fields:
                continue
            shown = ast.unparse(line.annotation)
            found = self.annotated(line.annotation)
            found.read_only = "visibility" in options and ast.literal_eval(options["visibility"]) == ["read"]
            if "Optional" not in shown and not found.read_only:
                into.required.add(name)
            into.fields[name] = found

    def annotated(self, node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self.reference(node.value.split(".")[-1])
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            return Type(plain=PLAIN[name]) if name in PLAIN else Type(plain=str) if name in ("datetime", "timedelta") else Type()
        if isinstance(node, ast.Subscript):
            outer = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            inner = node.slice
            if outer == "Optional":
                return self.annotated(inner)
            if outer in ("list", "List"):
                return Type(of=self.annotated(inner), is_list=True)
            if outer in ("dict", "Dict"):
                return Type(of=self.annotated(inner.elts[1]))
            if outer == "Union":
                return self.annotated(inner.elts[1])
            if outer == "Literal":
                return Type(plain=str)
        return Type()


def attribute(node, name):
    found = [line.value for line in node.body if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == name]
    return found[0] if found else None


def diagnostics():
    log = Type(fields={"category": TEXT, "categoryGroup": TEXT, "enabled": Type(plain=bool)}, required={"enabled"})
    inside = {"workspaceId": TEXT, "logs": Type(of=log, is_list=True), "metrics": Type(of=log, is_list=True)}
    return Type(fields={"properties": Type(fields=inside)}, required={"properties"})


def compare(value, wanted, models, place):
    """What is wrong with a value."""
    if isinstance(wanted.fields, str):
        wanted = models.type(wanted.fields)
    if isinstance(value, (Expression, type(None))):
        return []
    if isinstance(value, For):
        return compare([value.body], wanted, models, place)
    if wanted.plain:
        if type(value) is not wanted.plain:
            return [f"{place}: {value!r} is no {wanted.plain.__name__}"]
        if wanted.words and value not in wanted.words:
            return [f"{place}: {value!r} is none of {', '.join(sorted(map(str, wanted.words)))}"]
        return []
    if wanted.of and wanted.is_list:
        if not isinstance(value, list):
            return [f"{place}: must be a list"]
        return [problem for i, one in enumerate(value) for problem in compare(one, wanted.of, models, f"{place}[{i}]")]
    if wanted.of:
        return [problem for key, one in value.items() for problem in compare(one, wanted.of, models, f"{place}.{key}")]
    if wanted.fields is None:
        return []
    if not isinstance(value, dict):
        return [f"{place}: must be an object"]
    problems = [f"{place}: {name} is missing" for name in sorted(wanted.required - value.keys())]
    for key, one in value.items():
        if key not in wanted.fields:
            problems.append(f"{place}: there is no {key}")
        elif wanted.fields[key].read_only:
            problems.append(f"{place}: {key} is written by the service alone")
        else:
            problems += compare(one, wanted.fields[key], models, f"{place}.{key}")
    return problems


@functools.cache
def library(module):
    return Models(module)


def check(resource):
    body = {key: value for key, value in resource.body.items() if key not in LANGUAGE}
    if (resource.type, resource.version) == DIAGNOSTICS:
        return compare(body, diagnostics(), None, resource.place)
    if resource.type not in TYPES:
        return [f"{resource.place}: name the library of {resource.type} in infra/check/arm_types.py"]
    module, name, version = TYPES[resource.type]
    models = library(module)
    if resource.version != version or not models.speaks(version):
        return [f"{resource.place}: {resource.version} is not the version that is checked, {version} of {module}"]
    if resource.existing:
        return []
    wanted = models.type(name)
    if wanted.fields == {}:
        return [f"{resource.place}: {module} has no {name}"]
    return compare(body, wanted, models, resource.place)


def read(file):
    """What a file reads of its resources must be there to read."""
    problems = []
    for resource in file.resources:
        if resource.type not in TYPES:
            continue
        module, name, _ = TYPES[resource.type]
        models = library(module)
        inside = models.type(name).fields.get("properties")
        inside = models.type(inside.fields) if inside and isinstance(inside.fields, str) else inside
        for member in re.findall(rf"\b{resource.symbol}\.properties\.(\w+)", file.text):
            if inside and inside.fields and member not in inside.fields:
                problems.append(f"{resource.place}: it has no {member} to read")
    return problems


def main():
    resources = [resource for file in files() for resource in file.resources]
    problems = [problem for file in files() for problem in file.problems()]
    problems += [problem for resource in resources for problem in check(resource)]
    problems += [problem for file in files() for problem in read(file)]
    unused = TYPES.keys() - {resource.type for resource in resources}
    problems += [f"infra/check/arm_types.py: nothing is of type {name}" for name in sorted(unused)]
    print("\n".join(problems) or f"{len(resources)} resources are as Microsoft describes them")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
