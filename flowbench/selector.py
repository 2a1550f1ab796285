"""The evidence of a finding: what selects its flow records, API events and DNS queries.

A finding carries a selector rather than rows, so that it stays small and can be kept;
``Case.evidence_for`` reads what a selector chooses. Both import it from here: the case need not
know findings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from flowbench.errors import InputError


@dataclass(frozen=True)
class ApiEventSelector:
    """The API events (CloudTrail) that match one value at least of every list that is not empty.

    Raises ValueError when all lists are empty: that would select every event.
    """

    event_ids: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()  # names (user, role/session, root) or ARNs
    event_names: tuple[str, ...] = ()  # as in the records, with a version (…20150331v2)
    source_ips: tuple[str, ...] = ()  # the caller's addresses, or an AWS service's name
    access_key_ids: tuple[str, ...] = ()  # that signed the call
    first_seen: datetime | None = None  # earlier events are left out
    last_seen: datetime | None = None  # later events are left out

    def __post_init__(self) -> None:
        _require_a_list(self)


@dataclass(frozen=True)
class DnsSelector:
    """The DNS queries that match one value at least of every list that is not empty.

    Raises ValueError when all lists are empty: that would select every query.
    """

    domains: tuple[str, ...] = ()  # names looked up, or domains that these are under
    clients: tuple[str, ...] = ()  # addresses or instance ids of the hosts that asked
    query_types: tuple[str, ...] = ()  # A, TXT, …
    rcodes: tuple[str, ...] = ()  # NOERROR, NXDOMAIN, …
    first_seen: datetime | None = None  # earlier queries are left out
    last_seen: datetime | None = None  # later queries are left out

    def __post_init__(self) -> None:
        _require_a_list(self)


@dataclass(frozen=True)
class EvidenceSelector:
    """What supports a finding: flow records, API events, DNS queries, or several of these.

    Flow records are those between the subject (or one of ``targets``) and a peer, in either
    direction, on one of the ports, that overlap the period; with ``interfaces``, those of these
    interfaces with a status.
    """

    subject: str  # an address; or a name that stands for many: a principal, 'internet'
    peers: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()  # source or destination ports; empty selects every port
    protocol: int | None = None  # IANA number; None selects every protocol
    first_seen: datetime | None = None  # records that end before it are left out
    last_seen: datetime | None = None  # records that start after it are left out
    targets: tuple[str, ...] = ()  # the addresses that a subject which is no address stands for
    interfaces: tuple[str, ...] = ()  # ids (eni-…)
    log_status: str | None = None  # 'OK', 'NODATA' or 'SKIPDATA'; with interfaces only
    flows: bool = True  # False: no flow record supports the finding
    api_events: ApiEventSelector | None = None
    dns: DnsSelector | None = None

    def to_json(self) -> str:
        """Return the selector as it stands in the column ``evidence`` of findings."""
        selector: dict[str, object] = {"subject": self.subject, "peers": self.peers}
        selector |= {"ports": self.ports, "protocol": self.protocol}
        selector |= {"from": _to_text(self.first_seen), "until": _to_text(self.last_seen)}
        if self.targets:
            selector |= {"targets": self.targets}
        if self.interfaces:
            selector |= {"interfaces": self.interfaces, "status": self.log_status}
        if not self.flows:
            selector |= {"flows": False}
        parts = {"api_events": self.api_events, "dns": self.dns}
        selector |= {name: _to_mapping(part) for name, part in parts.items() if part}
        return json.dumps(selector)

    @classmethod
    def from_json(cls, text: str) -> EvidenceSelector:
        """Read what ``to_json`` wrote. Raises InputError for anything else."""
        try:
            selector = json.loads(text)
            return cls(
                subject=_typed(selector["subject"], str),
                peers=_all_of(selector["peers"], str),
                ports=_all_of(selector["ports"], int),
                protocol=_typed(selector.get("protocol"), int, optional=True),
                first_seen=_time(selector.get("from")),
                last_seen=_time(selector.get("until")),
                targets=_all_of(selector.get("targets", []), str),
                interfaces=_all_of(selector.get("interfaces", []), str),
                log_status=_typed(selector.get("status"), str, optional=True),
                flows=selector.get("flows", True) is not False,
                api_events=_from_mapping(ApiEventSelector, selector.get("api_events")),
                dns=_from_mapping(DnsSelector, selector.get("dns")),
            )
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                "not the evidence of a finding: give a finding that detect.run returned, or its id"
            ) from error


_Part = TypeVar("_Part", ApiEventSelector, DnsSelector)


def _require_a_list(selector: ApiEventSelector | DnsSelector) -> None:
    if not any(isinstance(value, tuple) and value for value in vars(selector).values()):
        raise ValueError("a selector without any list would select everything")


def _to_mapping(selector: ApiEventSelector | DnsSelector) -> dict[str, object]:
    values = {name: value for name, value in vars(selector).items() if value}
    return {name: _to_text(v) if isinstance(v, datetime) else v for name, v in values.items()}


def _from_mapping(kind: type[_Part], mapping: dict[str, Any] | None) -> _Part | None:
    if mapping is None:
        return None
    values: dict[str, Any] = {}
    for field in fields(kind):
        given = mapping.get(field.name)
        if field.name in ("first_seen", "last_seen"):
            values[field.name] = _time(given)
        elif given is not None:
            values[field.name] = _all_of(given, str)
    return kind(**values)


def _typed(value: Any, kind: type, *, optional: bool = False) -> Any:
    if (value is None and optional) or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    raise TypeError


def _all_of(values: object, kind: type) -> tuple[Any, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(_typed(value, kind) for value in values)


def _to_text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _time(text: str | None) -> datetime | None:
    moment = datetime.fromisoformat(text) if text is not None else None
    if moment is not None and moment.tzinfo is None:
        raise ValueError
    return moment
