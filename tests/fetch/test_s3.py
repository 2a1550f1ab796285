"""Downloads from a real S3 server: complete or not at all, and only once."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowbench import fetch
from flowbench.case import Case
from flowbench.fetch.s3_listing import plan_s3_download
from tests.fetch.conftest import (
    ACCOUNT,
    NOON,
    PERIOD,
    REGION,
    account,
    fetch_bucket,
    files,
    flow_log,
    index,
    object_name,
    wait_for,
)


def test_fetched_files_are_unchanged_and_indexed_and_logged(bucket, case) -> None:
    data = flow_log(NOON + 1)
    folder = f"default/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}"
    key = bucket.put(f"{folder}/2026/09/01/{object_name('20260901T1220Z')}", data)
    bucket.put(f"{folder}/2026/09/03/{object_name('20260903T1220Z')}", flow_log(NOON + 3))
    result = fetch_bucket(case, bucket, "default")
    assert (result.fetched, result.size, result.cached, result.failures) == (1, len(data), 0, [])
    assert files(case) == {f"s3/{bucket.name}/{key}": data}
    (entry,) = index(case)
    assert entry["source"] == f"s3://{bucket.name}/{key}"
    assert entry["etag"] == hashlib.md5(data).hexdigest()
    assert entry["modified"] == "2026-09-20T00:00:00+00:00"
    assert entry["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    logged = case.custody[-1]
    assert (logged["action"], logged["details"]["outcome"]) == ("fetch", "done")
    assert logged["details"]["since"] == "2026-09-01T12:00:00+00:00"
    whole = (case.path / "evidence" / "fetched.jsonl").read_bytes()
    assert logged["details"]["index"] == {
        "bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest(),
    }  # fmt: skip
    assert "EXAMPLEKEY" not in (case.path / "custody.jsonl").read_text()
    loaded = case.ingest(fetch.download_folder(case))
    assert loaded["file"].tolist() == [f"s3/{bucket.name}/{key}"]
    assert case.flows.count().execute() == 1
    moved = case.path.rename(case.path.with_name("moved"))  # the folder is the case
    assert Case.open(moved).verify()["ok"].all()
    assert not (moved / "evidence" / "incomplete").exists()
    path = moved / "evidence" / "fetched.jsonl"
    path.write_bytes(whole + whole)  # it may grow
    assert Case.open(moved).verify()["ok"].all()
    for damage in (whole.replace(b"vpcflowlogs", b"vpcflowlog5"), whole[:-5]):
        path.write_bytes(damage)
        bad = Case.open(moved).verify().query("not ok")
        assert bad[["name", "detail"]].to_numpy().tolist() == [
            ["evidence/fetched.jsonl", "changed since the last fetch"]
        ]
    path.unlink()
    assert Case.open(moved).verify().query("not ok")["name"].tolist() == ["evidence/fetched.jsonl"]


def test_a_second_fetch_downloads_only_new_changed_and_missing_objects(bucket, case) -> None:
    keys = [
        bucket.put(f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01/{object_name(f'20260901T12{m}Z')}",
                   flow_log(NOON + int(m)))
        for m in ("00", "05", "10")
    ]  # fmt: skip
    assert fetch_bucket(case, bucket).fetched == 3
    again = fetch_bucket(case, bucket)
    assert (again.fetched, again.cached) == (0, 3)
    (case.path / "evidence" / "fetched" / "s3" / bucket.name / keys[0]).unlink()
    bucket.put(keys[1], flow_log(NOON + 30), "2026-09-21T00:00")
    third = fetch_bucket(case, bucket)
    assert (third.fetched, third.cached) == (2, 1)
    held = files(case)
    assert held[f"s3/{bucket.name}/{keys[0]}"] == flow_log(NOON)
    assert held[f"s3/{bucket.name}/{keys[1]}"] == flow_log(NOON + 5)  # evidence is never written
    odd = [path for path in held if "/~renamed/" in path]
    assert [held[path] for path in odd] == [flow_log(NOON + 30)]
    assert len(held) == 4
    assert [e["key"] for e in index(case) if e["files"][0]["file"] in odd] == [keys[1]]


FETCH = """
import sys
from pathlib import Path
from flowbench.case import Case
from flowbench import fetch
from flowbench.fetch import aws
aws.WORKERS = 2
session = aws.AwsSession(endpoint=sys.argv[3])
plan = fetch.prepare(
    sys.argv[2], since="2026-09-01T12:00", until="2026-09-01T13:00", session=session
)
fetch.download(Case.open(sys.argv[1]), plan)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_fetch_is_resumed(bucket, case, how) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    made = {}
    for number in range(120):
        stamp = f"20260901T12{number % 12 * 5:02}Z"
        key = f"{folder}/{object_name(stamp).replace('1a2b', f'{number:04}')}"
        made[bucket.put(key, os.urandom(20_000))] = number
    url = f"s3://{bucket.name}/"
    words = [sys.executable, "-c", FETCH, str(case.path), url, bucket.endpoint]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    root = case.path / "evidence" / "fetched"
    wait_for(lambda: root.exists() and sum(p.is_file() for p in root.rglob("*.gz")) >= 8)
    process.send_signal(how)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode != 0
    came = files(case)
    assert 8 <= len(came) < 120
    assert all(data == (bucket.root.parent / p[3:]).read_bytes() for p, data in came.items())
    opened = Case.open(case.path)
    if how == signal.SIGINT:
        assert b"the same command fetches the rest" in complaint
        assert opened.custody[-1]["details"]["outcome"] == "stopped"
        assert opened.custody[-1]["details"]["fetched"] == len(came)
        assert not (case.path / "evidence" / "incomplete").exists()
    result = fetch_bucket(opened, bucket)
    assert (result.fetched, result.cached) == (120 - len(came), len(came))
    assert {p.removeprefix(f"s3/{bucket.name}/") for p in files(case)} == set(made)
    assert not (case.path / "evidence" / "incomplete").exists()


