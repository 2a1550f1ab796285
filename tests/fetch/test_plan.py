"""The entry point of a fetch, from Python and as the command `flowbench fetch`."""

from __future__ import annotations

import importlib
import json

import pytest

from flowbench import fetch
from flowbench.errors import InputError
from flowbench.fetch import bucket_layout
from tests.cli.running import run
from tests.fetch.conftest import ACCOUNT, DENIED, account, flow_log

FOLDER = f"AWSLogs/{ACCOUNT}/vpcflowlogs/eu-central-1/2026/09/01"
NOON = 1788264000


def key(minute: str) -> str:
    return f"{FOLDER}/{ACCOUNT}_vpcflowlogs_eu-central-1_fl-0a_20260901T12{minute}Z_1a2b.log.gz"


def test_a_bucket_is_fetched_and_ingested(bucket, case) -> None:
    sizes = [len(flow_log(NOON + m, count=3)) for m in (0, 5)]
    for minute in (0, 5):
        bucket.put(key(f"{minute:02}"), flow_log(NOON + minute, count=3))
    url = f"s3://{bucket.name}"
    words = [url, "--from", "2026-09-01T12:00", "--until", "2026-09-01T13:00"]
    words = ["fetch", case.path, *words, "--endpoint-url", bucket.endpoint]
    dry = run(*words, "--dry-run", "--format", "json")
    assert (dry.exit_code, json.loads(dry.stdout)) == (
        0,
        [
            {
                "kind": "flow-logs", "account": ACCOUNT, "region": "eu-central-1",
                "selected_by": "name", "objects": 2, "bytes": sum(sizes), "cached": 0,
                "bytes_to_fetch": sum(sizes),
            }
        ],
    )  # fmt: skip
    assert f"2 objects, 0 of them fetched before: {sum(sizes)} B to fetch" in dry.stderr
    assert not (case.path / "evidence").exists()
    assert [entry["action"] for entry in custody(case.path)] == ["create"]
    bare = run(*words, "--no-ingest")
    assert (bare.exit_code, bare.stdout) == (0, "")
    assert f"fetched 2 ({sum(sizes)} B)" in bare.stderr
    assert [entry["action"] for entry in custody(case.path)] == ["create", "fetch"]
    again = run(*words)
    assert "2 objects, 2 of them fetched before: 0 B to fetch" in again.stderr
    assert "flow-logs" in again.stdout
    assert len(run("flows", case.path, "--format", "jsonl").stdout.splitlines()) == 6
    assert run("verify", case.path).exit_code == 0


def test_help_lists_the_sources() -> None:
    lines = [line.strip() for line in run("fetch", "--help").output.splitlines()]
    assert "logs://GROUP         events of a CloudWatch Logs group, in whole hours" in lines
    assert "flowbench new CASE" in [line.strip() for line in run("--help").output.splitlines()]


def test_the_command_offers_all_kinds() -> None:
    assert importlib.import_module("flowbench.cli.fetch")._KINDS == bucket_layout.KINDS


def test_invalid_arguments_name_the_remedy(bucket, case) -> None:
    def error(*words: str) -> str:
        result = run("fetch", case.path, *words, "--endpoint-url", bucket.endpoint)
        assert result.exit_code == 2
        return result.stderr.strip()

    url = f"s3://{bucket.name}"
    assert error(url) == "flowbench: --from is missing: give the start of the period"
    assert error(url, "--from", "soon").startswith("flowbench: soon: invalid time")
    assert error("ftp://x", "--from", "2026-09-01").startswith("flowbench: ftp://x: unknown source")
    assert error(url, "--from", "2026-09-01") == f"flowbench: {url}: nothing is there"
    bucket.put("x.gz", b"x", "2026-08-01T00:00")
    empty = run(
        "fetch", case.path, url, "--from", "2026-09-01", "--endpoint-url", bucket.endpoint
    )  # fmt: skip
    assert (empty.exit_code, "0 objects" in empty.stderr) == (0, True)


def test_prepare_checks_source_period_and_regions() -> None:
    for source, options, message in (
        ("ftp://x", {"since": "2026-09-01"}, "unknown source"),
        ("s3://bucket", {}, "give the start of the period"),
        ("inventory", {"since": "2026-09-01"}, "omit the period"),
        ("logs://g", {"since": "2026-09-01", "regions": ("a", "b")}, "give --region once"),
        ("s3://bucket", {"since": "2026-09-02", "until": "2026-09-01"}, "the period is empty"),
    ):
        with pytest.raises(InputError, match=message):
            fetch.prepare(source, **options)


def test_old_cloudtrail_events_are_not_in_the_event_history(script) -> None:
    script.answers = lambda *_: (403, DENIED)
    plan = fetch.prepare(
        "cloudtrail", since="2020-01-01", session=account(script.endpoint), regions=("us-east-1",)
    )
    assert plan.notes() == [
        "CloudTrail's event history has 90 days: fetch older events from the trail's bucket"
    ]


def test_the_download_folder_is_in_the_case(case) -> None:
    assert fetch.download_folder(case) == case.path / "evidence" / "fetched"


def custody(path) -> list[dict]:
    return [json.loads(line) for line in (path / "custody.jsonl").read_text().splitlines()]
