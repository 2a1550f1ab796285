"""API requests for the events of a CloudWatch Logs group, one per hour.

FilterLogEvents returns the events of all streams of a group (one per interface, possibly thousands)
in pages of up to 1 MB or 10,000 events; GetLogEvents would need requests for each stream, also
those without events. Whole hours are requested wherever the period begins and ends: they are the
same the next time, and are not requested again unless they were incomplete. An hour requested twice
is in the case twice, in two files; connections count its records once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flowbench.errors import InputError
from flowbench.fetch.aws import ApiResponse, AwsSession
from flowbench.fetch.bucket_layout import MAX_DELIVERY_DELAY, Period
from flowbench.fetch.requests import ApiRequest, is_complete, split_period

SPAN = timedelta(hours=1)

_GROUP = re.compile(r"[A-Za-z0-9_\-/.#]{1,512}")
_ARN = re.compile(r"arn:[a-z-]+:logs:([a-z0-9-]+):\d{12}:log-group:([^:*]+)(?::\*)?")


def log_group_requests(session: AwsSession, url: str, period: Period) -> Iterator[ApiRequest]:
    """Yield the requests for the events of ``logs://GROUP`` (name or ARN) and its flow logs.

    Raises:
        InputError: ``url`` is not of this form.
        AwsRequestError: No client can be made.
    """
    group, region = _parse_group(url)
    client = session.client("logs", region)
    region = str(client.meta.region_name)
    now = datetime.now(UTC)
    folders = ["logs", region, *group.rpartition("log-group:")[2].strip("/").split("/")]
    account = session.caller["account"]
    yield _format_request(session, group, region, folders, now)
    for since, until in split_period(period, SPAN):
        if since >= now:
            return
        complete = is_complete(until, MAX_DELIVERY_DELAY["flow-logs"])
        suffix = "" if complete else f"-requested-{now:%Y%m%dT%H%M%SZ}"
        yield ApiRequest(
            item_id=f"logs://{account}/{region}/{group} {since:%Y%m%dT%HZ}{suffix}",
            description=f"log group {group} in {region}, {since:%Y-%m-%d %H:%M}",
            action="logs:FilterLogEvents",
            region=region,
            names=[*folders, f"{since:%Y%m%dT%H%MZ}{suffix}"],
            send=partial(_filter_log_events, client, group, since, until),
            details={
                "group": group,
                "account": account,
                "since": since.isoformat(),
                "until": until.isoformat(),
                "complete": complete,
            },
        )


def _filter_log_events(
    client: Any, group: str, since: datetime, until: datetime
) -> Iterator[ApiResponse]:
    """Return the pages that have events."""
    pages = client.get_paginator("filter_log_events").paginate(
        **{"logGroupIdentifier" if group.startswith("arn:") else "logGroupName": group},
        startTime=_to_milliseconds(since),
        endTime=_to_milliseconds(until) - 1,  # inclusive
    )
    return (page for page in pages if page["events"])


def _format_request(
    session: AwsSession, group: str, region: str, folders: list[str], now: datetime
) -> ApiRequest:
    """Return the request for the group's flow logs: their format, since events have no header."""
    name = group.rpartition("log-group:")[2]
    account = session.caller["account"]

    def send() -> Iterable[ApiResponse]:
        paginator = session.client("ec2", region).get_paginator("describe_flow_logs")
        pages: Iterable[ApiResponse] = paginator.paginate(
            Filters=[{"Name": "log-group-name", "Values": [name]}]
        )
        return pages

    return ApiRequest(
        item_id=f"flow-logs://{account}/{region}/{group} {now:%Y%m%dT%H%M%SZ}",
        description=f"the flow logs of log group {group} in {region}",
        action="ec2:DescribeFlowLogs",
        region=region,
        names=[*folders, f"describe-flow-logs-{now:%Y%m%dT%H%M%SZ}"],
        send=send,
        merged_list="FlowLogs",
        details={"group": group, "account": account},
    )


def _parse_group(url: str) -> tuple[str, str | None]:
    """Return the group (name or ARN) of a ``logs://…``, and the region of an ARN."""
    text = url.removeprefix("logs://")
    if match := _ARN.fullmatch(text):
        return text.removesuffix(":*"), match[1]
    if not url.startswith("logs://") or not _GROUP.fullmatch(text):
        raise InputError(f"{url}: write logs://GROUP, as in logs:///vpc/flow-logs")
    return text, None


def _to_milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
