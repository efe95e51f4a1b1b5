"""Bicep files as Python values: what the other checks look at.

A text without `${}` is a str, an object a dict, an array a list; everything that only a deployment can tell is an Expression
with its source. A file that does not parse is an error.
"""

from dataclasses import dataclass
from pathlib import Path

import tree_sitter
import tree_sitter_bicep

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"


@dataclass
class Expression:
    source: str


@dataclass
class For:
    """A loop: its body stands for each of its elements."""

    body: object


@dataclass
class Resource:
    file: str
    line: int
    symbol: str
    type: str
    version: str
    existing: bool
    body: dict
    comment: str

    @property
    def place(self):
        return f"{self.file}:{self.line} {self.symbol}"


class File:
    """One .bicep file."""

    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text()
        self.root = PARSER.parse(self.text.encode()).root_node
        self.resources, self.variables, self.parameters, self.outputs, self.modules = [], {}, {}, {}, {}
        # Every declaration by its name, in order; one that stands twice is in `twice`. Outputs have names of their own.
        self.declared, self.told, self.twice = {}, {}, []
        for node in self.root.children:
            self.take(node)

    def problems(self):
        """Where the parser gave up."""
        return [f"{self.name}:{node.start_point[0] + 1}: does not parse: {text(node)[:60]}" for node in broken(self.root)]

    def take(self, node):
        named = [child for child in node.named_children if child.type not in ("decorators", "comment")]
        if node.type.endswith("_declaration"):
            place = self.told if node.type == "output_declaration" else self.declared
            self.twice += [text(named[0])] if text(named[0]) in place else []
            place[text(named[0])] = node
        if node.type == "resource_declaration":
            self.resources.append(self.resource(node, named))
        elif node.type == "variable_declaration":
            self.variables[text(named[0])] = value(named[-1])
        elif node.type == "parameter_declaration":
            self.parameters[text(named[0])] = text(node)
        elif node.type == "output_declaration":
            self.outputs[text(named[0])] = text(node)
        elif node.type == "module_declaration":
            self.modules[text(named[0])] = (value(named[1]), value(named[-1]))

    def resource(self, node, named):
        kind, _, version = value(named[1]).partition("@")
        body = value(named[-1])
        while isinstance(body, For):
            body = body.body
        existing = any(child.type == "existing" for child in node.children) or " existing =" in text(node).split("\n")[0]
        above = node.prev_named_sibling
        comment = text(above) if above is not None and above.type == "comment" else ""
        return Resource(self.name, node.start_point[0] + 1, text(named[0]), kind, version, existing, body, comment)


def text(node):
    return node.text.decode()


def walk(node):
    yield node
    for child in node.named_children:
        yield from walk(child)


def used(node):
    """The identifiers that a node refers to; keys of objects and names of members are none."""
    if node.type in ("decorators", "type", "comment"):
        return
    if node.type == "identifier":
        yield text(node)
    skip = 1 if node.type == "object_property" or node.type.endswith("_declaration") else 0
    for child in [one for one in node.named_children if one.type != "decorators"][skip:]:
        yield from used(child)


def broken(node):
    if node.type == "ERROR" or node.is_missing:
        return [node]
    return [found for child in node.children for found in broken(child)]


def value(node):
    """What a node says as far as it can be known without deploying."""
    if node.type == "string":
        parts = [child for child in node.named_children if child.type != "string_content"]
        if parts or any(part.type == "interpolation" for child in node.named_children for part in child.named_children):
            return Expression(text(node))
        return text(node)[1:-1].replace("\\'", "'").replace("\\$", "$")
    if node.type == "number":
        return int(text(node))
    if node.type == "boolean":
        return text(node) == "true"
    if node.type == "null":
        return None
    if node.type == "object":
        return dict(pair(child) for child in node.named_children if child.type == "object_property")
    if node.type == "array":
        return [value(child) for child in node.named_children if child.type != "comment"]
    if node.type == "for_statement":
        return For(value(node.named_children[-1]))
    if node.type == "if_statement":
        return value(node.named_children[-1])
    if node.type == "parenthesized_expression":
        return value(node.named_children[0])
    return Expression(text(node))


def pair(node):
    key, content = [child for child in node.named_children if child.type != "comment"]
    key = value(key) if key.type == "string" else text(key)
    return (key if isinstance(key, str) else key.source), value(content)


def files():
    return [File(path) for path in sorted(INFRA.rglob("*.bicep"))]
