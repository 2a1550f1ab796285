"""AWS's layouts of log files in a bucket, and which files a period selects.

Known layouts: ``[prefix/]AWSLogs/[organisation/]account/service/region or VPC/YYYY/MM/DD[/HH]/``
and its Hive form (``aws-account-id=…/aws-service=…/aws-region=…/year=…/month=…/day=…``). AWS
delivers flow logs of VPCs and transit gateways, CloudTrail, GuardDuty exports, Resolver query logs,
and the snapshots and histories of AWS Config (whose months and days have no leading zero) in them.
Elsewhere dates are read from ``year=…`` folders, from complete ``YYYY/MM/DD`` folders and from
file names.

Files are selected, not records: a selected file is read whole. A record that AWS delivered later
than ``MAX_DELIVERY_DELAY`` after the period is in a file that is not selected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flowbench.errors import InputError
from flowbench.text import format_time

SERVICES = {  # AWS's folder of a service, and the kind of evidence in it
    "vpcflowlogs": "flow-logs",
    "CloudTrail": "cloudtrail",
    "CloudTrail-NetworkActivity": "cloudtrail",
    "vpcdnsquerylogs": "dns",
    "GuardDuty": "guardduty",
    "Config": "config",
}
KINDS = ("flow-logs", "cloudtrail", "dns", "guardduty", "config")
UNKNOWN = "unknown"

# The time in a file name is the start of a five-minute slot, or the time of delivery; capture
# windows last up to ten minutes. AWS Config takes a snapshot at least once a day: the last one
# before the period has the state at its start.
MARGIN_BEFORE = timedelta(minutes=15)
CONFIG_MARGIN_BEFORE = timedelta(hours=25)
# How long after the period AWS may still deliver its records. Flow logs and CloudTrail mostly
# arrive within minutes; GuardDuty exports updates of a finding every six hours by default, and
# Config writes its histories as often.
MAX_DELIVERY_DELAY = {
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
_HIVE_DATE = re.compile(r"(?:dt|date|day|eventDay)=(\d{4})-?(\d{2})-?(\d{2})")
_AWS_TIME = re.compile(r"_(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(?:\d{2})?Z[_.]")
_FIREHOSE_TIME = re.compile(r"-(\d{4})-(\d{2})-(\d{2})-(\d{2})-(\d{2})-\d{2}-")
_SERVICE_IN_NAME = re.compile(r"_(vpcflowlogs|CloudTrail|vpcdnsquerylogs|Config)_")
_DATE_PARTS = ("year", "month", "day", "hour")


@dataclass(frozen=True)
class Period:
    """From ``since`` (inclusive) to ``until`` (exclusive), UTC."""

    since: datetime
    until: datetime

    def delivery_window(self, kind: str) -> tuple[datetime, datetime]:
        """Return when files with records of the period were made: the period with its margins."""
        before = CONFIG_MARGIN_BEFORE if kind == "config" else MARGIN_BEFORE
        return self.since - before, self.until + MAX_DELIVERY_DELAY[kind]


class FolderDate(NamedTuple):
    """The date in a folder's path, from ``start`` (inclusive) to ``end`` (exclusive)."""

    start: datetime
    end: datetime
    smallest_part: str  # 'year', 'month', 'day' or 'hour'

    def is_within(self, start: datetime, end: datetime) -> bool:
        """Whether a window contains the whole date."""
        return start <= self.start and self.end <= end

    def is_disjoint(self, start: datetime, end: datetime) -> bool:
        """Whether a window contains no part of the date."""
        return self.start >= end or self.end <= start


@dataclass(frozen=True)
class Folder:
    """What a folder's path tells of the files in it; None where it does not tell."""

    is_awslogs: bool  # under AWSLogs, where each level has a fixed meaning
    service: str | None = None
    account: str | None = None
    region: str | None = None  # or the VPC, for Resolver query logs
    date: FolderDate | None = None

    @property
    def kind(self) -> str:
        """The kind of evidence, 'unknown' where the path does not tell."""
        return SERVICES.get(self.service or "", UNKNOWN)

    @property
    def is_unsupported(self) -> bool:
        """Whether the folder belongs to a service whose logs flowbench does not read."""
        return bool(self.service) and self.kind == UNKNOWN


def parse_time(text: str) -> datetime:
    """Return a date or time that a user wrote, UTC by default. Raises InputError."""
    try:
        time = datetime.fromisoformat(text.strip())
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # before year 1 or after 9999 in UTC
        raise InputError(
            f"{text or repr(text)}: invalid time; write 2026-09-01, 2026-09-01T12:00 or"
            " 2026-09-01T12:00+02:00"
        ) from None