def test_a_deleted_object_does_not_stop_the_others(bucket, case) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    keys = [
        bucket.put(f"{folder}/{object_name(f'20260901T12{m}Z')}", b"x" * 10) for m in ("00", "05")
    ]
    session = account(bucket.endpoint)
    plan = plan_s3_download(session, f"s3://{bucket.name}/", PERIOD)
    (bucket.root / keys[0]).unlink()
    result = fetch.download(case, plan)
    assert result.fetched == 1
    gone = f"s3://{bucket.name}/{keys[0]}"
    assert result.failures == [
        (gone, f"{gone}: no such object; it was deleted after it was listed")
    ]
    assert case.custody[-1]["details"]["failed"] == [
        [gone, f"{gone}: no such object; it was deleted after it was listed"]
    ]
    assert list(files(case)) == [f"s3/{bucket.name}/{keys[1]}"]


@pytest.mark.parametrize(("cuts", "comes"), [(2, True), (9, False)])
def test_an_interrupted_download_is_retried(script, case, cuts, comes) -> None:
    data = flow_log(NOON, count=50)
    listed = f"<ListBucketResult><Contents><Key>a.gz</Key><Size>{len(data)}</Size><ETag>e</ETag>"
    listed += "<LastModified>2026-09-02T00:00:00Z</LastModified></Contents></ListBucketResult>"

    def answer(action: str, _: dict) -> tuple[int, bytes]:
        return 200, data if action == "/logs-of/a.gz" else listed.encode()

    script.answers = answer
    plan = plan_s3_download(account(script.endpoint), "s3://logs-of", PERIOD)
    plan.session.__dict__["caller"] = {"arn": None}
    script.cut = cuts
    progress: list[int] = []
    result = fetch.download(case, plan, lambda count, *_: progress.append(count))
    if comes:
        assert (result.fetched, progress[-1]) == (1, len(data))
        assert list(files(case).values()) == [data]
    else:
        assert (result.fetched, progress[-1], files(case)) == (0, 0, {})
        assert re.match(
            r"s3://logs-of/a.gz: (IncompleteRead|ResponseStream)", result.failures[0][1]
        )
    assert not (case.path / "evidence" / "incomplete").exists()


def test_fetching_without_boto3_names_the_extra(tmp_path) -> None:
    program = (
        "import sys\nsys.modules['boto3'] = None\nfrom flowbench.cli import main\n"
        f"main(['fetch', {str(tmp_path / 'c')!r}, 's3://b', '--from', '2026-09-01'])"
    )
    Case.create(tmp_path / "c")
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr == "flowbench: fetching needs boto3: pip install 'flowbench[aws]'\n"
    assert not (Path(tmp_path) / "c" / "evidence").exists()
