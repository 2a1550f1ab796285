"""Segmentation policies: which groups of hosts may communicate with which.

A policy is a YAML file:

    default: allow               # for connections that no rule matches: allow or deny
    groups:
      web:
        tags: {tier: web}        # all of these tags; a list of such sets: any of the sets
      databases:
        subnets: [subnet-0a1b]
        security-groups: [sg-0f]
      office:
        cidrs: [192.0.2.0/24, 2001:db8::/32]
        addresses: [198.51.100.7]
        vpcs: [vpc-12]
    rules:                       # the first rule that matches decides
      - {from: web, to: databases, ports: 5432, protocols: tcp, verdict: allow}
      - name: no other access to the databases
        from: any
        to: databases
        verdict: deny
    countries:
      deny: [KP, IR]             # or allow: [CH, DE, US], and no others

An address is in a group if any line of the group names it. ``from`` is the initiator. Three names
are predefined: ``any``, ``internal`` (addresses of the monitored network) and ``external`` (all
others). Ports are service ports: 443, 8000-8100. Protocols are tcp, udp, icmp, icmpv6 or IANA
numbers. Countries are ISO 3166-1 codes of the addresses that internal hosts communicate with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PREDEFINED_GROUPS = ("any", "internal", "external")


@dataclass(frozen=True)
class Group:
    """A group of addresses: those that any of its fields names.

    Attributes:
        name: The group's name.
        line: Its line in the policy.
        tags: Sets of tags, each with its accepted values; all tags of a set must match.
        ids: Identifiers of subnets, vpcs and security-groups.
        networks: First and last address of each network.
    """

    name: str
    line: int
    tags: tuple[tuple[tuple[str, frozenset[str]], ...], ...] = ()
    ids: dict[str, frozenset[str]] = field(default_factory=dict)
    networks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule: whether initiators in some groups may connect to responders in others.

    Attributes:
        name: Its name, or else its meaning in words.
        line: Its line in the policy.
        initiators: Names of groups.
        responders: Names of groups.
        ports: First and last service port of each range; empty for all.
        protocols: IANA numbers; empty for all.
        allow: The verdict.
    """

    name: str
    line: int
    initiators: tuple[str, ...]
    responders: tuple[str, ...]
    ports: tuple[tuple[int, int], ...]
    protocols: tuple[int, ...]
    allow: bool


@dataclass(frozen=True)
class Policy:
    """A segmentation policy.

    Attributes:
        groups: By name.
        rules: In the order in which they are evaluated.
        allow_by_default: The verdict on connections of the groups that no rule matches.
        countries: Country codes by verdict: True for those allowed, False for those denied.
    """

    groups: dict[str, Group]
    rules: tuple[Rule, ...]
    allow_by_default: bool
    countries: dict[bool, frozenset[str]] = field(default_factory=dict)

    def allows(self, country: str) -> bool:
        """Whether internal hosts may communicate with a country (ISO 3166-1 code)."""
        return country not in self.countries.get(False, ()) and (
            country in self.countries.get(True, (country,))
        )
