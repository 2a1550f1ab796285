"""How AWS lays log files out in a bucket, and which of them a period can concern.

Known: ``[prefix/]AWSLogs/[organisation/]account/service/region or VPC/YYYY/MM/DD[/HH]/``, and the
same as Hive spells it (``aws-account-id=…/aws-service=…/aws-region=…/year=…/month=…/day=…``), as
flow logs of VPCs and transit gateways, CloudTrail, GuardDuty exports, Resolver query logs and AWS
Config's snapshots and histories (whose months and days have no zero before them) come.
Elsewhere dates are taken from ``year=…`` folders, from whole ``YYYY/MM/DD`` ones and from names.

Files are chosen, not records: what lies in a file that was chosen is read whole. A record that AWS
delivered later than the margin (``LATE``) after the period lies in a file that is not chosen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flowbench.errors import InputError

SERVICES = {  # the folder AWS gives a service, and the kind of evidence in it
    "vpcflowlogs": "flow-logs",
    "CloudTrail": "cloudtrail",
    "CloudTrail-NetworkActivity": "cloudtrail",
    "vpcdnsquerylogs": "dns",
    "GuardDuty": "guardduty",
    "Config": "config",
}
KINDS = ("flow-logs", "cloudtrail", "dns", "guardduty", "config")
UNKNOWN = "unknown"

# A name's stamp is where a slot of five minutes begins, or when the file was delivered; capture
# windows last up to ten minutes. AWS Config takes snapshots once a day or more often: the last one
# before the period tells how things stood when it began.
EARLY = timedelta(minutes=15)
EARLY_CONFIG = timedelta(hours=25)
# How long after the period its records may still be delivered. Flow logs and CloudTrail come
# within minutes, mostly; GuardDuty exports updates of a finding every six hours by default, and
# Config writes its histories as often.
LATE = {
    "flow-logs": timedelta(hours=1),
    "cloudtrail": timedelta(hours=1),
    "dns": timedelta(hours=1),
    "guardduty": timedelta(hours=7),
    "config": timedelta(hours=7),
    UNKNOWN: timedelta(hours=7),
}

_ACCOUNT = re.compile(r"(?:aws-account-id=|account=)?(\d{12})")
_ORGANISATION = re.compile(r"o-[a-z0-9]{10,32}")
_HIVE = re.compile(r"(year|month|day|hour)=(\d{1,4})")
_WHOLE_DAY = re.compile(r"(?:dt|date|day|eventDay)=(\d{4})-?(\d{2})-?(\d{2})")
_STAMP = re.compile(r"_(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(?:\d{2})?Z[_.]")
_FIREHOSE = re.compile(r"-(\d{4})-(\d{2})-(\d{2})-(\d{2})-(\d{2})-\d{2}-")
_NAMED = re.compile(r"_(vpcflowlogs|CloudTrail|vpcdnsquerylogs|Config)_")
_PARTS = ("year", "month", "day", "hour")


@dataclass(frozen=True)
class Period:
    """From a moment (included) to another (not included), UTC."""

    since: datetime
    until: datetime

    def window(self, kind: str) -> tuple[datetime, datetime]:
        """The period with its margins: when the files that concern it were made."""
        return self.since - (EARLY_CONFIG if kind == "config" else EARLY), self.until + LATE[kind]


@dataclass(frozen=True)
class Place:
    """What a folder's name says of the files under it; what it does not say is None."""

    known: bool  # under AWSLogs, where folders have a fixed meaning
    service: str | None = None
    account: str | None = None
    region: str | None = None  # or the VPC, for Resolver query logs
    first: datetime | None = None  # what the files are from, first included, last not
    last: datetime | None = None
    part: str | None = None  # the smallest part of a date that it gives

    @property
    def kind(self) -> str:
        """The kind of evidence, 'unknown' where the folder does not tell."""
        return SERVICES.get(self.service or "", UNKNOWN)

    def within(self, first: datetime, last: datetime) -> bool:
        """Whether its time, where it has one, lies wholly in a window."""
        return self.first is not None and first <= self.first and self.last <= last  # type: ignore[operator]

    def misses(self, first: datetime, last: datetime) -> bool:
        """Whether its time lies wholly outside a window."""
        return self.first is not None and (self.first >= last or self.last <= first)  # type: ignore[operator]


