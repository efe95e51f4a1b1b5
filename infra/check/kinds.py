"""What kind of value an expression is (text, number, switch, list, object), and of what kind a module, a parameter or an output
wants it.
"""

import re

from bicep import text

RETURNS = {
    "string": "concat format guid join loadTextContent readEnvironmentVariable replace resourceId string subscriptionResourceId substring take toLower uniqueString",
    "int": "int length max min",
    "bool": "contains empty startsWith",
    "array": "split range",
    "object": "environment resourceGroup subscription union",
}
OF_FUNCTION = {name: kind for kind, names in RETURNS.items() for name in names.split()}
# How many arguments a function takes, at least and at most.
ARGUMENTS = {
    "empty": (1, 1), "environment": (0, 0), "guid": (1, 99), "json": (1, 1), "join": (2, 2), "loadTextContent": (1, 2), "max": (1, 99),
    "replace": (3, 3), "resourceGroup": (0, 2), "string": (1, 1), "subscription": (0, 1), "subscriptionResourceId": (2, 99), "take": (2, 2),
    "toLower": (1, 1), "union": (2, 99), "uniqueString": (1, 99),
}  # fmt: skip
LITERALS = {"string": "string", "number": "int", "boolean": "bool", "object": "object", "array": "array", "for_statement": "array"}
OPERATORS = {"==": "bool", "!=": "bool", "&&": "bool", "||": "bool", "<": "bool", ">": "bool", "<=": "bool", ">=": "bool"}


def content(node):
    """The value that a declaration gives."""
    return node.named_children[-1]


def wanted(node):
    """The kind that a parameter or an output says it is."""
    found = next((child for child in node.named_children if child.type == "type"), None)
    return text(found) if found is not None else None


class Kinds:
    """Over all files: what each expression is, as far as it can be told; none when it cannot."""

    def __init__(self, by_name, path_of):
        self.by_name, self.path_of = by_name, path_of

    def of(self, node, file):
        if node.type in LITERALS:
            return LITERALS[node.type]
        if node.type == "parenthesized_expression":
            return self.of(node.named_children[0], file)
        if node.type == "ternary_expression":
            kinds = {self.of(child, file) for child in node.named_children[1:]}
            return kinds.pop() if len(kinds) == 1 else None
        if node.type == "binary_expression":
            return next((OPERATORS[child.type] for child in node.children if child.type in OPERATORS), "int")
        if node.type == "unary_expression":
            return "bool" if node.children[0].type == "!" else "int"
        if node.type == "call_expression":
            return OF_FUNCTION.get(text(node.named_children[0]))
        if node.type == "identifier":
            return self.named(text(node), file)
        if node.type == "member_expression":
            return self.member(text(node).split("."), file)
        return None

    def named(self, name, file):
        node = file.declared.get(name)
        if node is None:
            return None
        if node.type == "parameter_declaration":
            return wanted(node)
        return self.of(content(node), file) if node.type == "variable_declaration" else None

    def member(self, parts, file):
        node = file.declared.get(parts[0])
        if node is None or len(parts) < 2:
            return None
        if node.type == "module_declaration" and parts[1] == "outputs" and len(parts) == 3:
            module = self.by_name.get(self.path_of(file, parts[0]))
            told = module.told.get(parts[2]) if module else None
            return wanted(told) if told is not None else None
        return "string" if node.type == "resource_declaration" and parts[1:] in (["id"], ["name"], ["location"], ["type"]) else None


def arguments(file, nodes):
    """Functions that are given too little or too much."""
    problems = []
    for node in nodes:
        if node.type != "call_expression" or text(node.named_children[0]) not in ARGUMENTS:
            continue
        name = text(node.named_children[0])
        given = sum(len(child.named_children) for child in node.named_children if child.type == "arguments")
        least, most = ARGUMENTS[name]
        if not least <= given <= most:
            problems.append(f"{file.name}:{node.start_point[0] + 1}: {name} takes {least} to {most} arguments, not {given}")
    return problems


def decorated(node, name):
    """What a decorator of a declaration says; none without it."""
    above = node.prev_named_sibling
    found = re.findall(rf"@{name}\(([^)]*)\)", text(above)) if above is not None and above.type == "decorators" else []
    return found[0] if found else None
