"""Read a segmentation policy from YAML, with errors that name file, line and remedy.

A policy may come from anybody. Only text, lists and mappings are read, and every value as it is
written, so that no tag becomes a number. YAML aliases, type tags and deep nesting are rejected,
and so are duplicate and unknown keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from flowbench.errors import InputError
from flowbench.io import atomic
from flowbench.segmentation import values
from flowbench.segmentation.policy import PREDEFINED_GROUPS, Group, Policy, Rule

_MOST_BYTES = 256 << 10  # a thousand rules take a fifth of it
_MOST_LEVELS = 12  # a policy has six
_VERDICTS = {"allow": True, "deny": False}
_POLICY_KEYS = ("groups", "rules", "countries")
_GROUP_KEYS = ("tags", *values.IDENTIFIERS, "cidrs", "addresses")
_RULE_KEYS = ("name", "from", "to", "ports", "protocols", "verdict")
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "timestamp")}
_MOST_TEXT = 60  # characters of a value in an error

_Value = TypeVar("_Value")


def load_policy(path: Path) -> Policy:
    """Read the policy in a file. Raises InputError."""
    return parse_policy(read_policy_text(path), str(path))


def read_policy_text(path: Path) -> str:
    """Read the text of a policy file. Raises InputError if it cannot be read as a policy."""
    try:
        with atomic.open_regular(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path} is no policy: it is larger than {_MOST_BYTES >> 10} kB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8: save the policy as UTF-8") from None


def parse_policy(text: str, label: str) -> Policy:
    """Parse the text of a policy; ``label`` names it in errors. Raises InputError."""
    return _Parser(label).policy(text)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader up to the nodes, without aliases, type tags and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        self.depth += 1
        problem = (
            "aliases are not supported"
            if isinstance(event, yaml.AliasEvent)
            else "type tags are not supported"
            if event.tag is not None
            else "nested too deeply"
            if self.depth > _MOST_LEVELS
            else None
        )
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass
class _Parser:
    label: str  # the policy's name in errors

    def policy(self, text: str) -> Policy:
        root = self.compose(text)
        parts = self.mapping(root, "the policy", (*_POLICY_KEYS, "default"))
        for required in ("groups", "rules") if parts.keys() != {"countries"} else ():
            if required not in parts:
                self.fail(root, f"the policy has no {required}")
        groups = {}
        for name, node in self.pairs(parts["groups"], "groups") if "groups" in parts else ():
            if name in PREDEFINED_GROUPS:
                self.fail(node, f"a group cannot have the predefined name '{name}'")
            groups[name] = self.group(name, node)
        rule_nodes = self.items(parts["rules"], "rules") if "rules" in parts else []
        rules = [self.rule(node, groups) for node in rule_nodes]
        lines: dict[str, int] = {}
        for rule in rules:
            if lines.setdefault(rule.name, rule.line) != rule.line:
                raise InputError(
                    f"{self.label}, line {rule.line}: duplicate of the rule '{rule.name}' in line"
                    f" {lines[rule.name]}: remove one, or name them differently"
                )
        default = self.verdict(parts["default"], "default") if "default" in parts else True
        countries: dict[bool, frozenset[str]] = {}
        if "countries" in parts:
            lists = self.mapping(parts["countries"], "countries", tuple(_VERDICTS))
            for verdict, node in lists.items():
                codes = self.values(node, "countries", values.country)
                countries[_VERDICTS[verdict]] = frozenset(codes)
        if not rules and not countries:
            self.fail(root, "the policy has neither rules nor countries: it has no effect")
        return Policy(groups, tuple(rules), default, countries)

    def compose(self, text: str) -> yaml.Node:
        """Parse YAML up to its nodes."""
        try:
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{self.label}, line {mark.line + 1}" if mark else self.label
            raise InputError(f"{where}: not valid YAML for a policy: {error.problem}") from None
        except yaml.YAMLError as error:  # characters that YAML excludes
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.label}: not valid YAML: {reason}") from None
        if root is None:
            raise InputError(f"{self.label} is empty: a policy has groups and rules")
        return root

    # ---- groups and rules ---------------------------------------------------------------

    def group(self, name: str, node: yaml.Node) -> Group:
        what = f"group '{name}'"
        parts = self.mapping(node, what, _GROUP_KEYS)
        tag_sets = self.one_or_more(parts["tags"]) if "tags" in parts else []
        tags = tuple(self.tags(tag_set, what) for tag_set in tag_sets)
        ids = {
            kind: frozenset(self.values(parts[kind], what, partial(values.identifier, kind)))
            for kind in values.IDENTIFIERS
            if kind in parts
        }
        networks = [
            network
            for kind, convert in (("cidrs", values.network), ("addresses", values.address))
            if kind in parts
            for network in self.values(parts[kind], what, convert)
        ]
        return Group(name, _line(node), tags, ids, tuple(networks))

    def tags(self, node: yaml.Node, what: str) -> tuple[tuple[str, frozenset[str]], ...]:
        tags = []
        for key, value in self.pairs(node, f"{what}: tags"):
            texts = [self.text(n, f"{what}, tag '{key}'") for n in self.one_or_more(value)]
            if not texts:
                self.fail(node, f"{what}: tag '{key}' has no value")
            tags.append((key, frozenset(texts)))
        return tuple(tags)

    def rule(self, node: yaml.Node, groups: dict[str, Group]) -> Rule:
        parts = self.mapping(node, "a rule", _RULE_KEYS)
        for required in ("from", "to", "verdict"):
            if required not in parts:
                self.fail(node, f"a rule without '{required}'")

        def group_name(text: str) -> str:
            if text not in groups and text not in PREDEFINED_GROUPS:
                known = ", ".join([*groups, *PREDEFINED_GROUPS])
                raise ValueError(f"unknown group '{text}'; the policy has: {known}")
            return text

        initiators = self.values(parts["from"], "a rule's from", group_name)
        responders = self.values(parts["to"], "a rule's to", group_name)
        ports = self.values(parts["ports"], "a rule", values.ports) if "ports" in parts else ()
        protocols = (
            self.values(parts["protocols"], "a rule", values.protocol)
            if "protocols" in parts
            else ()
        )
        allow = self.verdict(parts["verdict"], "verdict")
        if "name" in parts:
            name = self.text(parts["name"], "a rule's name")
        else:
            name = values.describe_rule(initiators, responders, ports, protocols, allow=allow)
        return Rule(name, _line(node), initiators, responders, ports, protocols, allow)

    # ---- nodes --------------------------------------------------------------------------

    def fail(self, node: yaml.Node, reason: str) -> NoReturn:
        raise InputError(f"{self.label}, line {_line(node)}: {reason}")

    def pairs(self, node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node]]:
        """The keys and values of a mapping that is not empty; duplicate keys fail."""
        if not isinstance(node, yaml.MappingNode) or not node.value:
            self.fail(node, f"{what}: expected 'key: value' lines, found {_describe(node)}")
        seen = set()
        for key, value in node.value:
            text = self.text(key, f"{what}: a key")
            if text in seen:
                self.fail(key, f"{what}: duplicate key '{text}'")
            seen.add(text)
            yield text, value

    def mapping(self, node: yaml.Node, what: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        parts = dict(self.pairs(node, what))
        for key, value in parts.items():
            if key not in known:
                self.fail(value, f"{what}: unknown key '{key}'; known are {', '.join(known)}")
        return parts

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what}: expected a list, found {_describe(node)}")
        return node.value

    def one_or_more(self, node: yaml.Node) -> list[yaml.Node]:
        return node.value if isinstance(node, yaml.SequenceNode) else [node]

    def text(self, node: yaml.Node, what: str) -> str:
        """A scalar as written: 'no', 0443 and 1.10 stay text."""
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS or not node.value:
            self.fail(node, f"{what}: expected a word, found {_describe(node)}")
        return node.value

    def values(
        self, node: yaml.Node, what: str, convert: Callable[[str], _Value]
    ) -> tuple[_Value, ...]:
        """Convert one text, or each of a list; ``convert`` raises ValueError with the reason."""
        converted = []
        for item in self.one_or_more(node):
            text = self.text(item, what)
            try:
                converted.append(convert(text))
            except ValueError as error:
                self.fail(item, f"{what}: {error}")
        if not converted:
            self.fail(node, f"{what}: an empty list")
        return tuple(converted)

    def verdict(self, node: yaml.Node, what: str) -> bool:
        text = self.text(node, what)
        if text not in _VERDICTS:
            self.fail(node, f"{what} is '{text}'; it can be {' or '.join(_VERDICTS)}")
        return _VERDICTS[text]


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "'key: value' lines" if node.value else "{}"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if node.tag not in _SCALARS and node.value:
        return f"a value of the type {_shorten(node.tag)}"
    return f"'{_shorten(node.value)}'" if node.value else "nothing"


def _shorten(text: str) -> str:
    """Return the start of a text: one that is no policy may be a whole log."""
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"
