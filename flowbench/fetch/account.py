"""What AWS knows of an account by itself: the inventory of a region, API events, GuardDuty alerts.

An inventory is what there is at the moment of asking: take it early. CloudTrail's own event history
holds management events of 90 days, each in the region where it happened (IAM's and other global
services' in us-east-1); GuardDuty keeps findings for 90 days.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flowbench.fetch import aws
from flowbench.fetch.bucket_layout import LATE, Period
from flowbench.fetch.requests import Question, settled, slices

HISTORY = timedelta(days=90)

_CALLS = {  # and the list in the answer
    "network_interfaces": "NetworkInterfaces",
    "instances": "Reservations",
    "subnets": "Subnets",
    "vpcs": "Vpcs",
    "security_groups": "SecurityGroups",
    "flow_logs": "FlowLogs",
    "nat_gateways": "NatGateways",
}
_SLICE = timedelta(hours=6)  # two requests a second of 50 events: short enough to take up


def regions(account: aws.Account, names: tuple[str, ...]) -> list[str]:
    """The regions to ask: those named, all that the account uses for 'all', else the profile's.

    Raises Refused when there is none.
    """
    if names == ("all",):
        client = account.client("ec2", account.session.region_name or "us-east-1")
        with aws.asking("ec2:DescribeRegions", "the account's regions"):
            return sorted(found["RegionName"] for found in client.describe_regions()["Regions"])
    return list(dict.fromkeys(names)) or [account.client("ec2").meta.region_name]


def inventory(account: aws.Account, region: str) -> Iterator[Question]:
    """What there is in a region now: interfaces, instances, VPCs and what belongs to them.

    One question for each call (``describe-network-interfaces`` …).
    """
    now = datetime.now(UTC)
    client = account.client("ec2", region)
    for call, document in _CALLS.items():
        name = f"describe-{call.replace('_', '-')}"
        pages = partial(
            client.get_paginator(f"describe_{call}").paginate, PaginationConfig={"PageSize": 1000}
        )
        action = "".join(word.capitalize() for word in call.split("_"))
        yield _question(
            account, region, f"inventory {name}", name, f"ec2:Describe{action}", pages,
            now=now, document=document,
        )  # fmt: skip


def cloudtrail(account: aws.Account, region: str, period: Period) -> Iterator[Question]:
    """Management events of a period from the event history, in spans of six hours."""
    client = account.client("cloudtrail", region)
    now = datetime.now(UTC)
    earliest = now - HISTORY
    for since, until in slices(period, _SLICE):
        if until <= earliest or since >= now:
            continue
        pages = partial(
            client.get_paginator("lookup_events").paginate,
            StartTime=max(since, earliest),
            EndTime=until - timedelta(seconds=1),  # itself included; events have whole seconds
        )
        complete = settled(until, LATE["cloudtrail"]) and since >= earliest
        yield _question(
            account, region,
            f"cloudtrail {since:%Y-%m-%d %H:%M}", f"lookup-events-{since:%Y%m%dT%HZ}",
            "cloudtrail:LookupEvents", pages, now=None if complete else now,
            since=since.isoformat(), until=until.isoformat(), complete=complete,
        )  # fmt: skip


def guardduty(account: aws.Account, region: str, period: Period) -> Iterator[Question]:
    """GuardDuty findings updated since a period began, archived ones too, as they are now."""
    client = account.client("guardduty", region)
    since = round(period.since.timestamp() * 1000)
    criteria = {"Criterion": {"updatedAt": {"GreaterThanOrEqual": since}}}

    def answers() -> Iterator[dict[str, Any]]:
        for detectors in client.get_paginator("list_detectors").paginate():
            for detector in detectors["DetectorIds"]:
                pages = client.get_paginator("list_findings").paginate(
                    DetectorId=detector,
                    FindingCriteria=criteria,
                    PaginationConfig={"PageSize": 50},  # what get_findings takes
                )
                for page in pages:
                    if ids := page["FindingIds"]:
                        yield client.get_findings(DetectorId=detector, FindingIds=ids)

    yield _question(
        account, region, "guardduty", "get-findings",
        "guardduty:ListDetectors, guardduty:ListFindings and guardduty:GetFindings", answers,
        now=datetime.now(UTC), since=period.since.isoformat(),
    )  # fmt: skip


def _question(
    account: aws.Account,
    region: str,
    what: str,
    name: str,
    action: str,
    answers: Any,
    *,
    now: datetime | None,
    document: str | None = None,
    **details: Any,
) -> Question:
    """A question to one region; with ``now`` the answer holds for that moment only."""
    asked = f"-{now:%Y%m%dT%H%M%SZ}" if now else ""
    owner = account.caller["account"]
    return Question(
        unit=f"{what} {owner}/{region}{asked}",
        what=f"{what} in {region}",
        action=action,
        names=["live", owner or "account", region, f"{name}{asked}"],
        answers=answers,
        document=document,
        details={"account": owner, "region": region, **details},
    )
