"""Requests for inventory, event history and GuardDuty findings, and their errors."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from flowbench import fetch
from flowbench.case import Case
from flowbench.fetch import account as aws_account
from flowbench.fetch import aws, bucket_layout
from flowbench.fetch.aws import AwsRequestError
from flowbench.fetch.outcome import FetchResult
from flowbench.fetch.requests import ApiPlan
from tests.cli.running import run
from tests.fetch.conftest import DENIED, account

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def fetched(case: Case, endpoint: str, questions, wanted=None) -> FetchResult:
    return fetch.download(case, ApiPlan(account(endpoint), "it", wanted, list(questions), 1))


def held(case: Case) -> dict[str, list[dict]]:
    root = case.path / "evidence" / "fetched"
    return {
        path.relative_to(root).as_posix(): [
            json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()
        ]
        if path.suffix == ".gz"
        else [json.loads(path.read_bytes())]
        for path in sorted(root.rglob("*.json*"))
    }


def test_an_inventory_is_fetched_and_ingested(moto, case) -> None:
    ec2 = boto3.client("ec2", endpoint_url=moto)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    elastic = ec2.allocate_address(Domain="vpc")
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnet)
    instance = made["Instances"][0]
    result = run("fetch", case.path, "inventory", "--endpoint-url", moto)
    assert (result.exit_code, "10 requests, 0 of them sent before" in result.stderr) == (0, True)
    files = held(case)
    calls = {path.rpartition("/")[2].rpartition("-")[0]: value for path, value in files.items()}
    assert all(path.startswith("live/123456789012/us-east-1/describe-") for path in files)
    assert sorted(calls) == [
        f"describe-{what}"
        for what in (
            "addresses", "flow-logs", "instances", "nat-gateways", "network-acls",
            "network-interfaces", "route-tables", "security-groups", "subnets", "vpcs",
        )
    ]  # fmt: skip
    (answer,) = calls["describe-instances"]
    (found,) = [i for r in answer["Reservations"] for i in r["Instances"]]
    assert found["InstanceId"] == instance["InstanceId"]
    launched = instance["LaunchTime"].astimezone(UTC)
    assert datetime.fromisoformat(found["LaunchTime"]) == launched
    assert "ResponseMetadata" not in answer
    seen = Case.open(case.path).interfaces.to_pandas()
    owners = seen[["instance_id", "private_address"]].drop_duplicates().to_numpy().tolist()
    assert owners == [[instance["InstanceId"], instance["PrivateIpAddress"]]]
    public = Case.open(case.path).table("elastic_ips").public_address.to_pyarrow().to_pylist()
    assert public == [elastic["PublicIp"]]
    ec2.release_address(AllocationId=elastic["AllocationId"])
    assert Case.open(case.path).quarantine.count().execute() == 0
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    wrong = run("fetch", case.path, "inventory", "--from", "2026-09-01", "--endpoint-url", moto)
    assert (wrong.exit_code, "an inventory has the present state" in wrong.stderr) == (2, True)


def test_no_page_is_larger_than_a_call_accepts(script, case) -> None:
    sizes: dict[str, str] = {}

    def answer(action: str, body: dict) -> tuple[int, dict | bytes]:
        sizes[action] = body.get("MaxResults", "")
        return 403, DENIED

    script.answers = answer
    run("fetch", case.path, "inventory", "--endpoint-url", script.endpoint)
    service = boto3.client("ec2", region_name="us-east-1").meta.service_model
    for action, size in sizes.items():
        if not action.startswith("Describe"):
            continue
        shape = service.operation_model(action).input_shape
        largest = shape and shape.members.get("MaxResults")
        if largest is not None and size:
            assert int(size) <= largest.metadata.get("max", 1_000), action
    assert sizes["DescribeRouteTables"] == "100"


def test_regions_are_named_or_of_the_account(moto) -> None:
    assert len(aws_account.list_regions(account(moto), ("all",))) > 10
    assert aws_account.list_regions(account(moto), ("b", "a", "b")) == ["b", "a"]
    assert aws_account.list_regions(account(moto), ()) == ["us-east-1"]


def test_event_history_is_requested_in_pages_and_spans(script, case) -> None:
    at = (NOW - timedelta(days=2)).replace(hour=7, minute=0, second=0, microsecond=0)
    record = {
        "eventVersion": "1.11", "eventID": "0e0e0e0e-1111-2222-3333-444444444444",
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances", "awsRegion": "us-east-1", "userIdentity": {"type": "Root"},
    }  # fmt: skip

    def answer(action: str, body: dict) -> tuple[int, dict | bytes]:
        if action != "LookupEvents":
            return 403, DENIED
        if body["StartTime"] > at.timestamp():
            return 200, {"Events": []}
        if "NextToken" not in body:
            return 200, {"Events": [], "NextToken": "more"}
        event = {
            "EventId": record["eventID"], "EventTime": at.timestamp(), "EventName": "RunInstances",
            "CloudTrailEvent": json.dumps(record),
        }  # fmt: skip
        return 200, {"Events": [event]}

    script.answers = answer
    wanted = bucket_layout.Period(at - HOUR, at + HOUR)
    asked = aws_account.cloudtrail_requests(account(script.endpoint), "us-east-1", wanted)
    assert fetched(case, script.endpoint, asked, wanted).fetched == 1
    body = next(body for action, body in script.asked if action == "LookupEvents")
    span = timedelta(hours=6)
    assert body["StartTime"] == at.replace(hour=6).timestamp()
    assert body["EndTime"] == (at.replace(hour=6) + span).timestamp() - 1
    (pages,) = held(case).values()
    assert pages[1]["Events"][0]["EventTime"] == at.isoformat()
    case.ingest(fetch.download_folder(case))
    assert case.api_events.to_pandas()["event_name"].tolist() == ["RunInstances"]
    assert case.quarantine.count().execute() == 0
    again = aws_account.cloudtrail_requests(account(script.endpoint), "us-east-1", wanted)
    assert fetched(case, script.endpoint, again, wanted).cached == 1
    old = bucket_layout.Period(NOW - timedelta(days=200), NOW - timedelta(days=89))
    spans = list(aws_account.cloudtrail_requests(account(script.endpoint), "us-east-1", old))
    assert 4 <= len(spans) <= 6
    assert [span.details["complete"] for span in spans] == [False] + [True] * (len(spans) - 1)


def test_guardduty_findings_of_all_detectors_are_fetched(script, case) -> None:
    finding = {
        "schemaVersion": "2.0", "accountId": "123456789012", "region": "us-east-1", "id": "f1",
        "arn": "arn:aws:guardduty:us-east-1:123456789012:detector/d/finding/f1",
        "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS", "resource": {"resourceType": "Instance"},
        "severity": 8, "createdAt": "2026-09-01T03:10:04.000Z", "title": "t", "description": "d",
        "updatedAt": "2026-09-01T04:10:04.000Z", "service": {"count": 2, "archived": True},
    }  # fmt: skip

    def answer(action: str, body: dict) -> tuple[int, dict | bytes]:
        if action == "/detector":
            return 200, {"detectorIds": ["d1", "d2"]}
        if action == "/detector/d1/findings":
            return 200, {"findingIds": []}
        if action == "/detector/d2/findings":
            ids = ["f1"] if body.get("nextToken") else ["f0"]
            return 200, {"findingIds": ids, "nextToken": "" if body.get("nextToken") else "2"}
        if action == "/detector/d2/findings/get":
            return 200, {"findings": [finding | {"id": one} for one in body["findingIds"]]}
        return 403, DENIED

    script.answers = answer
    wanted = bucket_layout.parse_period("2026-09-01")
    asked = aws_account.guardduty_requests(account(script.endpoint), "us-east-1", wanted)
    assert fetched(case, script.endpoint, asked, wanted).fetched == 1
    body = next(body for action, body in script.asked if action == "/detector/d2/findings")
    assert body["findingCriteria"] == {
        "criterion": {"updatedAt": {"greaterThanOrEqual": 1788220800000}}
    }
    case.ingest(fetch.download_folder(case))
    assert sorted(case.alerts.to_pandas()["alert_id"]) == ["f0", "f1"]
    assert case.quarantine.count().execute() == 0


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (
            "AccessDeniedException",
            "User: arn:aws:sts::1:x is not authorized to perform: cloudtrail:LookupEvents because"
            " no identity-based policy allows it",
            "cloudtrail 2026-09-01 00:00 in us-east-1: access denied; this identity needs"
            " cloudtrail:LookupEvents",
        ),
        ("ExpiredTokenException", "x", "the AWS credentials have expired: sign in again"),
        ("UnrecognizedClientException", "x", "AWS does not know these credentials (Unrec"),
        ("SomethingNew", "new\x1b[31m words", "AWS error SomethingNew: new\x1b[31m words"),
    ],
)
def test_rejections_name_the_action_or_the_remedy(script, case, code, message, expected) -> None:
    script.answers = lambda *_: (400, {"__type": code, "message": message})
    wanted = bucket_layout.parse_period("2026-09-01", "2026-09-01T01:00")
    questions = list(aws_account.cloudtrail_requests(account(script.endpoint), "us-east-1", wanted))
    try:
        result = fetched(case, script.endpoint, questions, wanted)
        text = result.failures[0][1]
    except AwsRequestError as refused:
        text = str(refused)
    assert expected in text


def test_a_rejected_request_is_reported_and_the_rest_is_kept(script, case) -> None:
    empty = b"<R><networkInterfaceSet/><requestId>x</requestId></R>"

    def answer(action: str, _: dict) -> tuple[int, dict | bytes]:
        return (403, DENIED) if action != "DescribeNetworkInterfaces" else (200, empty)

    script.answers = answer
    result = run("fetch", case.path, "inventory", "--endpoint-url", script.endpoint)
    assert result.exit_code == 1
    assert (
        "not fetched: inventory describe-vpcs in us-east-1: access denied; this identity needs"
        " ec2:DescribeVpcs" in result.stderr
    )
    assert "fetched 1 " in result.stderr
    details = Case.open(case.path).custody[-2]["details"]
    assert (details["fetched"], details["failures"], details["caller"]) == (1, 9, None)


def test_control_characters_of_a_response_are_escaped(script, case) -> None:
    script.answers = lambda *_: (400, {"__type": "New", "message": "\x1b[31mred"})
    wanted = ["--from", "2026-09-01", "--until", "2026-09-02", "--endpoint-url", script.endpoint]
    shown = run("fetch", case.path, "cloudtrail", *wanted, "--region", "us-east-1").stderr
    assert "\\x1b[31mred" in shown
    assert "\x1b[31mred" not in shown


def test_connection_errors_name_the_remedy_and_no_secret(case, monkeypatch) -> None:
    def fetch_error(*words: str) -> str:
        return run("fetch", case.path, "inventory", *words).stderr

    monkeypatch.setattr(aws, "Config", lambda **more: _quick(more))
    away = fetch_error("--endpoint-url", "http://user:secret@127.0.0.1:9")
    assert "cannot reach AWS; check the network, the region and --endpoint-url" in away
    text = (case.path / "custody.jsonl").read_text()
    assert '"endpoint":"http://127.0.0.1:9"' in text
    assert "secret" not in text
    assert "invalid endpoint" in fetch_error("--endpoint-url", "nonsense")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "no valid AWS region: give --region" in fetch_error()
    assert "no valid AWS region" in fetch_error("--region", "not a region")


def _quick(more: dict):
    from botocore.config import Config

    return Config(**(more | {"retries": {"total_max_attempts": 1}}))
