"""What the Bicep compiler says once it knows the names, and what its linter warns of: values of the wrong kind, declarations that
stand twice or go round in a circle, what is not known yet when a deployment starts, what may be missing, members that are not
there, names that Azure refuses, and style that `bicep lint` would mend.
"""

import re
import sys

import names
from bicep import ROOT, files, text, used, walk
from kinds import Kinds, arguments, content, decorated, wanted

# Linter, no-hardcoded-env-urls: hosts that differ by cloud.
HOSTS = re.compile(
    r"\b(api\.loganalytics\.io|azuredatalakestore\.net|core\.windows\.net|database\.windows\.net|datalake\.azure\.net|gallery\.azure\.com"
    r"|graph\.windows\.net|login\.microsoftonline\.com|management\.azure\.com|trafficmanager\.net|vault\.azure\.net)\b"
)
SECRETIVE = re.compile(r"password|pwd|secret(?!s?(name|uri|settings))|acc(oun)?tkey", re.I)


def path_of(file, symbol):
    return str((file.path.parent / file.modules[symbol][0]).resolve().relative_to(ROOT))


def at(file, node):
    return f"{file.name}:{node.start_point[0] + 1}"


def doubled(file):
    """Names, and keys of one object, that stand twice."""
    problems = [f"{file.name}: {name} is declared twice" for name in file.twice]
    for node in walk(file.root):
        keys = [text(child.named_children[0]) for child in node.named_children if child.type == "object_property"]
        problems += [f"{at(file, node)}: {key} stands twice" for key in sorted({key for key in keys if keys.count(key) > 1})]
    return problems


def circles(file):
    """Declarations that need themselves."""
    needs = {name: set(used(node)) & file.declared.keys() for name, node in file.declared.items()}
    state, problems = {}, []

    def visit(name, way):
        if state.get(name) == "under way":
            problems.append(f"{file.name}: {' needs '.join([*way[way.index(name) :], name])}")
        if name in state:
            return
        state[name] = "under way"
        for other in sorted(needs[name]):
            visit(other, [*way, name])
        state[name] = "done"

    for name in needs:
        visit(name, [])
    return problems


def mistaken(file, kinds):
    """Values of another kind than they are wanted in."""
    problems = []
    for name, node in [*file.declared.items(), *file.told.items()]:
        if node.type in ("parameter_declaration", "output_declaration") and content(node).type != "type":
            is_, to_be = kinds.of(content(node), file), wanted(node)
            if is_ and is_ != to_be:
                problems.append(f"{at(file, node)}: {name} is to be {to_be} and is {is_}")
        if node.type == "module_declaration":
            problems += parameters(file, kinds, node)
    for node in walk(file.root):
        if node.type in ("ternary_expression", "if_statement"):
            condition = node.named_children[0]
            if kinds.of(condition, file) not in ("bool", None):
                problems.append(f"{at(file, node)}: {text(condition)} is no condition")
    return problems


def parameters(file, kinds, node):
    symbol = text(node.named_children[0])
    module = kinds.by_name.get(path_of(file, symbol))
    given = next((pair for pair in walk(content(node)) if pair.type == "object_property" and text(pair.named_children[0]) == "params"), None)
    problems = []
    for pair in content(given).named_children if module and given else []:
        if pair.type != "object_property" or text(pair.named_children[0]) not in module.parameters:
            continue
        name = text(pair.named_children[0])
        is_, to_be = kinds.of(content(pair), file), wanted(module.declared[name])
        if is_ and is_ != to_be:
            problems.append(f"{at(file, pair)}: {symbol} wants {name} to be {to_be}, and it is {is_}")
    return problems


def late(file):
    """What must be known when a deployment starts, and is not: names, scopes, conditions, what a loop runs over."""
    problems = []

    def unknown(node, seen=frozenset()):
        if re.search(r"\.(outputs|properties)\b|\b(reference|list\w*)\(", text(node)):
            return True
        variables = [name for name in used(node) if name in file.variables and name not in seen]
        return any(unknown(content(file.declared[name]), seen | {name}) for name in variables)

    for name, node in file.declared.items():
        if node.type not in ("resource_declaration", "module_declaration"):
            continue
        body, early = content(node), []
        while body.type in ("for_statement", "if_statement"):
            early += [child for child in body.named_children[:-1] if child.type not in ("for_loop_parameters",)]
            body = content(body)
        keys = ("name", "scope", "parent")
        early += [content(pair) for pair in body.named_children if pair.type == "object_property" and text(pair.named_children[0]) in keys]
        problems += [f"{at(file, one)}: {text(one)} of {name} is not known when the deployment starts" for one in early if unknown(one)]
    return problems


def missing(file):
    """What a condition may leave out, read as if it were always there; members and items that are not there."""
    problems = []
    for name, node in file.declared.items():
        if node.type.startswith(("resource", "module")) and content(node).type == "if_statement":
            found = re.findall(rf"\b{name}\.(?:outputs|properties)\b[.\w]*", file.text)
            problems += [f"{file.name}: {one} may not be there" for one in found]
    objects = {name: found for name, found in file.variables.items() if isinstance(found, dict)}
    for node in walk(file.root):
        if node.type != "member_expression" or node.named_children[0].type != "identifier":
            continue
        owner, key = (text(child) for child in node.named_children[:2])
        if owner in objects and key not in objects[owner]:
            problems.append(f"{at(file, node)}: {owner} has no {key}")
        problems += [f"{at(file, node)}: {owner} has no {key}" for items in looped(file, node, owner) if key not in items]
    return problems


