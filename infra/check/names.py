"""Names of resources as Azure takes them: each pattern is worked out with the shortest and the longest values that its
parameters admit, hyphens and capitals included, and held against the rule of its type.
"""

import re

from bicep import text
from kinds import content, decorated

# Azure resource manager, naming rules and restrictions.
RULES = {
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Storage/storageAccounts/blobServices/containers": r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "Microsoft.Storage/storageAccounts/queueServices/queues": r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "Microsoft.Storage/storageAccounts/tableServices/tables": r"[A-Za-z][A-Za-z0-9]{2,62}",
    "Microsoft.KeyVault/vaults": r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "Microsoft.EventHub/namespaces": r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "Microsoft.ServiceBus/namespaces": r"(?!.*(-sb|-mgmt)$)[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
    "Microsoft.Web/serverfarms": r"[A-Za-z0-9-]{1,60}",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "Microsoft.Network/virtualNetworks": r"[A-Za-z0-9][\w.-]{0,62}\w",
    "Microsoft.Network/networkSecurityGroups": r"[A-Za-z0-9][\w.-]{0,78}\w",
    "Microsoft.Network/privateEndpoints": r"[A-Za-z0-9][\w.-]{0,62}\w",
}


def samples(node, file, outer):
    """Texts that an expression may come to; none when that is not known."""
    if node.type == "string":
        found = [""]
        for child in node.named_children:
            parts = [text(child)] if child.type == "string_content" else samples(child.named_children[0], file, outer)
            if parts is None:
                return None
            found = [start + part for start in found for part in parts][:64]
        return found
    if node.type == "parenthesized_expression":
        return samples(node.named_children[0], file, outer)
    if node.type == "identifier":
        return declared(text(node), file, outer)
    if node.type == "member_expression":
        return member(node, file)
    if node.type == "call_expression":
        return called(node, file, outer)
    return None


def declared(name, file, outer):
    node = file.declared.get(name)
    if node is None:
        return None
    if node.type == "variable_declaration":
        return samples(content(node), file, outer)
    if name in outer:
        return outer[name]
    if allowed := decorated(node, "allowed"):
        return re.findall(r"'([^']*)'", allowed)
    least, most = decorated(node, "minLength"), decorated(node, "maxLength")
    if not least or not most:
        return None
    return [(part * int(length))[: int(length) - 1] + "a" for length in (least, most) for part in ("aB-", "aB")]


def member(node, file):
    """`it.name` of a loop over a list that stands in the file."""
    at = node
    while at is not None and at.type != "for_statement":
        at = at.parent
    over = next((child for child in at.named_children if child.type == "identifier" and text(child) in file.variables), None) if at else None
    items = file.variables.get(text(over)) if over is not None else None
    key = text(node).split(".")[-1]
    return [item[key] for item in items] if isinstance(items, list) and all(isinstance(item, dict) and key in item for item in items) else None


def called(node, file, outer):
    name, given = text(node.named_children[0]), node.named_children[-1].named_children
    if name == "uniqueString":
        return ["a" * 13]
    texts = samples(given[0], file, outer) if given else None
    if texts is None:
        return None
    if name == "toLower":
        return [one.lower() for one in texts]
    if name == "take":
        return [one[: int(text(given[1]))] for one in texts]
    if name == "replace":
        before, after = (text(one).strip("'") for one in given[1:])
        return [one.replace(before, after) for one in texts]
    return None


def wrong(file, outer):
    """Names of a file's resources that Azure would refuse; `outer` holds what the file's parameters are given."""
    problems = []
    for resource in file.resources:
        rule = RULES.get(resource.type)
        if resource.existing or rule is None:
            continue
        body = content(file.declared[resource.symbol])
        name = named(body)
        loop = body if body.type == "for_statement" else None
        found = samples(name, file, outer)
        if found is None and loop is not None and resource.body["name"].source in text(loop.named_children[0]):
            found = file.variables.get(text(loop.named_children[1]))
        if found is None:
            problems.append(f"{resource.place}: how long its name may get is not known; limit the parameters it is made of")
        problems += [f"{resource.place}: Azure refuses the name {one}" for one in found or [] if not re.fullmatch(rule, one)]
    return problems


def named(node):
    """The expression of a body's name."""
    while node.type in ("for_statement", "if_statement"):
        node = content(node)
    pairs = [child for child in node.named_children if child.type == "object_property"]
    return next(content(pair) for pair in pairs if text(pair.named_children[0]) == "name")
