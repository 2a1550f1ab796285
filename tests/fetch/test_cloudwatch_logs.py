"""Events of a CloudWatch Logs group: whole hours, unchanged, each requested once."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from flowbench import fetch
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.fetch import bucket_layout, cloudwatch_logs
from flowbench.fetch.aws import AwsRequestError
from flowbench.fetch.outcome import FetchResult
from tests.cli.running import run
from tests.fetch.conftest import DENIED, account, wait_for

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
TWO = NOW.replace(minute=0, second=0, microsecond=0) - 5 * HOUR  # moto takes no events of the past


def fetched(case: Case, endpoint: str, url: str, wanted: bucket_layout.Period) -> FetchResult:
    found = fetch.prepare(url, since=wanted.since, until=wanted.until, session=account(endpoint))
    return fetch.download(case, found)


def held(case: Case, pattern: str) -> dict[str, list[dict]]:
    root = case.path / "evidence" / "fetched"
    return {
        path.relative_to(root).as_posix(): [
            json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()
        ]
        if path.suffix == ".gz"
        else [json.loads(path.read_bytes())]
        for path in sorted(root.rglob(pattern))
    }


def next_second() -> None:
    """Wait: repeated requests differ by the second in their names."""
    before = int(time.time())
    wait_for(lambda: time.time() >= before + 1)


def group(endpoint: str, name: str, events: dict[str, list[tuple[datetime, str]]]) -> None:
    client = boto3.client("logs", endpoint_url=endpoint)
    client.create_log_group(logGroupName=name)
    for stream, lines in events.items():
        client.create_log_stream(logGroupName=name, logStreamName=stream)
        client.put_log_events(
            logGroupName=name,
            logStreamName=stream,
            logEvents=[
                {"timestamp": round(at.timestamp() * 1000), "message": text} for at, text in lines
            ],
        )


def test_whole_hours_and_the_record_format_are_fetched(moto, case) -> None:
    last = TWO + HOUR - timedelta(milliseconds=1)
    group(moto, "/vpc/two", {
        "eni-0a-all": [(TWO - timedelta(seconds=1), "before"), (TWO, "first"), (last, "last")],
        "eni-0b-all": [(TWO + HOUR, "next \u00fc \x00"), (TWO + 2 * HOUR, "after")],
    })  # fmt: skip
    ec2 = boto3.client("ec2", endpoint_url=moto)
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    form = "${version} ${srcaddr} ${dstaddr}"
    made = ec2.create_flow_logs(
        ResourceIds=[network], ResourceType="VPC", TrafficType="ALL", LogGroupName="/vpc/two",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/x", LogFormat=form,
    )["FlowLogIds"]  # fmt: skip
    wanted = bucket_layout.Period(TWO + timedelta(minutes=59), TWO + timedelta(minutes=61))
    result = fetched(case, moto, "logs:///vpc/two", wanted)
    assert (result.fetched, result.failures) == (3, [])
    files = held(case, "*Z.json*")
    formats = {k: v for k, v in files.items() if "describe-flow-logs" in k}
    slices = {k: v for k, v in files.items() if k not in formats}
    assert list(slices) == [
        f"logs/us-east-1/vpc/two/{at:%Y%m%dT%H%M}Z.jsonl.gz" for at in (TWO, TWO + HOUR)
    ]
    first, second = slices.values()
    assert [event["message"] for page in first for event in page["events"]] == ["first", "last"]
    assert [event["message"] for page in second for event in page["events"]] == ["next \u00fc \x00"]
    assert set(first[0]["events"][0]) == {
        "logStreamName", "timestamp", "message", "ingestionTime", "eventId",
    }  # fmt: skip
    (answer,) = formats.values()
    assert [(f["FlowLogId"], f["LogFormat"]) for f in answer[0]["FlowLogs"]] == [(made[0], form)]
    next_second()
    again = fetched(case, moto, "logs:///vpc/two", wanted)
    assert (again.fetched, again.cached) == (1, 2)  # only the format is requested again
    entry = json.loads((case.path / "evidence" / "fetched.jsonl").read_text().splitlines()[-1])
    assert (entry["account"], entry["region"]) == ("123456789012", "us-east-1")
    assert case.custody[-1]["details"]["caller"] == "arn:aws:sts::123456789012:user/moto"


def test_a_custom_format_is_read_from_the_flow_log_settings(moto, case) -> None:
    records = [f"10.0.1.{n} 198.51.100.7 {6000 + n} ACCEPT 3 {n}" for n in (1, 2)]
    group(moto, "own/format", {"eni-0a-all": [(TWO, text) for text in records]})
    ec2 = boto3.client("ec2", endpoint_url=moto)
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ec2.create_flow_logs(
        ResourceIds=[network], ResourceType="VPC", TrafficType="ALL", LogGroupName="own/format",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/x",
        LogFormat="${srcaddr} ${dstaddr} ${bytes} ${action} ${version} ${srcport}",
    )  # fmt: skip
    hour = ["--from", f"{TWO:%Y-%m-%dT%H:%M}", "--until", f"{TWO + HOUR:%Y-%m-%dT%H:%M}"]
    result = run("fetch", case.path, "logs://own/format", *hour, "--endpoint-url", moto)
    assert (result.exit_code, "2 requests" in result.stderr) == (0, True)
    rows = Case.open(case.path).flows.order_by("srcaddr").to_pandas()
    assert rows[["srcaddr", "srcport", "bytes", "action"]].to_numpy().tolist() == [
        ["10.0.1.1", 1, 6001, "ACCEPT"],
        ["10.0.1.2", 2, 6002, "ACCEPT"],
    ]
    assert Case.open(case.path).quarantine.count().execute() == 0


def test_events_of_a_group_are_ingested_as_flow_records(moto, case) -> None:
    start = round(TWO.timestamp())
    lines = [
        f"2 123456789012 eni-0a 10.0.1.{n} 198.51.100.7 5000{n} 443 6 18 3120 {start + n}"
        f" {start + 59} ACCEPT OK"
        for n in range(3)
    ]
    broken = "2 123456789012 eni-0a not a record"
    group(moto, "/vpc/plain", {"eni-0a-all": [(TWO, text) for text in [*lines, broken]]})
    hour = ["--from", f"{TWO:%Y-%m-%dT%H:%M}", "--until", f"{TWO + HOUR:%Y-%m-%dT%H:%M}"]
    words = ["fetch", case.path, "logs:///vpc/plain", *hour, "--endpoint-url", moto]
    assert run(*words).exit_code == 0
    loaded = Case.open(case.path)
    rows = loaded.flows.order_by("start").to_pandas()
    assert rows["srcaddr"].tolist() == ["10.0.1.0", "10.0.1.1", "10.0.1.2"]
    assert loaded.quarantine.to_pandas()["raw"].str.contains(broken).tolist() == [True]
    assert loaded.verify()["ok"].all()


def test_only_incomplete_hours_are_requested_again(moto, case) -> None:
    group(moto, "/vpc/young", {"eni-0a-all": [(NOW - timedelta(minutes=1), "young")]})
    wanted = bucket_layout.Period(NOW - 6 * HOUR, NOW + 24 * HOUR)
    first = fetched(case, moto, "logs:///vpc/young", wanted)
    next_second()
    again = fetched(case, moto, "logs:///vpc/young", wanted)
    index = (case.path / "evidence" / "fetched.jsonl").read_text().splitlines()
    hours = [entry for line in index if "complete" in (entry := json.loads(line))]
    complete = [entry["since"] for entry in hours if entry["complete"]]
    assert len(complete) == len(set(complete)) == again.cached >= 4
    assert all(entry["files"] == [] for entry in hours if entry["complete"])
    young = [entry for entry in hours if entry["files"]]
    assert len({entry["since"] for entry in young}) == 1
    assert len({entry["item_id"] for entry in young}) == len(young) == 2
    assert {page["events"][0]["message"] for p in held(case, "2*").values() for page in p} == {
        "young"
    }
    assert first.fetched <= 9  # no hour that has not begun


def test_a_failed_page_leaves_no_partial_hour(script, case) -> None:
    def answer(action: str, body: dict) -> tuple[int, dict | bytes]:
        if action != "FilterLogEvents":
            return 403, DENIED
        if "nextToken" not in body:
            return 200, {"events": [{"message": "one"}], "nextToken": "2"}
        return 400, {"__type": "AccessDeniedException", "message": "no"}

    script.answers = answer
    wanted = bucket_layout.parse_period("2026-09-01T12:00", "2026-09-01T12:30")
    result = fetched(case, script.endpoint, "logs://g", wanted)
    assert result.fetched == 0
    hour = "log group g in us-east-1, 2026-09-01 12:00"
    form = "the flow logs of log group g in us-east-1"
    assert result.failures == [
        (hour, f"{hour}: access denied; this identity needs logs:FilterLogEvents"),
        (form, f"{form}: access denied; this identity needs ec2:DescribeFlowLogs"),
    ]
    assert held(case, "*") == {}
    assert not (case.path / "evidence" / "incomplete").exists()


def test_throttled_requests_are_retried(script, case) -> None:
    def answer(action: str, _: dict) -> tuple[int, dict | bytes]:
        count = sum(asked == action for asked, _ in script.asked)
        if action == "FilterLogEvents" and count == 1:
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        return (
            (200, {"events": [{"message": "x"}]}) if action == "FilterLogEvents" else (403, DENIED)
        )

    script.answers = answer
    wanted = bucket_layout.parse_period("2026-09-01T12:00", "2026-09-01T12:30")
    result = fetched(case, script.endpoint, "logs://g", wanted)
    assert result.fetched == 1
    (pages,) = held(case, "*.gz").values()
    assert pages == [{"events": [{"message": "x"}]}]


def test_missing_groups_and_invalid_urls_are_errors(moto, case) -> None:
    wanted = bucket_layout.parse_period("2026-01-01", "2026-09-01")
    message = r"log group vpc/none in us-east-1, .*: no such resource; check its name"
    with pytest.raises(AwsRequestError, match=message):
        fetched(case, moto, "logs://vpc/none", wanted)
    for wrong in ("logs://", "logs://a b", "logs://a\nb", "logs://" + "x" * 600):
        with pytest.raises(InputError, match=r"write logs://GROUP"):
            next(cloudwatch_logs.log_group_requests(account(moto), wrong, wanted))
    assert case.custody[-1]["details"]["outcome"].startswith("log group vpc/none")


def test_an_arn_names_its_region(moto) -> None:
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/a/b"
    first = next(
        cloudwatch_logs.log_group_requests(
            account(moto), f"logs://{arn}:*", bucket_layout.parse_period("2026-09-01")
        )
    )
    assert first.names[:4] == ["logs", "eu-west-1", "a", "b"]
    assert first.details["group"] == arn