def parse_period(since: str | datetime, until: str | datetime | None = None) -> Period:
    """Return the period between two times, until now without a second. Raises InputError."""
    start = parse_time(since) if isinstance(since, str) else since
    end = parse_time(until) if isinstance(until, str) else until or datetime.now(UTC)
    if start.tzinfo is None or end.tzinfo is None:
        raise InputError("a time has no time zone: give UTC")
    if start >= end:
        raise InputError(f"the period is empty: it ends before its start, {format_time(start)}")
    return Period(start, end)


def parse_folder(path: str) -> Folder:
    """Return what a folder's path (``a/b/c/``) tells of the files in it; never raises."""
    names = path.strip("/").split("/")
    if "AWSLogs" not in names:
        return Folder(is_awslogs=False, date=_to_date(_parse_loose_date(names)))
    rest = names[len(names) - names[::-1].index("AWSLogs") :]
    account = service = region = None
    while rest and (_ORGANISATION.fullmatch(rest[0]) or _ACCOUNT.fullmatch(rest[0])):
        if match := _ACCOUNT.fullmatch(rest[0]):
            account = match[1]
        rest = rest[1:]
    if rest:
        service = _hive_value(rest[0])
    if len(rest) > 1:
        region = _hive_value(rest[1])
    return Folder(True, service, account, region, _to_date(_parse_strict_date(rest[2:])))


def object_kind(key: str, folder: Folder) -> str:
    """Return an object's kind of evidence from its folder, else its name, else 'unknown'."""
    if folder.kind == UNKNOWN and (match := _SERVICE_IN_NAME.search(key.rpartition("/")[2])):
        return SERVICES[match[1]]
    return folder.kind


def object_time(key: str) -> datetime | None:
    """Return the time in an object's name (start of a slot, or delivery), or None."""
    name = key.rpartition("/")[2]
    match = _AWS_TIME.search(name) or _FIREHOSE_TIME.search(name)
    if match is None:
        return None
    year, month, day, hour, minute = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None


def selection_reason(key: str, modified: datetime, folder: Folder, period: Period) -> str | None:
    """Return what selects an object: 'name', 'folder' or 'modified'; None if nothing does.

    An object without a time in its name or folder is judged by its last modification: it cannot
    hold later records. There is no upper limit, because copies and exports are made long after.
    """
    start, end = period.delivery_window(object_kind(key, folder))
    if (time := object_time(key)) is not None:
        return "name" if start <= time < end else None
    if folder.date is not None:
        return None if folder.date.is_disjoint(start, end) else "folder"
    return "modified" if modified >= period.since else None


def _hive_value(name: str) -> str:
    return name.partition("=")[2] or name


def _parse_strict_date(names: list[str]) -> list[int]:
    """Return year, month, day and hour, as far as given, of folders that can be nothing else."""
    numbers: list[int] = []
    for part, name in zip(_DATE_PARTS, names, strict=False):
        hive = _HIVE.fullmatch(name)
        if hive and hive[1] == part:
            numbers.append(int(hive[2]))
        elif len(name) <= 4 and name.isascii() and name.isdigit():
            numbers.append(int(name))
        else:
            break
    return numbers


def _parse_loose_date(names: list[str]) -> list[int]:
    """Return the same of any folders: from Hive's names, or a complete date in three folders."""
    for i, name in enumerate(names):
        if match := _HIVE_DATE.fullmatch(name):
            return [int(number) for number in match.groups()]
        if name.startswith("year="):
            return _parse_strict_date(names[i:])
        date = names[i : i + 3]
        if [len(n) for n in date] == [4, 2, 2] and all(n.isascii() and n.isdigit() for n in date):
            hour = names[i + 3 : i + 4]
            return _parse_strict_date(
                date + (hour if hour and re.fullmatch(r"\d\d", hour[0]) else [])
            )
    return []


def _to_date(numbers: list[int]) -> FolderDate | None:
    """Return the span of a year, a month, a day or an hour; None when it is no date."""
    if not numbers:
        return None
    try:
        year, month, day, hour = (numbers + [1, 1, 0][len(numbers) - 1 :])[:4]
        start = datetime(year, month, day, hour, tzinfo=UTC)
        if len(numbers) == 1:
            end = start.replace(year=start.year + 1)
        elif len(numbers) == 2:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            end = start + (timedelta(days=1) if len(numbers) == 3 else timedelta(hours=1))
    except (ValueError, OverflowError):
        return None
    return FolderDate(start, end, _DATE_PARTS[len(numbers) - 1])
