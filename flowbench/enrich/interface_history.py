"""The life of one interface: made, attached to instances in turn, given addresses, deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]
Piece = tuple[datetime | None, datetime | None, str | None]  # from, until, instance

BEFORE = datetime.min.replace(tzinfo=UTC)  # sorts what has no time before all that has
FILLED = (
    *("interface_type", "description", "service", "vpc_id", "subnet_id", "account_id", "name"),
    *("tags", "public_addresses", "ends_with_instance"),
)

_BLUR = timedelta(seconds=120)  # windows begin up to a minute before what they hold


@dataclass
class Interface:
    """All that is said of one interface."""

    id: str | None
    details: list[tuple[Any, Row]] = field(default_factory=list)  # age, columns FILLED
    addresses: dict[str, list[datetime | None]] = field(default_factory=dict)  # from, until
    on: list[tuple[datetime | None, datetime | None, str]] = field(default_factory=list)
    off: list[tuple[datetime, str | None]] = field(default_factory=list)
    born: datetime | None = None
    died: datetime | None = None
    first_seen: datetime | None = None  # its first sign of life
    last_seen: datetime | None = None
    answers: set[str] = field(default_factory=set)  # undated answers that list it
    listed: datetime | None = None  # the earliest moment at which one of them can have been given
    told: dict[tuple[str, str | None], Row] = field(default_factory=dict)  # by whom, instance

    def holds(self, address: str, since: datetime | None, until: datetime | None = None) -> None:
        """It holds an address: since when is known, or (None) that it did at some time."""
        span = self.addresses.setdefault(address, [since, until])
        if span[0] is not None and since is not None:
            span[0] = min(span[0], since)

    def alive(self, at: datetime | None, until: datetime | None = None) -> None:
        """There is a sign of life."""
        if at is not None:
            self.first_seen = min(at, self.first_seen or at)
            self.last_seen = max(until or at, self.last_seen or at)

    def attachments(self, known: Known) -> list[Piece]:
        """Its attachments in order; the first one's start is None where nothing tells."""
        dated: dict[str, datetime] = {}
        for at, _sign, instance in self.on:
            if at is not None:
                dated[instance] = min(at, dated.get(instance, at))
        instances = self.instances()
        steps: list[tuple[datetime, bool, datetime | None, str | None]] = []
        exact: set[tuple[datetime | None, str]] = set()
        for at, sign, instance in self.on:
            begun = dated.get(instance)
            if at is None and begun and (sign is None or sign >= begun - _BLUR):
                continue
            when = at or (sign if len(instances) > 1 else None)
            steps.append((when or BEFORE, True, when, instance))
            exact.add((at, instance))
        steps += [(at, False, at, instance) for at, instance in self.off]
        ends = [(known.ended[one], one) for one in instances if one in known.ended]
        steps += [(at, False, at, instance) for at, instance in ends]
        found: list[Piece] = []
        for _, on, at, whom in sorted(steps, key=lambda step: (*step[:2], step[3] or "")):
            begun, until, attached = found[-1] if found else (None, BEFORE, None)
            open_one = until is None
            if open_one and (attached != whom if on else whom in (None, attached)):
                found[-1] = (begun, at, attached)
            if on and not (open_one and attached == whom):
                found.append((at, None, whom))
        if found and (found[0][0], found[0][2]) not in exact:
            found[0] = (None, *found[0][1:])  # seen then, and who knows since when it was so
        return found

    def pieces(self, known: Known) -> list[Piece]:
        """Its life in pieces, with those in which it had no instance."""
        attached = self.attachments(known)
        if not attached:
            return [(self.born, self.died, None)]
        died = self.died
        until, instance = attached[-1][1:]
        ends_too = self.merged()["ends_with_instance"] is not False
        if until and ends_too and instance and until == known.ended.get(instance):
            died = min(died or until, until)
        first, *others = attached
        if first[0] is None:
            first = (self.born, *first[1:])
        found: list[Piece] = []
        if self.born and first[0] and self.born + _BLUR < first[0]:
            found.append((self.born, first[0], None))
        for piece, onward in zip([first, *others], [*others, (died, None, None)], strict=True):
            found.append(piece)
            free = piece[1]
            if free is not None and (onward[0] is None or onward[0] > free):
                found.append((free, onward[0], None))
        if died is None:
            return found
        return [
            (begun, min(until or died, died), instance)
            for begun, until, instance in found
            if begun is None or begun < died
        ]

    def merged(self) -> Row:
        """What is known of it: the newest word on each thing."""
        found: Row = dict.fromkeys(FILLED)
        for _age, row in sorted(self.details, key=lambda pair: pair[0]):
            found |= {name: row[name] for name in FILLED if row.get(name) not in (None, [])}
        return found

    def rows(self, known: Known) -> list[Row]:
        """Its rows of TABLE, not yet compared with those of others."""
        about = self.merged()
        own = dict(about["tags"] or ())
        found = []
        for begun, until, instance in self.pieces(known):
            tags = known.tags.get(instance or "", {}) | own | known.tags.get(self.id or "", {})
            service = about["service"]
            if service == "ec2" or instance:
                service = "ec2" if instance else None
            told = next(
                (
                    (who, row)
                    for who in ("inventory", "cloudtrail", "logs")
                    for at in ((instance,) if instance else (instance, *self.instances()))
                    if (row := self.told.get((who, at))) is not None
                ),
                ("logs", {}),
            )
            for address, (since, taken) in self.addresses.items():
                start = max((t for t in (begun, since) if t), default=None)
                end = min((t for t in (until, taken) if t), default=None)
                if start and end and start >= end:
                    continue
                found.append(
                    {
                        "address": address,
                        "interface_id": self.id,
                        "instance_id": instance,
                        "service": service,
                        "name": about["name"] or tags.get("Name") or None,
                        "tags": list(tags.items()),
                        **{name: about[name] for name in ("vpc_id", "subnet_id", "account_id")},
                        "public_addresses": about["public_addresses"] or [],
                        "valid_from": start,
                        "valid_until": end,
                        "known_from": told[0],
                        **{name: told[1].get(name) for name in ("evidence_id", "line", "item")},
                        "_sign": start or min(filter(None, (self.first_seen, end)), default=None),
                        "_interface": self.id or instance,
                        "_last": self.last_seen,
                        "_listed": self.listed,
                        "_answers": self.answers,
                    }
                )
        return found

    def instances(self) -> list[str]:
        """The instances it was ever attached to."""
        return sorted({instance for _at, _sign, instance in self.on})


class Known:
    """All interfaces, and what is known of instances."""

    def __init__(self) -> None:
        self.interfaces: dict[tuple[str, str], Interface] = {}
        self.by_attachment: dict[str, Interface] = {}
        self.ended: dict[str, datetime] = {}
        self.tags: dict[str, dict[str, str]] = {}  # of instances, and what CreateTags adds

    def interface(self, interface_id: str | None, instance_id: str | None = None) -> Interface:
        """The interface; one whose id the evidence lacks goes by its instance."""
        key = ("eni", interface_id) if interface_id else ("i", instance_id or "")
        if key not in self.interfaces:
            self.interfaces[key] = Interface(interface_id)
        return self.interfaces[key]

    def end(self, instance: str, at: datetime) -> None:
        """An instance ended, the first word on it counts: terminating twice ends it once."""
        self.ended[instance] = min(at, self.ended.get(instance, at))
