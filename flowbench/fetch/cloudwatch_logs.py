"""Events of a CloudWatch Logs group, hour by hour.

FilterLogEvents gives the events of all streams of a group (an interface each, and there may be
thousands) in pages of up to 1 MB or 10,000 events; GetLogEvents would need calls for each stream,
those without events too. Hours are asked whole, however the period cuts them: the same hours next
time, which are not asked again unless they were too young to be complete. An hour that was asked
twice lies in the case twice, in two files: connections count its records once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flowbench.errors import InputError
from flowbench.fetch import aws
from flowbench.fetch.bucket_layout import LATE, Period
from flowbench.fetch.requests import Question, settled, slices

SLICE = timedelta(hours=1)

_GROUP = re.compile(r"[A-Za-z0-9_\-/.#]{1,512}")
_ARN = re.compile(r"arn:[a-z-]+:logs:([a-z0-9-]+):\d{12}:log-group:([^:*]+)(?::\*)?")


def questions(account: aws.Account, url: str, period: Period) -> Iterator[Question]:
    """What to ask for the events of ``logs://GROUP`` (name or ARN) in a period, and its flow logs.

    Raises InputError when ``url`` is none, Refused when AWS cannot be asked at all.
    """
    group, region = _group(url)
    client = account.client("logs", region)
    region = client.meta.region_name
    now = datetime.now(UTC)
    where = ["logs", region, *group.rpartition("log-group:")[2].strip("/").split("/")]
    yield _format(account, group, region, where, now)
    chosen = {"logGroupIdentifier" if group.startswith("arn:") else "logGroupName": group}
    for since, until in slices(period, SLICE):
        if since >= now:
            return
        whole = settled(until, LATE["flow-logs"])
        asked = "" if whole else f"-asked-{now:%Y%m%dT%H%M%SZ}"

        def answers(since: datetime = since, until: datetime = until) -> Iterator[dict[str, Any]]:
            pages = client.get_paginator("filter_log_events").paginate(
                **chosen,
                startTime=_milliseconds(since),
                endTime=_milliseconds(until) - 1,  # itself included
            )
            return (page for page in pages if page["events"])

        yield Question(
            unit=f"logs://{account.caller['account']}/{region}/{group} {since:%Y%m%dT%HZ}{asked}",
            what=f"log group {group} in {region}, {since:%Y-%m-%d %H:%M}",
            action="logs:FilterLogEvents",
            names=[*where, f"{since:%Y%m%dT%H%MZ}{asked}"],
            answers=answers,
            details={
                "group": group,
                "region": region,
                "account": account.caller["account"],
                "since": since.isoformat(),
                "until": until.isoformat(),
                "complete": whole,
            },
        )


def _format(
    account: aws.Account, group: str, region: str, where: list[str], now: datetime
) -> Question:
    """Which flow logs write into the group, and in which format: events carry no header."""
    name = group.rpartition("log-group:")[2]

    def answers() -> Any:
        pages = account.client("ec2", region).get_paginator("describe_flow_logs")
        return pages.paginate(Filters=[{"Name": "log-group-name", "Values": [name]}])

    return Question(
        unit=f"flow-logs://{account.caller['account']}/{region}/{group} {now:%Y%m%dT%H%M%SZ}",
        what=f"the flow logs of log group {group} in {region}",
        action="ec2:DescribeFlowLogs",
        names=[*where, f"describe-flow-logs-{now:%Y%m%dT%H%M%SZ}"],
        answers=answers,
        document="FlowLogs",
        details={"group": group, "region": region, "account": account.caller["account"]},
    )


def _group(url: str) -> tuple[str, str | None]:
    """The group (name or ARN) of a ``logs://…``, and the region that an ARN names."""
    text = url.removeprefix("logs://")
    if found := _ARN.fullmatch(text):
        return text.removesuffix(":*"), found[1]
    if not url.startswith("logs://") or not _GROUP.fullmatch(text):
        raise InputError(f"{url}: write logs://GROUP, as in logs:///vpc/flow-logs")
    return text, None


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