def looped(file, node, owner):
    """The objects that a loop variable stands for, when they stand in the file."""
    loop = node
    while loop is not None and loop.type != "for_statement":
        loop = loop.parent
    if loop is None:
        return []
    *variables, over = loop.named_children[:-1]
    found = file.variables.get(text(over))
    is_item = bool(variables) and re.fullmatch(rf"\(?{owner}\b.*", text(variables[0]))
    return [item for item in found if isinstance(item, dict)] if is_item and isinstance(found, list) else []


def linted(file):
    """The rules of `bicep lint` that warn by themselves."""
    problems = []
    for resource in file.resources:
        if resource.existing and len(re.findall(rf"\b{resource.symbol}\b", re.sub(r"//.*|'[^'$]*'", "", file.text))) < 2:
            problems.append(f"{resource.place}: nobody uses it")
        place = resource.body.get("location")
        if isinstance(place, str) and place != "global":
            problems.append(f"{resource.place}: its location is fixed")
        after = resource.body.get("dependsOn") or []
        rest = str({key: content for key, content in resource.body.items() if key != "dependsOn"})
        problems += [f"{resource.place}: needs not say that it depends on {one.source}" for one in after if re.search(rf"\b{one.source}\b", rest)]
    for name, node in file.declared.items():
        if node.type == "parameter_declaration" and wanted(node) in ("string", "object") and SECRETIVE.search(name):
            if "@secure()" not in text(node.prev_named_sibling or node):
                problems.append(f"{at(file, node)}: {name} looks like a secret and is not @secure()")
    for node in walk(file.root):
        problems += styled(file, node)
    return problems


def styled(file, node):
    problems = []
    if node.type == "string":
        parts = node.named_children
        is_key = node.parent.type == "object_property" and node.parent.named_children[0] == node
        if len(parts) == 1 and parts[0].type == "interpolation" and not is_key:
            problems.append(f"{at(file, node)}: {text(node)} needs no quotes")
        if is_key and re.fullmatch(r"'[A-Za-z_]\w*'", text(node)):
            problems.append(f"{at(file, node)}: the key {text(node)} needs no quotes")
        problems += [f"{at(file, node)}: {host} differs by cloud; ask environment()" for host in HOSTS.findall(text(node))]
    if node.type == "call_expression" and text(node.named_children[0]) == "concat":
        problems.append(f"{at(file, node)}: interpolate instead of concat()")
    if node.type == "member_expression" and re.fullmatch(r"(resourceGroup|deployment)\(\)\.location", text(node)):
        if node.parent.type != "parameter_declaration":
            problems.append(f"{at(file, node)}: a location comes by a parameter")
    return problems


def staged(main, kinds):
    """The .bicepparam files: each value of its parameter's kind and among what it allows."""
    problems = []
    for path in sorted(main.path.parent.glob("*.bicepparam")):
        for name, given in re.findall(r"^param (\w+) = (.+)", path.read_text(), re.M):
            node = main.declared.get(name)
            first = next(kind for start, kind in STARTS if re.match(start, given))
            if node is not None and first != wanted(node):
                problems.append(f"{path.name}: {name} is to be {wanted(node)} and is {first}")
            allowed = decorated(node, "allowed") if node is not None else None
            literal = re.fullmatch(r"'([^']*)'", given)
            if allowed and literal and literal[0] not in allowed:
                problems.append(f"{path.name}: {name} may not be {literal[0]}")
    return problems


STARTS = ((r"'|readEnv", "string"), (r"\{", "object"), (r"\[", "array"), (r"true|false|bool\(", "bool"), (r"", "int"))


def named(main, by_name):
    """Names of resources, with what main.bicep gives each module."""
    problems = names.wrong(main, {})
    for symbol, (_, body) in main.modules.items():
        node = content(main.declared[symbol])
        pairs = [pair for pair in walk(node) if pair.type == "object_property"]
        given = {text(pair.named_children[0]): names.samples(content(pair), main, {}) for pair in pairs if text(pair.named_children[0]) in body["params"]}
        own = next(pair for pair in pairs if text(pair.named_children[0]) == "params")
        given["name"] = names.samples(names.named(content(own)), main, {}) if "name" in body["params"] else None
        problems += names.wrong(by_name[path_of(main, symbol)], given)
    return problems


def main():
    all_files = files()
    by_name = {file.name: file for file in all_files}
    kinds, first = Kinds(by_name, path_of), by_name["infra/main.bicep"]
    problems = []
    for file in all_files:
        problems += doubled(file) + circles(file) + mistaken(file, kinds) + late(file) + missing(file) + linted(file)
        problems += arguments(file, walk(file.root))
    problems += staged(first, kinds)
    # Names are worked out from what holds so far.
    problems += [] if problems else named(first, by_name)
    print("\n".join(problems) or f"{len(all_files)} files mean what they say")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
