"""A policy is read as it is written, and what is none is refused with file, line and remedy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import InputError
from flowbench.segmentation import policy

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
  - {from: web, to: databases, ports: [5432, 8000-8100], protocols: [tcp, 47], verdict: may}
  - name: yes
    from: [any, no]
    to: outside
    verdict: must not
"""
GROUPS = "groups: {a: {addresses: 192.0.2.1}}\n"
RULE = GROUPS + "rules:\n  - {from: a, to: any, verdict: may"


def test_groups_and_rules_are_what_is_written() -> None:
    read = policy.parse(GOOD, "p")
    assert read.default is False
    assert list(read.groups) == ["web", "databases", "no"]  # YAML 1.1 would make the last one false
    web, databases, listed = read.groups.values()
    assert web.tags == (
        (("tier", frozenset({"web", "www"})), ("env", frozenset({"prod"}))),
        (("role", frozenset({"007"})),),
    )
    assert databases.ids == {
        "subnets": {"subnet-0a", "subnet-0b"},
        "vpcs": {"vpc-12"},
        "security-groups": {"sg-0f"},
    }
    assert listed.networks == (
        ("192.0.2.0", "192.0.2.255"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("198.51.100.7", "198.51.100.7"),
    )
    first, second = read.rules
    assert first.name == "web may reach databases on 5432, 8000-8100 by tcp, protocol 47"
    assert (first.line, first.sources, first.targets, first.may) == (
        16, ("web",), ("databases",), True,
    )  # fmt: skip
    assert (first.ports, first.protocols) == (((5432, 5432), (8000, 8100)), (6, 47))
    assert (second.name, second.line, second.sources) == ("yes", 17, ("any", "no"))
    assert (second.ports, second.protocols, second.may) == ((), (), False)


def test_the_example_in_the_documentation_is_a_policy() -> None:
    text = "\n".join(line[4:] for line in policy.__doc__.splitlines() if line.startswith("    "))
    assert [rule.may for rule in policy.parse(text, "doc").rules] == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "p is empty: a policy has groups and rules"),
        ("just words", "p, line 1: the policy: expected 'key: value' lines, found 'just words'"),
        ("[1, 2]", "p, line 1: the policy: expected 'key: value' lines, found a list"),
        ("rules: []", "p, line 1: the policy has no groups"),
        (GROUPS, "p, line 1: the policy has no rules"),
        (GROUPS + "rules: a", "p, line 2: rules: expected a list, found 'a'"),
        (GROUPS + "rules: []\nrules: []", "p, line 3: the policy: 'rules' stands there twice"),
        (GROUPS + "rules: []\ndefault: maybe", "p, line 3: default is 'maybe'; it can be allow"),
        (GROUPS + "rules: []\nrule: []", "p, line 3: the policy: unknown key 'rule'; known are"),
        ("groups: {any: {vpcs: vpc-1}}\nrules: []", "no group can be called any"),
        ("groups:\n  a: {}\nrules: []", "p, line 2: group 'a': expected 'key: value' lines"),
        ("groups: {a: {tag: {b: c}}}\nrules: []", "group 'a': unknown key 'tag'; known are tags"),
        (
            "groups: {a: {tags: {b: }}}\nrules: []",
            "group 'a', tag 'b': expected a word, found noth",
        ),
        ("groups: {a: {tags: {b: []}}}\nrules: []", "group 'a': a tag without a value"),
        ("groups: {a: {tags: {b: {c: d}}}}\nrules: []", "tag 'b': expected a word, found 'key: va"),
        ("groups: {a: {vpcs: production}}\nrules: []", "'production' is no id of vpcs; names are"),
        ("groups: {a: {cidrs: 10.0.0.1/8}}\nrules: []", "'10.0.0.1/8' is no network in CIDR form"),
        ("groups: {a: {addresses: 10.0.0}}\nrules: []", "'10.0.0' is no address"),
        ("groups: {a: {addresses: []}}\nrules: []", "group 'a': an empty list"),
        (RULE.replace("from: a", "from: b") + "}", "p, line 3: a rule's from: no group is called"),
        (RULE.replace("to: any, ", "") + "}", "p, line 3: a rule without 'to'"),
        (RULE.replace("may", "must") + "}", "verdict is 'must'; it can be may or must not"),
        ("countries: {may: [ch]}", "p, line 1: countries: 'ch' is no country code of two capitals"),
        ("countries: {never: [CH]}", "unknown key 'never'; known are may, must not"),
        (RULE + ", ports: 0}", "'0' is no port (1 to 65535)"),
        (RULE + ", ports: 90-80}", "'90-80' is no port"),
        (RULE + ", ports: 99999}", "'99999' is no port"),
        (RULE + ", ports: http}", "'http' is no port"),
        (RULE + ", ports: [1, {}]}", "a rule: expected a word, found {}"),
        (RULE + ", protocols: smtp}", "'smtp' is no protocol; known are icmp, tcp, udp, icmpv6"),
        (RULE + ", protocols: 256}", "'256' is no protocol"),
        (RULE + "}\n  - {from: a, to: any, verdict: may}", "stands in line 3 already"),
        ("a: &x [1]\nb: *x", "p, line 2: not YAML as a policy has it: aliases are not taken"),
        ("groups: !!python/object/apply:os.system [x]", "p, line 1: not YAML as a policy has it"),
        ("groups: {a: {vpcs: !!str vpc-1}}\nrules: []", "types are not taken"),
        ("groups: {a: {<<: {vpcs: vpc-1}}}\nrules: []", "group 'a': a key: expected a word"),
        ("? [a]\n: b", "the policy: a key: expected a word, found a list"),
        ("a: 'x", "p, line 1: not YAML as a policy has it"),
        ("a: 1\n---\nb: 2", "p, line 2: not YAML as a policy has it"),
        ("%YAML 9.0\n---\na", "p, line 1: not YAML as a policy has it"),
        ("a\x00b", "p: not YAML"),
        ("[" * 5_000, "p, line 1: not YAML as a policy has it: nested too deeply"),
        ("{a: " * 5_000, "nested too deeply"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        policy.parse(text, "p")
    assert said in str(refused.value)


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    started = time.monotonic()
    with pytest.raises(InputError, match=r"p, line 2: .*aliases are not taken"):
        policy.parse("\n".join(lines), "p")
    assert time.monotonic() - started < 1


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert policy.read(file) == policy.parse(GOOD, "p")
    file.write_bytes(b"groups:\n  \xff: 1\n")
    with pytest.raises(InputError, match=r"policy\.yaml, line 2: not UTF-8"):
        policy.read(file)
    file.write_bytes(b"#" * (257 << 10))
    with pytest.raises(InputError, match="larger than 256 kB"):
        policy.read(file)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        policy.read(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        policy.read(tmp_path)


_LEAVES = (
    st.text(max_size=8) | st.integers() | st.sampled_from(["may", "any", "vpc-1", "10.0.0.0/8"])
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
def test_any_text_is_a_policy_or_is_refused(text: str) -> None:
    try:
        read = policy.parse(text, "p")
    except InputError as error:
        assert str(error).startswith("p")  # noqa: PT017  # either is right
    else:
        assert isinstance(read.default, bool)
