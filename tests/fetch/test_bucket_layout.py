"""Folder paths of each AWS layout, and the files that a period selects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.errors import InputError
from flowbench.fetch import bucket_layout
from flowbench.fetch.bucket_layout import Period

ACCOUNT, REGION = "123456789012", "eu-central-1"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


NOW = utc(2026, 10, 1)
DAY = (utc(2026, 9, 1), utc(2026, 9, 2))
HOUR = (utc(2026, 9, 1, 3), utc(2026, 9, 1, 4))
HIVE = f"aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region={REGION}"


@pytest.mark.parametrize(
    ("path", "kind", "region", "span"),
    [
        (f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01/", "flow-logs", REGION, DAY),
        (f"a/b/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01/03/", "flow-logs", REGION, HOUR),
        (f"AWSLogs/{HIVE}/year=2026/month=09/day=01/", "flow-logs", REGION, DAY),
        (f"AWSLogs/{HIVE}/year=2026/month=09/day=01/hour=03/", "flow-logs", REGION, HOUR),
        (
            f"AWSLogs/aws-account-id={ACCOUNT}/service=vpcflowlogs/aws-region={REGION}/year=2026/",
            "flow-logs", REGION, (utc(2026, 1, 1), utc(2027, 1, 1)),
        ),
        (
            f"AWSLogs/o-exampleorgid/{ACCOUNT}/CloudTrail/{REGION}/2026/12/",
            "cloudtrail", REGION, (utc(2026, 12, 1), utc(2027, 1, 1)),
        ),
        (f"AWSLogs/{ACCOUNT}/GuardDuty/{REGION}/2026/09/01/", "guardduty", REGION, DAY),
        (f"AWSLogs/{ACCOUNT}/vpcdnsquerylogs/vpc-0b/2026/09/01/", "dns", "vpc-0b", DAY),
        (f"AWSLogs/{ACCOUNT}/Config/{REGION}/2026/9/1/ConfigSnapshot/", "config", REGION, DAY),
        (f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/", "unknown", REGION,
         (utc(2026, 1, 1), utc(2027, 1, 1))),
    ],
)  # fmt: skip
def test_folders_of_each_layout_are_parsed(path, kind, region, span) -> None:
    folder = bucket_layout.parse_folder(path)
    assert folder.is_awslogs
    assert (folder.account, folder.kind, folder.region) == (ACCOUNT, kind, region)
    assert (folder.date and folder.date[:2]) == span


@pytest.mark.parametrize(
    ("path", "span"),
    [
        ("firehose/2026/09/01/03/", HOUR),
        ("firehose/2026/09/01/", DAY),
        ("firehose/2026/09/", None),  # may be a customer's number: no date before it is whole
        ("lake/region=x/eventDay=20260901/", DAY),
        ("t/dt=2026-09-01/", DAY),
        ("t/year=2026/month=9/day=1/", DAY),
        ("t/year=2026/month=13/", None),
        ("2026/02/30/", None),
        ("", None),
    ],
)
def test_dates_outside_awslogs_must_be_complete(path, span) -> None:
    folder = bucket_layout.parse_folder(path)
    assert not folder.is_awslogs
    assert (folder.date and folder.date[:2]) == span


def test_object_times_and_kinds_are_read_from_names() -> None:
    flow = f"{ACCOUNT}_vpcflowlogs_{REGION}_fl-0a_20260901T0310Z_1a2b.log.gz"
    assert bucket_layout.object_time(f"x/{flow}") == utc(2026, 9, 1, 3, 10)
    assert bucket_layout.object_kind(f"x/{flow}", bucket_layout.parse_folder("x/")) == "flow-logs"
    assert bucket_layout.object_time("f/out-1-2026-09-01-03-10-07-5f1a") == utc(2026, 9, 1, 3, 10)
    assert bucket_layout.object_time("x/_20261301T0310Z_.gz") is None
    assert bucket_layout.object_time("x/000000.gz") is None


def test_a_period_selects_what_may_have_its_records() -> None:
    wanted = Period(utc(2026, 9, 1, 3), utc(2026, 9, 1, 4))
    day = bucket_layout.parse_folder(f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01/")

    def selected_by(
        name: str, folder: bucket_layout.Folder = day, modified: datetime = wanted.since
    ) -> str | None:
        return bucket_layout.selection_reason(f"x/{name}", modified, folder, wanted)

    name = f"{ACCOUNT}_vpcflowlogs_{REGION}_fl-0a_20260901T%sZ_1a2b.log.gz"
    chosen = [t for t in ("0240", "0245", "0300", "0355", "0455", "0500") if selected_by(name % t)]
    assert chosen == ["0245", "0300", "0355", "0455"]
    assert selected_by("uuid.jsonl.gz") == "folder"
    nowhere = bucket_layout.parse_folder("exports/")
    assert selected_by("000000.gz", nowhere, utc(2026, 9, 1, 2, 59)) is None
    assert selected_by("000000.gz", nowhere, utc(2027, 1, 1)) == "modified"
    alert = bucket_layout.parse_folder(f"AWSLogs/{ACCOUNT}/GuardDuty/{REGION}/2026/09/02/")
    assert selected_by("uuid.jsonl.gz", alert) is None
    late = Period(utc(2026, 9, 1, 3), utc(2026, 9, 1, 20))
    assert bucket_layout.selection_reason("x/uuid.jsonl.gz", late.since, alert, late) == "folder"


def test_the_config_snapshot_before_the_period_is_selected() -> None:
    wanted = Period(utc(2026, 9, 1, 3), utc(2026, 9, 1, 4))
    place = bucket_layout.parse_folder(
        f"AWSLogs/{ACCOUNT}/Config/{REGION}/2026/8/31/ConfigSnapshot/"
    )
    name = f"x/{ACCOUNT}_Config_{REGION}_ConfigSnapshot_20260831T%sZ_0a.json.gz"
    assert bucket_layout.object_time(name % "021507") == utc(2026, 8, 31, 2, 15)
    chosen = [
        t
        for t in ("015907", "021507")
        if bucket_layout.selection_reason(name % t, NOW, place, wanted)
    ]
    assert chosen == ["021507"]


def test_times_and_periods_are_parsed() -> None:
    assert bucket_layout.parse_time("2026-09-01") == utc(2026, 9, 1)
    assert bucket_layout.parse_time("2026-09-01T12:00+02:00") == utc(2026, 9, 1, 10)
    assert bucket_layout.parse_time("2026-09-01T12:00Z") == utc(2026, 9, 1, 12)
    with pytest.raises(InputError, match="yesterday: invalid time"):
        bucket_layout.parse_time("yesterday")
    with pytest.raises(InputError, match="the period is empty"):
        bucket_layout.parse_period("2026-09-02", "2026-09-01")
    with pytest.raises(InputError, match="no time zone"):
        bucket_layout.parse_period(utc(2026, 9, 1).replace(tzinfo=None))
    assert bucket_layout.parse_period("2026-09-01").until > utc(2026, 9, 1)


NAMES = st.sampled_from(
    ["AWSLogs", ACCOUNT, "o-exampleorgid", "vpcflowlogs", "CloudTrail", REGION, "2026", "09", "01",
     "0", "9999", "year=2026", "year=0", "month=1", "day=31", "hour=24", "eventDay=20260931", ""]
)  # fmt: skip


@given(st.lists(NAMES | st.text(max_size=8), max_size=10))
def test_any_folder_path_is_parsed(names) -> None:
    folder = bucket_layout.parse_folder("/".join(names) + "/")
    if (date := folder.date) is not None:
        assert timedelta(hours=1) <= date.end - date.start <= timedelta(days=366)
        assert not date.is_disjoint(date.start, date.end)
        assert date.is_within(date.start, date.end)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    st.integers(1, 5000),
    st.integers(-4000, 9000),
)
def test_folders_of_selected_objects_are_listed(start, minutes, offset) -> None:
    """A file that its name selects is in folders that the listing descends into."""
    since = start.replace(tzinfo=UTC)
    wanted = Period(since, since + timedelta(minutes=minutes))
    at = since + timedelta(minutes=offset)
    path = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{at:%Y/%m/%d/%H}/"
    key = f"{path}{ACCOUNT}_vpcflowlogs_{REGION}_fl-0a_{at:%Y%m%dT%H%M}Z_1a2b.log.gz"
    folder = bucket_layout.parse_folder(path)
    if bucket_layout.selection_reason(key, since, folder, wanted):
        names = path.strip("/").split("/")
        for count in range(len(names) + 1):
            above = bucket_layout.parse_folder("/".join(names[:count]) + "/")
            window = wanted.delivery_window("flow-logs")
            assert above.date is None or not above.date.is_disjoint(*window)