def moment(text: str) -> datetime:
    """A date or time as a user writes it, UTC unless it says otherwise. Raises InputError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{text} is no time: write 2026-09-01, 2026-09-01T12:00 or 2026-09-01T12:00+02:00"
        ) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def period(since: str | datetime, until: str | datetime | None = None) -> Period:
    """The period between two moments; up to now without a second. Raises InputError."""
    first = moment(since) if isinstance(since, str) else since
    last = moment(until) if isinstance(until, str) else until or datetime.now(UTC)
    if first.tzinfo is None or last.tzinfo is None:
        raise InputError("a time without a zone: give UTC")
    if first >= last:
        raise InputError(f"the period is empty: {first:%Y-%m-%d %H:%M} is not before its end")
    return Period(first, last)


def read(folder: str) -> Place:
    """What a folder's name (``a/b/c/``) says of the files under it; never fails."""
    names = folder.strip("/").split("/")
    if "AWSLogs" not in names:
        return Place(known=False, **_date(_loose(names)))
    rest = names[len(names) - names[::-1].index("AWSLogs") :]
    account = service = region = None
    while rest and (_ORGANISATION.fullmatch(rest[0]) or _ACCOUNT.fullmatch(rest[0])):
        if found := _ACCOUNT.fullmatch(rest[0]):
            account = found[1]
        rest = rest[1:]
    if rest:
        service = _value(rest[0])
    if len(rest) > 1:
        region = _value(rest[1])
    return Place(True, service, account, region, **_date(_strict(rest[2:])))


def kind_of(key: str, place: Place) -> str:
    """The kind of an object: from its folder, else from its name, else 'unknown'."""
    if place.kind == UNKNOWN and (found := _NAMED.search(key.rpartition("/")[2])):
        return SERVICES[found[1]]
    return place.kind


def stamp(key: str) -> datetime | None:
    """The time in an object's name (start of a slot, or delivery), or None."""
    name = key.rpartition("/")[2]
    found = _STAMP.search(name) or _FIREHOSE.search(name)
    try:
        return datetime(*map(int, found.groups())).replace(tzinfo=UTC) if found else None  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None


def concerns(key: str, modified: datetime, place: Place, wanted: Period) -> str | None:
    """What an object was chosen by: 'name', 'folder' or 'written'; None when it is not wanted.

    An object that tells its time in no way is judged by when it was written: nothing can hold
    records later than that. Its end is left open, for copies and exports are made long after.
    """
    first, last = wanted.window(kind_of(key, place))
    if (at := stamp(key)) is not None:
        return "name" if first <= at < last else None
    if place.first is not None:
        return None if place.misses(first, last) else "folder"
    return "written" if modified >= wanted.since else None


def _value(name: str) -> str:
    return name.partition("=")[2] or name


def _strict(names: list[str]) -> dict[str, int]:
    """Year, month, day and hour from folders that can be nothing else."""
    found: dict[str, int] = {}
    for part, name in zip(_PARTS, names, strict=False):
        hive = _HIVE.fullmatch(name)
        if hive and hive[1] == part:
            found[part] = int(hive[2])
        elif len(name) <= 4 and name.isascii() and name.isdigit():
            found[part] = int(name)
        else:
            break
    return found


def _loose(names: list[str]) -> dict[str, int]:
    """The same from folders that may be anything: Hive's names, or a whole date in three."""
    for place, name in enumerate(names):
        if found := _WHOLE_DAY.fullmatch(name):
            return dict(zip(_PARTS, map(int, found.groups()), strict=False))
        if name.startswith("year="):
            return _strict(names[place:])
        three = names[place : place + 3]
        if [len(n) for n in three] == [4, 2, 2] and all(n.isascii() and n.isdigit() for n in three):
            hour = names[place + 3 : place + 4]
            return _strict(three + (hour if hour and re.fullmatch(r"\d\d", hour[0]) else []))
    return {}


def _date(parts: dict[str, int]) -> dict[str, Any]:
    """The span that a year, a month, a day or an hour means; nothing when it is no date."""
    if not parts:
        return {}
    numbers = list(parts.values())
    try:
        year, month, day, hour = (numbers + [1, 1, 0][len(numbers) - 1 :])[:4]
        first = datetime(year, month, day, hour, tzinfo=UTC)
        if len(parts) == 1:
            last = first.replace(year=first.year + 1)
        elif len(parts) == 2:
            last = (first + timedelta(days=31)).replace(day=1)
        else:
            last = first + (timedelta(days=1) if len(parts) == 3 else timedelta(hours=1))
    except (ValueError, OverflowError):
        return {}
    return {"first": first, "last": last, "part": list(parts)[-1]}
