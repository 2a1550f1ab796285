"""API requests for a region's inventory, CloudTrail's event history and GuardDuty's findings.

An inventory has the state at the time of the request: fetch it early. CloudTrail's event history
has the management events of the last 90 days, each in the region where it happened (those of IAM
and other global services in us-east-1); GuardDuty keeps findings for 90 days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flowbench.fetch.aws import ApiResponse, AwsSession, translate_errors
from flowbench.fetch.bucket_layout import MAX_DELIVERY_DELAY, Period
from flowbench.fetch.requests import ApiRequest, is_complete, split_period

EVENT_HISTORY = timedelta(days=90)

_DESCRIBE_CALLS = {  # and the list in the response
    "network_interfaces": "NetworkInterfaces",
    "instances": "Reservations",
    "subnets": "Subnets",
    "vpcs": "Vpcs",
    "security_groups": "SecurityGroups",
    "network_acls": "NetworkAcls",
    "route_tables": "RouteTables",
    "flow_logs": "FlowLogs",
    "nat_gateways": "NatGateways",
    "addresses": "Addresses",
}
_PAGE_SIZE = 1_000
_SMALLER_PAGES = {"describe_route_tables": 100}  # the most that the call accepts
_SPAN = timedelta(hours=6)  # of 50 events per page and two pages a second: short enough to resume
_GUARDDUTY_PAGE = 50  # the most that GetFindings accepts


def list_regions(session: AwsSession, names: tuple[str, ...]) -> list[str]:
    """Return the regions named, all of the account's for 'all', the profile's for none.

    Raises AwsRequestError when there is none.
    """
    if names == ("all",):
        client = session.client("ec2", session.default_region)
        with translate_errors("ec2:DescribeRegions", "the account's regions"):
            return sorted(region["RegionName"] for region in client.describe_regions()["Regions"])
    return list(dict.fromkeys(names)) or [session.client("ec2").meta.region_name]


def inventory_requests(session: AwsSession, region: str) -> Iterator[ApiRequest]:
    """Yield a request for each describe call: interfaces, instances, VPCs and the like."""
    now = datetime.now(UTC)
    client = session.client("ec2", region)
    for call, merged_list in _DESCRIBE_CALLS.items():
        name = f"describe-{call.replace('_', '-')}"
        yield _to_request(
            session,
            region,
            f"inventory {name}",
            name,
            f"ec2:Describe{call.title().replace('_', '')}",
            partial(_describe, client, f"describe_{call}"),
            time=now,
            merged_list=merged_list,
        )


def _describe(client: Any, call: str) -> Iterable[ApiResponse]:
    """Return the pages of a describe call; describe-addresses answers with all at once."""
    if client.can_paginate(call):
        size = _SMALLER_PAGES.get(call, _PAGE_SIZE)
        return client.get_paginator(call).paginate(PaginationConfig={"PageSize": size})
    return [getattr(client, call)()]


def cloudtrail_requests(session: AwsSession, region: str, period: Period) -> Iterator[ApiRequest]:
    """Yield requests for a period's management events in the event history, six hours each."""
    client = session.client("cloudtrail", region)
    now = datetime.now(UTC)
    earliest = now - EVENT_HISTORY
    for since, until in split_period(period, _SPAN):
        if until <= earliest or since >= now:
            continue
        paginator = client.get_paginator("lookup_events")
        end = until - timedelta(seconds=1)  # EndTime is inclusive; events have whole seconds
        complete = since >= earliest and is_complete(until, MAX_DELIVERY_DELAY["cloudtrail"])
        yield _to_request(
            session,
            region,
            f"cloudtrail {since:%Y-%m-%d %H:%M}",
            f"lookup-events-{since:%Y%m%dT%HZ}",
            "cloudtrail:LookupEvents",
            partial(paginator.paginate, StartTime=max(since, earliest), EndTime=end),
            time=None if complete else now,
            since=since.isoformat(),
            until=until.isoformat(),
            complete=complete,
        )


def guardduty_requests(session: AwsSession, region: str, period: Period) -> Iterator[ApiRequest]:
    """Yield the request for GuardDuty findings updated since a period began, archived ones too."""
    client = session.client("guardduty", region)
    since = round(period.since.timestamp() * 1000)
    criteria = {"Criterion": {"updatedAt": {"GreaterThanOrEqual": since}}}

    def send() -> Iterator[ApiResponse]:
        for detectors in client.get_paginator("list_detectors").paginate():
            for detector in detectors["DetectorIds"]:
                pages = client.get_paginator("list_findings").paginate(
                    DetectorId=detector,
                    FindingCriteria=criteria,
                    PaginationConfig={"PageSize": _GUARDDUTY_PAGE},
                )
                for page in pages:
                    if ids := page["FindingIds"]:
                        yield client.get_findings(DetectorId=detector, FindingIds=ids)

    yield _to_request(
        session,
        region,
        "guardduty",
        "get-findings",
        "guardduty:ListDetectors, guardduty:ListFindings and guardduty:GetFindings",
        send,
        time=datetime.now(UTC),
        since=period.since.isoformat(),
    )


def _to_request(
    session: AwsSession,
    region: str,
    description: str,
    name: str,
    action: str,
    send: Callable[[], Iterable[ApiResponse]],
    *,
    time: datetime | None,
    merged_list: str | None = None,
    **details: object,
) -> ApiRequest:
    """Return a request to one region; with ``time`` its response holds for that time only."""
    suffix = f"-{time:%Y%m%dT%H%M%SZ}" if time else ""
    owner = session.caller["account"]
    return ApiRequest(
        item_id=f"{description} {owner}/{region}{suffix}",
        description=f"{description} in {region}",
        action=action,
        region=region,
        names=["live", owner or "account", region, f"{name}{suffix}"],
        send=send,
        merged_list=merged_list,
        details={"account": owner, **details},
    )
