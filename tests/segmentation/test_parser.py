"""Parsing of a policy: as written, and otherwise an error with file, line and remedy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import InputError
from flowbench.segmentation import load_policy, parse_policy, policy

GOOD = """
default: deny
groups:
  web:
    tags:
      - {tier: [web, www], env: prod}
      - {role: 007}
  databases:
    subnets: [subnet-0a, subnet-0b]
    security-groups: sg-0f
    vpcs: vpc-12
  no:
    cidrs: [192.0.2.0/24, "2001:db8::/32"]
    addresses: 198.51.100.7
rules:
  - {from: web, to: databases, ports: [5432, 8000-8100], protocols: [tcp, 47], verdict: allow}
  - name: yes
    from: [any, no]
    to: external
    verdict: deny
"""
GROUPS = "groups: {a: {addresses: 192.0.2.1}}\n"
RULE = GROUPS + "rules:\n  - {from: a, to: any, verdict: allow"


def test_groups_and_rules_are_read_as_written() -> None:
    parsed = parse_policy(GOOD, "p")
    assert parsed.allow_by_default is False
    assert list(parsed.groups) == [
        "web",
        "databases",
        "no",
    ]  # YAML 1.1: no is false
    web, databases, networks = parsed.groups.values()
    assert web.tags == (
        (("tier", frozenset({"web", "www"})), ("env", frozenset({"prod"}))),
        (("role", frozenset({"007"})),),
    )
    assert databases.ids == {
        "subnets": {"subnet-0a", "subnet-0b"},
        "vpcs": {"vpc-12"},
        "security-groups": {"sg-0f"},
    }
    assert networks.networks == (
        ("192.0.2.0", "192.0.2.255"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("198.51.100.7", "198.51.100.7"),
    )
    first, second = parsed.rules
    assert first.name == "web may reach databases on 5432, 8000-8100 by tcp, protocol 47"
    assert (first.line, first.initiators, first.responders, first.allow) == (
        16,
        ("web",),
        ("databases",),
        True,
    )
    assert (first.ports, first.protocols) == (((5432, 5432), (8000, 8100)), (6, 47))
    assert (second.name, second.line, second.initiators) == ("yes", 17, ("any", "no"))
    assert (second.ports, second.protocols, second.allow) == ((), (), False)


def test_the_documented_example_is_a_policy() -> None:
    text = "\n".join(line[4:] for line in policy.__doc__.splitlines() if line.startswith("    "))
    assert [rule.allow for rule in parse_policy(text, "doc").rules] == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p is empty: a policy has groups and rules"),
        ("just words", "p, line 1: the policy: expected 'key: value' lines, found 'just words'"),
        ("[1, 2]", "p, line 1: the policy: expected 'key: value' lines, found a list"),
        ("rules: []", "p, line 1: the policy has no groups"),
        (GROUPS + "rules: []", "neither rules nor countries: it has no effect"),
        (GROUPS, "p, line 1: the policy has no rules"),
        (GROUPS + "rules: a", "p, line 2: rules: expected a list, found 'a'"),
        (GROUPS + "rules: []\nrules: []", "p, line 3: the policy: duplicate key 'rules'"),
        (
            GROUPS + "rules: []\ndefault: maybe",
            "p, line 3: default is 'maybe'; it can be allow or deny",
        ),
        (GROUPS + "rules: []\nrule: []", "p, line 3: the policy: unknown key 'rule'; known are"),
        (
            "groups: {any: {vpcs: vpc-1}}\nrules: []",
            "cannot have the predefined name 'any'",
        ),
        ("groups:\n  a: {}\nrules: []", "p, line 2: group 'a': expected 'key: value' lines"),
        ("groups: {a: {tag: {b: c}}}\nrules: []", "group 'a': unknown key 'tag'; known are tags"),
        (
            "groups: {a: {tags: {b: }}}\nrules: []",
            "group 'a', tag 'b': expected a word, found noth",
        ),
        ("groups: {a: {tags: {b: []}}}\nrules: []", "group 'a': tag 'b' has no value"),
        ("groups: {a: {tags: {b: {c: d}}}}\nrules: []", "tag 'b': expected a word, found 'key: va"),
        (
            "groups: {a: {vpcs: production}}\nrules: []",
            "'production' is not an identifier of vpcs",
        ),
        (
            "groups: {a: {cidrs: 10.0.0.1/8}}\nrules: []",
            "'10.0.0.1/8' is not a network in CIDR",
        ),
        ("groups: {a: {addresses: 10.0.0}}\nrules: []", "'10.0.0' is not an address"),
        ("groups: {a: {addresses: []}}\nrules: []", "group 'a': an empty list"),
        (RULE.replace("from: a", "from: b") + "}", "p, line 3: a rule's from: unknown group 'b'"),
        (RULE.replace("to: any, ", "") + "}", "p, line 3: a rule without 'to'"),
        (RULE.replace("allow", "permit") + "}", "verdict is 'permit'; it can be allow or deny"),
        ("countries: {allow: [ch]}", "p, line 1: countries: 'ch' is not a country code of two"),
        ("countries: {never: [CH]}", "unknown key 'never'; known are allow, deny"),
        (RULE + ", ports: 0}", "'0' is not a port (1 to 65535)"),
        (RULE + ", ports: 90-80}", "'90-80' is not a port"),
        (RULE + ", ports: 99999}", "'99999' is not a port"),
        (RULE + ", ports: http}", "'http' is not a port"),
        (RULE + ", ports: [1, {}]}", "a rule: expected a word, found {}"),
        (RULE + ", protocols: smtp}", "'smtp' is not a protocol; known are icmp, tcp, udp, icmpv6"),
        (RULE + ", protocols: 256}", "'256' is not a protocol"),
        (
            RULE + "}\n  - {from: a, to: any, verdict: allow}",
            "duplicate of the rule 'a may reach",
        ),
        ("a: &x [1]\nb: *x", "p, line 2: not valid YAML for a policy: aliases are not supported"),
        ("groups: !!python/object/apply:os.system [x]", "p, line 1: not valid YAML for a policy"),
        ("groups: {a: {vpcs: !!str vpc-1}}\nrules: []", "type tags are not supported"),
        ("groups: {a: {<<: {vpcs: vpc-1}}}\nrules: []", "group 'a': a key: expected a word"),
        ("? [a]\n: b", "the policy: a key: expected a word, found a list"),
        ("a: 'x", "p, line 1: not valid YAML for a policy"),
        ("a: 1\n---\nb: 2", "p, line 2: not valid YAML for a policy"),
        ("%YAML 9.0\n---\na", "p, line 1: not valid YAML for a policy"),
        ("a\x00b", "p: not valid YAML"),
        ("[" * 5_000, "p, line 1: not valid YAML for a policy: nested too deeply"),
        ("{a: " * 5_000, "nested too deeply"),
    ],
)
def test_invalid_policies_are_rejected_with_their_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_policy(text, "p")
    assert message in str(error.value)


def test_an_alias_bomb_is_rejected_at_once() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    started = time.monotonic()
    with pytest.raises(InputError, match=r"p, line 2: .*aliases are not supported"):
        parse_policy("\n".join(lines), "p")
    assert time.monotonic() - started < 1


def test_files_that_can_and_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_policy(file) == parse_policy(GOOD, "p")
    file.write_bytes(b"groups:\n  \xff: 1\n")
    with pytest.raises(InputError, match=r"policy\.yaml, line 2: not UTF-8"):
        load_policy(file)
    file.write_bytes(b"#" * (257 << 10))
    with pytest.raises(InputError, match="larger than 256 kB"):
        load_policy(file)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_policy(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: not a regular file"):
        load_policy(tmp_path)


_LEAVES = (
    st.text(max_size=8) | st.integers() | st.sampled_from(["allow", "any", "vpc-1", "10.0.0.0/8"])
)
_KEYS = st.sampled_from(
    ["default", "groups", "rules", "from", "to", "verdict", "tags", "cidrs", "vpcs", "ports", "a"]
)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60)
    | st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    ).map(repr)
)
def test_any_text_is_a_policy_or_an_input_error(text: str) -> None:
    try:
        parsed = parse_policy(text, "p")
    except InputError as error:
        assert str(error).startswith("p")  # noqa: PT017  # either is correct
    else:
        assert isinstance(parsed.allow_by_default, bool)
