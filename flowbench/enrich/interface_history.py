"""The history of one network interface: creation, attachments, addresses, deletion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, NamedTuple

from flowbench.enrich.assignment_sequence import EARLIEST, Assignment
from flowbench.enrich.interface_events import Origin

DETAILS = (
    "interface_type",
    "description",
    "service",
    "vpc_id",
    "subnet_id",
    "account_id",
    "name",
    "tags",
    "public_addresses",
    "mapped_addresses",
    "ends_with_instance",
)

Age = tuple[datetime, str, int]  # time of a statement, then evidence id and item
_DATA_SOURCES = ("inventory", "cloudtrail", "logs")  # the most reliable first
_TOLERANCE = timedelta(seconds=120)  # windows start up to a minute before their packets


class Attachment(NamedTuple):
    """A period with an instance (None: with no instance); an open end is None."""

    start: datetime | None
    end: datetime | None
    instance_id: str | None


class Sighting(NamedTuple):
    """A statement that an instance has the interface."""

    attached_at: datetime | None  # when it was attached, where that is stated
    seen_at: datetime | None  # when it had the interface
    instance_id: str


@dataclass
class Interface:
    """All statements of the evidence about one interface."""

    id: str | None
    details: list[tuple[Age, Mapping[str, object]]] = field(default_factory=list)
    addresses: dict[str, list[datetime | None]] = field(default_factory=dict)  # start, end
    elastic_ips: dict[str, str | None] = field(default_factory=dict)  # with the private address
    attached: list[Sighting] = field(default_factory=list)
    detached: list[datetime] = field(default_factory=list)
    created_at: datetime | None = None
    deleted_at: datetime | None = None
    first_seen: datetime | None = None  # the first moment at which it is known to exist
    last_seen: datetime | None = None
    undated: set[str] = field(default_factory=set)  # evidence ids of undated inventories with it
    listed_at: datetime | None = None  # the earliest time at which one of them can be recorded
    # By data source and instance, where the statement is from.
    origins: dict[tuple[str, str | None], Origin] = field(default_factory=dict)

    def add_address(self, address: str, start: datetime | None) -> None:
        """Add an address from a time on, or (None) at some unknown time."""
        period = self.addresses.setdefault(address, [start, None])
        if period[0] is not None and start is not None:
            period[0] = min(period[0], start)

    def compare_answers(self, before: set[str], now: set[str], observed_at: datetime) -> None:
        """End the addresses that the later of two dated answers lacks, start those it adds."""
        for address in before - now:
            self.addresses[address][1] = observed_at
        for address in now - before:
            period = self.addresses[address]
            period[0] = period[0] or observed_at

    def add_sign(self, at: datetime | None, until: datetime | None = None) -> None:
        """Note that the interface existed at a time."""
        if at is not None:
            self.first_seen = min(at, self.first_seen or at)
            self.last_seen = max(until or at, self.last_seen or at)

    def delete(self, at: datetime) -> None:
        """Note a deletion; of several the first counts."""
        self.deleted_at = min(at, self.deleted_at or at)

    def instances(self) -> list[str]:
        """The instances that it was ever attached to."""
        return sorted({sighting.instance_id for sighting in self.attached})

    def merged_details(self) -> dict[str, Any]:
        """The newest value of each detail (DETAILS)."""
        merged: dict[str, Any] = dict.fromkeys(DETAILS)
        for _age, details in sorted(self.details, key=lambda pair: pair[0]):
            merged |= {n: details[n] for n in DETAILS if details.get(n) not in (None, [])}
        return merged

    def attachments(self, history: History) -> list[Attachment]:
        """Its attachments in order; the start of the first is None where it is unknown."""
        steps, stated = self._steps(history)
        found: list[Attachment] = []
        for _, is_start, at, instance in steps:
            last = found[-1] if found else Attachment(None, EARLIEST, None)
            is_open = last.end is None
            is_same = last.instance_id == instance
            if is_open and (not is_same if is_start else instance is None or is_same):
                found[-1] = last._replace(end=at)
            if is_start and not (is_open and is_same):
                found.append(Attachment(at, None, instance))
        if found and (found[0].start, found[0].instance_id) not in stated:
            found[0] = found[0]._replace(start=None)  # attached then, but since an unknown time
        return found

    def _steps(
        self, history: History
    ) -> tuple[
        list[tuple[datetime, bool, datetime | None, str | None]],
        set[tuple[datetime | None, str]],
    ]:
        """Attachments and detachments in order, and which attachments have a stated time.

        A step is (time to sort by, whether it attaches, time if known, instance if known).
        """
        first_attached: dict[str, datetime] = {}
        for attached_at, _seen_at, instance in self.attached:
            if attached_at is not None:
                first_attached[instance] = min(
                    attached_at, first_attached.get(instance, attached_at)
                )
        instances = self.instances()
        steps: list[tuple[datetime, bool, datetime | None, str | None]] = []
        stated: set[tuple[datetime | None, str]] = set()
        for attached_at, seen_at, instance in self.attached:
            start = first_attached.get(instance)
            if attached_at is None and start and (not seen_at or seen_at >= start - _TOLERANCE):
                continue
            when = attached_at or (seen_at if len(instances) > 1 else None)
            steps.append((when or EARLIEST, True, when, instance))
            stated.add((attached_at, instance))
        steps += [(at, False, at, None) for at in self.detached]
        ends = [(history.terminated[i], i) for i in instances if i in history.terminated]
        steps += [(at, False, at, instance) for at, instance in ends]
        return sorted(steps, key=lambda step: (*step[:2], step[3] or "")), stated

    def periods(self, history: History) -> list[Attachment]:
        """Its whole existence as attachments, with the periods in which it had no instance."""
        attachments = self.attachments(history)
        if not attachments:
            return [Attachment(self.created_at, self.deleted_at, None)]
        deleted_at = self.deleted_at
        _start, end, instance = attachments[-1]
        ends_with_instance = self.merged_details()["ends_with_instance"] is not False
        if end and ends_with_instance and instance and end == history.terminated.get(instance):
            deleted_at = min(deleted_at or end, end)
        first, *others = attachments
        if first.start is None:
            first = first._replace(start=self.created_at)
        found: list[Attachment] = []
        if self.created_at and first.start and self.created_at + _TOLERANCE < first.start:
            found.append(Attachment(self.created_at, first.start, None))
        following = [*(other.start for other in others), deleted_at]
        for attachment, next_start in zip([first, *others], following, strict=True):
            found.append(attachment)
            end = attachment.end
            if end is not None and (next_start is None or next_start > end):
                found.append(Attachment(end, next_start, None))
        if deleted_at is None:
            return found
        return [
            period._replace(end=min(period.end or deleted_at, deleted_at))
            for period in found
            if period.start is None or period.start < deleted_at
        ]

    def assignments(self, history: History) -> Iterator[Assignment]:
        """Its assignments, not yet compared with those of other interfaces."""
        details = self.merged_details()
        public_addresses = self._public_addresses(details)
        own_tags = dict(details["tags"] or ())
        for period in self.periods(history):
            instance = period.instance_id
            tags = history.tags.get(instance or "", {}) | own_tags
            tags |= history.tags.get(self.id or "", {})
            service = details["service"]
            if service == "ec2" or instance:
                service = "ec2" if instance else None
            data_source, origin = self._origin(instance)
            for address, (assigned_at, unassigned_at) in self.addresses.items():
                start = max((t for t in (period.start, assigned_at) if t), default=None)
                end = min((t for t in (period.end, unassigned_at) if t), default=None)
                if start and end and start >= end:
                    continue
                yield Assignment(
                    address=address,
                    interface_id=self.id,
                    instance_id=instance,
                    service=service,
                    name=details["name"] or tags.get("Name") or None,
                    tags=list(tags.items()),
                    vpc_id=details["vpc_id"],
                    subnet_id=details["subnet_id"],
                    account_id=details["account_id"],
                    public_addresses=public_addresses.get(address, []),
                    valid_from=start,
                    valid_until=end,
                    known_from=data_source,
                    origin=origin,
                    first_sign=start or min(filter(None, (self.first_seen, end)), default=None),
                    last_seen=self.last_seen,
                    undated=self.undated,
                    listed_at=self.listed_at,
                )

    def _public_addresses(self, details: Mapping[str, Any]) -> dict[str, list[str]]:
        """The public addresses that map to each of its addresses; to the first, if unknown."""
        pairs = zip_longest(details["public_addresses"] or (), details["mapped_addresses"] or ())
        first = next(iter(self.addresses), None)
        found: dict[str, list[str]] = {}
        for public, private in (dict(pairs) | self.elastic_ips).items():
            target = private if private in self.addresses else first
            if target is not None and target != public:
                found.setdefault(target, []).append(public)
        return found

    def _origin(self, instance: str | None) -> tuple[str, Origin]:
        """The most reliable data source for an attachment, and the place in it."""
        instances = (instance,) if instance else (None, *self.instances())
        for data_source in _DATA_SOURCES:
            for each in instances:
                if (origin := self.origins.get((data_source, each))) is not None:
                    return data_source, origin
        return "logs", Origin()


class History:
    """All interfaces, and what is known of instances."""

    def __init__(self) -> None:
        self.interfaces: dict[tuple[str, str], Interface] = {}
        self.by_attachment: dict[str, Interface] = {}
        self.terminated: dict[str, datetime] = {}  # by instance
        self.tags: dict[str, dict[str, str]] = {}  # of instances, and those that CreateTags adds

    def interface(self, interface_id: str | None, instance_id: str | None = None) -> Interface:
        """The interface; one without an id in the evidence is known by its instance."""
        key = ("eni", interface_id) if interface_id else ("i", instance_id or "")
        if key not in self.interfaces:
            self.interfaces[key] = Interface(interface_id)
        return self.interfaces[key]

    def terminate(self, instance_id: str, at: datetime) -> None:
        """Note the termination of an instance; of several calls the first counts."""
        self.terminated[instance_id] = min(at, self.terminated.get(instance_id, at))
