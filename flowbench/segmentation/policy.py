"""A segmentation policy, as its author writes it: which groups may speak with which.

    default: allow               # what no rule says of the groups' connections: allow or deny
    groups:
      web:
        tags: {tier: web}        # all of these tags; a list of such sets: any of the sets
      databases:
        subnets: [subnet-0a1b]   # whoever lies in one of them
        security-groups: [sg-0f]
      office:
        cidrs: [192.0.2.0/24, 2001:db8::/32]
        addresses: [198.51.100.7]
        vpcs: [vpc-12]
    rules:                       # the first rule that fits decides
      - {from: web, to: databases, ports: 5432, protocols: tcp, verdict: may}
      - name: nobody else asks the databases
        from: any
        to: databases
        verdict: must not
    countries:
      must not: [KP, IR]         # or may: [CH, DE, US], and no others

A group holds what any of its lines names. ``from`` is who opened the connection. Beside the groups
there are ``any``, ``inside`` (addresses of our own) and ``outside`` (all others). Ports are service
ports: 443, 8000-8100. Protocols are tcp, udp, icmp, icmpv6 or IANA numbers. Countries, which inside
hosts may or must not reach, are ISO 3166-1 codes.

A policy may come from anybody: only YAML's text, lists and mappings are read (every value as the
text it is written as, so that no tag becomes a number), nothing is made of it but these words;
aliases, keys that stand twice and keys that nobody knows are refused with file and line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from flowbench.errors import InputError

EVERYONE = ("any", "internal", "outside")

_LARGEST = 256 << 10  # bytes: a thousand rules take a fifth of it
_DEEPEST = 12  # levels; a policy has six
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
_VERDICTS = {"may": True, "must not": False}
_DEFAULTS = {"allow": True, "deny": False}
_IDS = {
    name: re.compile(rf"{prefix}-[0-9a-zA-Z-]+")
    for name, prefix in (("subnets", "subnet"), ("vpcs", "vpc"), ("security-groups", "sg"))
}
_PARTS = ("groups", "rules", "countries")
_GROUP = ("tags", *_IDS, "cidrs", "addresses")
_RULE = ("name", "from", "to", "ports", "protocols", "verdict")
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "timestamp")}

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Group:
    """Who belongs together: whatever any of these names."""

    name: str
    line: int
    tags: tuple[tuple[tuple[str, frozenset[str]], ...], ...] = ()  # sets of tag and its values
    ids: dict[str, frozenset[str]] = field(default_factory=dict)  # subnets, vpcs, security-groups
    networks: tuple[tuple[str, str], ...] = ()  # first and last address


@dataclass(frozen=True)
class Rule:
    """Who may, or must not, open connections to whom."""

    name: str
    line: int
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    ports: tuple[tuple[int, int], ...]  # first and last; none: all
    protocols: tuple[int, ...]  # none: all
    may: bool


@dataclass(frozen=True)
class Policy:
    """Groups, rules in the order in which they are asked, and what holds where none fits."""

    groups: dict[str, Group]
    rules: tuple[Rule, ...]
    default: bool  # whether what no rule speaks of is allowed
    countries: dict[bool, frozenset[str]] = field(default_factory=dict)  # that may, or must not

    def allows(self, country: str) -> bool:
        """Whether inside hosts may reach a country (ISO 3166-1 code)."""
        return country not in self.countries.get(False, ()) and (
            country in self.countries.get(True, (country,))
        )


def read(path: Path) -> Policy:
    """The policy in a file. Raises InputError that names file, line and remedy."""
    return parse(load(path), str(path))


def load(path: Path) -> str:
    """The text of a policy file. Raises InputError when it cannot be one."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise InputError(f"{path} is no policy: it is larger than {_LARGEST >> 10} kB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8: save the policy as UTF-8") from None


def parse(text: str, label: str) -> Policy:
    """The policy in a text; ``label`` is what errors call it. Raises InputError."""
    return _Reader(label).policy(text)


