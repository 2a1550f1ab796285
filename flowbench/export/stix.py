"""Findings of high severity or above as a STIX 2.1 bundle.

For each external address and domain to block an indicator; for each finding that rests on traffic
the observed data (network-traffic with both addresses) and a sighting of the indicator; for each
technique an attack-pattern, which the indicator indicates. All ids are UUIDv5 and all times of
objects are those of the case's last change, so that the same case gives the same bytes.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import stix2

from flowbench.investigate.indicators import collect_indicators
from flowbench.text import is_address, split_zone

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

_NAMESPACE = uuid.UUID("5f0a9c2e-6d0b-5c57-9b52-2b7f2a7d4c11")  # of this program's ids
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "ipv6-icmp", 132: "sctp"}
_MOST_PEERS = 100  # of a finding
_MOST_OBSERVED = 999_999_999  # connections; STIX's limit
_BEGINNING = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def to_bundle(case: Case, findings: Findings) -> bytes:
    """Return the bundle as JSON, its objects in order of their ids."""
    severe = findings.at_least("high")
    maker = _Maker(case)
    indicators = collect_indicators(case, findings)
    for row in indicators[~indicators["own_asset"].fillna(True)].to_dict("records"):
        maker.add_indicator(row)
    for finding in severe:
        maker.add_finding(finding)
    objects = sorted(maker.objects.values(), key=lambda each: str(each["id"]))
    bundle = stix2.Bundle(objects=objects, id=maker.id("bundle", case.log.head), allow_custom=False)
    return (bundle.serialize(pretty=True) + "\n").encode()


class _Maker:
    """Collects the objects of a bundle by their ids."""

    def __init__(self, case: Case) -> None:
        entry = case.log.content_entry
        self.time = pd.Timestamp(entry["time"]) if entry else pd.Timestamp(_BEGINNING)
        self.time = self.time.floor("ms").to_pydatetime()
        self.objects: dict[str, Any] = {}
        self.indicators: dict[str, str] = {}  # id by address or domain
        self.author = self.add(
            stix2.Identity(
                id=self.id("identity", "flowbench"),
                name="flowbench",
                identity_class="system",
                created=self.time,
                modified=self.time,
            )
        )

    def id(self, kind: str, *key: object) -> str:
        return f"{kind}--{uuid.uuid5(_NAMESPACE, '|'.join([kind, *map(str, key)]))}"

    def add(self, made: Any) -> str:
        self.objects[str(made["id"])] = made
        return str(made["id"])

    def common(self, kind: str, *key: object) -> dict[str, Any]:
        return {
            "id": self.id(kind, *key),
            "created": self.time,
            "modified": self.time,
            "created_by_ref": self.author,
        }

    def add_indicator(self, row: dict[str, Any]) -> None:
        """Add the indicator of an external address or a domain."""
        value = row["indicator"]
        if row["type"] == "address" and is_address(value):
            pattern = f"[{_address_type(value)}:value = '{split_zone(value)[0]}']"
        elif row["type"] == "domain":
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            pattern = f"[domain-name:value = '{quoted}']"
        else:
            return
        self.indicators[value] = self.add(
            stix2.Indicator(
                **self.common("indicator", value),
                name=value,
                description=row["role"],
                indicator_types=["malicious-activity"],
                pattern=pattern,
                pattern_type="stix",
                valid_from=_moment(row["first_seen"], self.time),
            )
        )

    def add_finding(self, finding: Finding) -> None:
        """Add what was observed, the sighting of each peer's indicator, and the technique."""
        technique = self.add_technique(finding.technique)
        for peer in finding.peers[:_MOST_PEERS]:
            indicator = self.indicators.get(peer)
            if indicator is not None:
                self.add_relationship(indicator, technique)
            if not is_address(finding.subject) or not is_address(peer):
                continue
            observed = self.add_observed(finding, peer)
            if indicator is not None:
                self.add(
                    stix2.Sighting(
                        **self.common("sighting", finding.finding_id, peer),
                        sighting_of_ref=indicator,
                        observed_data_refs=[observed],
                        first_seen=_moment(finding.first_seen, self.time),
                        last_seen=_moment(finding.last_seen, self.time),
                        count=_count(finding),
                        description=f"{finding.title}: {finding.summary}",
                    )
                )

    def add_technique(self, technique: str) -> str:
        path = technique.replace(".", "/")
        reference = stix2.ExternalReference(
            source_name="mitre-attack",
            external_id=technique,
            url=f"https://attack.mitre.org/techniques/{path}/",
        )
        return self.add(
            stix2.AttackPattern(
                **self.common("attack-pattern", technique),
                name=technique,
                external_references=[reference],
            )
        )

    def add_relationship(self, indicator: str, technique: str) -> None:
        self.add(
            stix2.Relationship(
                **self.common("relationship", indicator, technique),
                relationship_type="indicates",
                source_ref=indicator,
                target_ref=technique,
            )
        )

    def add_observed(self, finding: Finding, peer: str) -> str:
        """Add the traffic of a finding with one peer."""
        ends = [self.add_address(name) for name in (finding.subject, peer)]
        protocol = _PROTOCOLS.get(finding.protocol or 0)
        family = "ipv6" if ":" in split_zone(peer)[0] else "ipv4"
        is_only = len(finding.peers) == 1
        values: dict[str, Any] = {
            "src_ref": ends[0],
            "dst_ref": ends[1],
            "protocols": [family, protocol] if protocol else [family],
            "start": _moment(finding.first_seen, self.time),
            "end": _moment(finding.last_seen, self.time),
            "is_active": False,
        }
        if finding.service_port:
            values["dst_port"] = finding.service_port
        if is_only:
            values |= {"src_byte_count": finding.bytes_out, "dst_byte_count": finding.bytes_in}
        traffic = self.add(stix2.NetworkTraffic(**values))
        return self.add(
            stix2.ObservedData(
                **self.common("observed-data", finding.finding_id, peer),
                first_observed=values["start"],
                last_observed=values["end"],
                number_observed=_count(finding) if is_only else 1,
                object_refs=[*ends, traffic],
            )
        )

    def add_address(self, name: str) -> str:
        address = split_zone(name)[0]
        kind = stix2.IPv6Address if ":" in address else stix2.IPv4Address
        return self.add(kind(value=address))


def _address_type(value: str) -> str:
    return "ipv6-addr" if ":" in split_zone(value)[0] else "ipv4-addr"


def _count(finding: Finding) -> int:
    return min(max(finding.connections, 1), _MOST_OBSERVED)


def _moment(moment: Any, default: datetime) -> datetime:
    if moment is None or pd.isna(moment):
        return default
    found: datetime = pd.Timestamp(moment).floor("ms").to_pydatetime()
    return found
