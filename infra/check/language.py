"""What the Bicep compiler would say first: names that nobody declares, parameters that a module does not have or is not given,
outputs that are not there, files that are loaded and are missing. No registry carries the compiler itself.
"""

import re
import sys

from bicep import ROOT, files, text, walk

# Functions and namespaces of the language that the templates may use.
KNOWN = set(
    "az sys any concat contains empty environment first format guid int items join json last length loadTextContent max min range "
    "replace resourceGroup resourceId shallowMerge split string subscription subscriptionResourceId substring take toLower union "
    "uniqueString deployment tenant true false null string object array bool int".split()
)


def undeclared(file):
    """Identifiers that stand for nothing."""
    declared = KNOWN | file.parameters.keys() | file.variables.keys() | file.modules.keys() | {r.symbol for r in file.resources}
    found = []

    def look(node, known):
        if node.type in ("type", "decorators", "decorator", "comment", "target_scope_assignment"):
            return
        if node.type == "for_statement":
            names = {text(child) for child in walk(node) if child.type in ("loop_variable", "loop_enumerator", "for_loop_variable")}
            names |= {text(child) for child in node.named_children[:1] if child.type == "identifier"}
            known = known | names
        children = node.named_children
        if node.type in ("object_property", "parameter_declaration", "output_declaration", "resource_declaration", "variable_declaration", "module_declaration"):
            children = children[1:]
        for child in children:
            if child.type == "identifier" and text(child) not in known:
                found.append(f"{file.name}:{child.start_point[0] + 1}: {text(child)} is not declared")
            look(child, known)

    look(file.root, declared)
    return found


def unused(file):
    names = [*file.parameters, *file.variables]
    return [f"{file.name}: {name} is not used" for name in names if len(re.findall(rf"\b{name}\b", file.text)) < 2]


def calls(file, by_name):
    """Modules as they are called, against the modules as they are."""
    problems = []
    for symbol, (path, body) in file.modules.items():
        module = by_name.get(str((file.path.parent / path).resolve().relative_to(ROOT)))
        if module is None:
            problems.append(f"{file.name}: {path} is not there")
            continue
        given = body.get("params", {})
        needed = {name for name, source in module.parameters.items() if "=" not in source.split("\n")[-1]}
        problems += [f"{file.name}: {symbol} has no parameter {name}" for name in given.keys() - module.parameters.keys()]
        problems += [f"{file.name}: {symbol} is not given {name}" for name in needed - given.keys()]
        problems += [
            f"{file.name}: {symbol} has no output {name}"
            for name in re.findall(rf"\b{symbol}\.outputs\.(\w+)", file.text)
            if name not in module.outputs
        ]
    return problems


def loaded(file):
    paths = re.findall(r"loadTextContent\('([^']+)'\)", file.text)
    return [f"{file.name}: {path} is not there" for path in paths if not (file.path.parent / path).is_file()]


def parameters(main):
    """The .bicepparam files against main.bicep."""
    problems = []
    needed = {name for name, source in main.parameters.items() if not re.search(rf"param {name} \w+ =", source)}
    for path in sorted(main.path.parent.glob("*.bicepparam")):
        content = path.read_text()
        given = set(re.findall(r"^param (\w+) =", content, re.M))
        problems += [f"{path.name}: main.bicep has no {name}" for name in given - main.parameters.keys()]
        problems += [f"{path.name}: {name} is missing" for name in needed - given]
        if "using 'main.bicep'" not in content:
            problems.append(f"{path.name}: does not say using 'main.bicep'")
    return problems


def main():
    all_files = files()
    by_name = {file.name: file for file in all_files}
    problems = []
    for file in all_files:
        problems += file.problems() + undeclared(file) + unused(file) + calls(file, by_name) + loaded(file)
        if not file.text.startswith("//"):
            problems.append(f"{file.name}: does not say what it is for")
    called = {str((file.path.parent / path).resolve().relative_to(ROOT)) for file in all_files for path, _ in file.modules.values()}
    problems += [f"{name}: nobody calls it" for name in by_name.keys() - called - {"infra/main.bicep"}]
    problems += parameters(by_name["infra/main.bicep"])
    print("\n".join(problems) or f"{len(all_files)} files fit together")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