class _Loader(yaml.SafeLoader):
    """What yaml.safe_load reads with, up to the nodes, without aliases, types and endless depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        self.depth += 1
        refused = (
            "aliases are not taken"
            if isinstance(event, yaml.AliasEvent)
            else "types are not taken"
            if event.tag is not None
            else "nested too deeply"
            if self.depth > _DEEPEST
            else None
        )
        if refused:
            raise yaml.MarkedYAMLError(problem=refused, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass
class _Reader:
    label: str

    def policy(self, text: str) -> Policy:
        try:
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{self.label}, line {mark.line + 1}" if mark else self.label
            raise InputError(f"{where}: not YAML as a policy has it: {error.problem}") from None
        except yaml.YAMLError as error:  # characters that no YAML may hold
            raise InputError(f"{self.label}: not YAML: {str(error).splitlines()[0]}") from None
        if root is None:
            raise InputError(f"{self.label} is empty: a policy has groups and rules")
        parts = self.mapping(root, "the policy", (*_PARTS, "default"))
        for needed in ("groups", "rules") if parts.keys() != {"countries"} else ():
            if needed not in parts:
                self.fail(root, f"the policy has no {needed}")
        groups = {}
        for key, node in self.pairs(parts["groups"], "groups") if "groups" in parts else ():
            if key in EVERYONE:
                self.fail(node, f"no group can be called {key}: it stands for {key} address")
            groups[key] = self.group(key, node)
        listed = self.items(parts["rules"], "rules") if "rules" in parts else []
        rules = [self.rule(node, groups) for node in listed]
        known: dict[str, int] = {}
        for rule in rules:
            if known.setdefault(rule.name, rule.line) != rule.line:
                raise InputError(
                    f"{self.label}, line {rule.line}: the rule '{rule.name}' stands in line"
                    f" {known[rule.name]} already: take one out, or give them names"
                )
        default = True
        if "default" in parts:
            default = self.word(parts["default"], "default", _DEFAULTS)
        countries = {}
        if "countries" in parts:
            found = self.mapping(parts["countries"], "countries", tuple(_VERDICTS))
            for verdict, node in found.items():
                countries[_VERDICTS[verdict]] = frozenset(self.each(node, "countries", _country))
        return Policy(groups, tuple(rules), default, countries)

    # ---- groups and rules ---------------------------------------------------------------

    def group(self, name: str, node: yaml.Node) -> Group:
        what = f"group '{name}'"
        parts = self.mapping(node, what, _GROUP)
        if not parts:
            self.fail(node, f"{what} is empty: give it one of {', '.join(_GROUP)}")
        sets = self.one_or_more(parts["tags"]) if "tags" in parts else []
        tags = tuple(self.tags(one, what) for one in sets)
        ids = {
            kind: frozenset(self.each(parts[kind], what, partial(_id, kind)))
            for kind in _IDS
            if kind in parts
        }
        networks = [
            span
            for kind, make in (("cidrs", _network), ("addresses", _address))
            if kind in parts
            for span in self.each(parts[kind], what, make)
        ]
        return Group(name, _line(node), tags, ids, tuple(networks))

    def tags(self, node: yaml.Node, what: str) -> tuple[tuple[str, frozenset[str]], ...]:
        found = tuple(
            (
                key,
                frozenset(
                    self.text(one, f"{what}, tag '{key}'") for one in self.one_or_more(value)
                ),
            )
            for key, value in self.pairs(node, f"{what}: tags")
        )
        if not all(values for _key, values in found):
            self.fail(node, f"{what}: a tag without a value")
        return found

    def rule(self, node: yaml.Node, groups: dict[str, Group]) -> Rule:
        parts = self.mapping(node, "a rule", _RULE)
        for needed in ("from", "to", "verdict"):
            if needed not in parts:
                self.fail(node, f"a rule without '{needed}'")

        def named(text: str) -> str:
            if text not in groups and text not in EVERYONE:
                raise ValueError(f"no group is called '{text}'; there are: "
                                 + ", ".join([*groups, *EVERYONE]))  # fmt: skip
            return text

        sources = self.each(parts["from"], "a rule's from", named)
        targets = self.each(parts["to"], "a rule's to", named)
        ports = self.each(parts["ports"], "a rule", _ports) if "ports" in parts else ()
        kinds = self.each(parts["protocols"], "a rule", _protocol) if "protocols" in parts else ()
        may = self.word(parts["verdict"], "verdict", _VERDICTS)
        if "name" in parts:
            name = self.text(parts["name"], "a rule's name")
        else:
            name = _spelt(sources, targets, ports, kinds, may=may)
        return Rule(name, _line(node), sources, targets, ports, kinds, may)

    # ---- nodes --------------------------------------------------------------------------

    def fail(self, node: yaml.Node, why: str) -> NoReturn:
        raise InputError(f"{self.label}, line {_line(node)}: {why}")

    def pairs(self, node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node]]:
        """The keys and values of a mapping that has some, each key once."""
        if not isinstance(node, yaml.MappingNode) or not node.value:
            self.fail(node, f"{what}: expected 'key: value' lines, found {_is(node)}")
        seen = set()
        for key, value in node.value:
            text = self.text(key, f"{what}: a key")
            if text in seen:
                self.fail(key, f"{what}: '{text}' stands there twice")
            seen.add(text)
            yield text, value

    def mapping(self, node: yaml.Node, what: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        found = dict(self.pairs(node, what))
        for key, value in found.items():
            if key not in known:
                self.fail(value, f"{what}: unknown key '{key}'; known are {', '.join(known)}")
        return found

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what}: expected a list, found {_is(node)}")
        return node.value

    def one_or_more(self, node: yaml.Node) -> list[yaml.Node]:
        return node.value if isinstance(node, yaml.SequenceNode) else [node]

    def text(self, node: yaml.Node, what: str) -> str:
        """A scalar as it is written: 'no', 0443 and 1.10 are what they look like."""
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN or not node.value:
            self.fail(node, f"{what}: expected a word, found {_is(node)}")
        return node.value

    def each(self, node: yaml.Node, what: str, make: Callable[[str], _Made]) -> tuple[_Made, ...]:
        """What ``make`` (which raises ValueError) makes of one text, or of each of a list."""
        made = []
        for one in self.one_or_more(node):
            text = self.text(one, what)
            try:
                made.append(make(text))
            except ValueError as error:
                self.fail(one, f"{what}: {error}")
        if not made:
            self.fail(node, f"{what}: an empty list")
        return tuple(made)

    def word(self, node: yaml.Node, what: str, words: dict[str, bool]) -> bool:
        text = self.text(node, what)
        if text not in words:
            self.fail(node, f"{what} is '{text}'; it can be {' or '.join(words)}")
        return words[text]


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _is(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "'key: value' lines" if node.value else "{}"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if node.tag not in _PLAIN and node.value:
        return f"a value of the type {node.tag}"
    return f"'{node.value}'" if node.value else "nothing"


def _id(kind: str, text: str) -> str:
    if not _IDS[kind].fullmatch(text):
        raise ValueError(f"'{text}' is no id of {kind.replace('-', ' ')}; names are not taken,"
                         " whoever owns a thing can change them")  # fmt: skip
    return text


def _network(text: str) -> tuple[str, str]:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is no network in CIDR form: {error}") from None
    return str(network.network_address), str(network.broadcast_address)


def _address(text: str) -> tuple[str, str]:
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"'{text}' is no address") from None
    return address, address


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise ValueError(f"'{text}' is no country code of two capitals (ISO 3166-1), like CH")
    return text


def _ports(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last <= 65_535:
        raise ValueError(f"'{text}' is no port (1 to 65535) and no range of ports like 8000-8100")
    return first, last


def _protocol(text: str) -> int:
    number = _PROTOCOLS.get(text.lower())
    if number is None and re.fullmatch(r"[0-9]{1,3}", text):
        number = int(text)
    if number is None or number > 255:
        raise ValueError(f"'{text}' is no protocol; known are {', '.join(_PROTOCOLS)} and numbers")
    return number


def _spelt(
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    ports: tuple[tuple[int, int], ...],
    protocols: tuple[int, ...],
    *,
    may: bool,
) -> str:
    """What a rule says, for one that has no name."""
    words = {number: word for word, number in _PROTOCOLS.items()}
    on = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ports)
    by = ", ".join(words.get(number, f"protocol {number}") for number in protocols)
    verdict = "may" if may else "must not"
    where = f" on {on}" if on else ""
    how = f" by {by}" if by else ""
    return f"{', '.join(sources)} {verdict} reach {', '.join(targets)}{where}{how}"
