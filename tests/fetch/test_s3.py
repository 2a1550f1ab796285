"""Objects from a real S3 server: only those of the period, whole or not at all, once."""

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
from flowbench.errors import InputError
from flowbench.fetch import bucket_layout, s3
from flowbench.fetch.aws import Account, Refused
from flowbench.fetch.download_cache import Shelf
from flowbench.fetch.outcome import Done
from tests.fetch.conftest import ACCOUNT, Bucket, account, files, flow_log, index, wait_for

REGION = "eu-central-1"
NOON = 1788264000  # 2026-09-01T12:00Z
WANTED = bucket_layout.period("2026-09-01T12:00", "2026-09-01T13:00")


def name(stamp: str, kind: str = "vpcflowlogs", ending: str = "log.gz") -> str:
    return f"{ACCOUNT}_{kind}_{REGION}_fl-0a_{stamp}_1a2b.{ending}"


def fetched(case: Case, where: Bucket, prefix: str = "", wanted=WANTED, **more) -> Done:
    url = f"s3://{where.name}/{prefix}"
    return fetch.bring(case, s3.plan(account(where.endpoint), url, wanted, **more))


def fill(bucket: Bucket) -> None:
    """Every layout, with a file of the period, one before it and one of another day in each."""
    hive = f"aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region={REGION}"
    tgw = f"aws-account-id={ACCOUNT}/service=vpcflowlogs/aws-region={REGION}"
    for start, day, hour in ((1, "01", "12"), (2, "01", "09"), (3, "03", "12")):
        at = f"202609{day}T{hour}20Z"
        data = flow_log(NOON + start)
        flows, rest = f"{ACCOUNT}/vpcflowlogs/{REGION}", f"year=2026/month=09/day={day}"
        bucket.put(f"default/AWSLogs/{flows}/2026/09/{day}/{name(at)}", data)
        bucket.put(f"hourly/AWSLogs/{flows}/2026/09/{day}/{hour}/{name(at)}", data)
        bucket.put(f"hive/AWSLogs/{hive}/{rest}/{name(at)}", data)
        bucket.put(f"hivehourly/AWSLogs/{hive}/{rest}/hour={hour}/{name(at)}", data)
        bucket.put(f"tgw/AWSLogs/{tgw}/{rest}/{name(at, ending='log.parquet')}", b"PAR1")
        bucket.put(f"org/AWSLogs/o-exampleorgid/{flows}/2026/09/{day}/{name(at)}", data)
        trail = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/09/{day}"
        bucket.put(f"all/{trail}/{name(at, 'CloudTrail', 'json.gz')}", b"{}")
        bucket.put(f"all/{trail.replace('Trail/', 'Trail-Digest/')}/digest.json.gz", b"{}")
        alerts = f"AWSLogs/{ACCOUNT}/GuardDuty/{REGION}/2026/09/{day}"
        bucket.put(f"all/{alerts}/{start}1111111-uuid.jsonl.gz", b"{}")
        queries = f"AWSLogs/{ACCOUNT}/vpcdnsquerylogs/vpc-0b/2026/09/{day}"
        bucket.put(f"all/{queries}/vpc-0b_vpcdnsquerylogs_{ACCOUNT}_{at}_1a2b.log.gz", b"{}")
        bucket.put(f"firehose/2026/09/{day}/{hour}/out-1-2026-09-{day}-{hour}-20-07-uuid", data)
        bucket.put(f"exported/task/eni-0a-all/00000{start}.gz", data, f"2026-09-{day}T{hour}:20")


def test_each_layout_gives_the_files_of_the_period(bucket, case) -> None:
    fill(bucket)
    plan = s3.plan(account(bucket.endpoint), f"s3://{bucket.name}", WANTED)
    chosen = {}
    for one in plan.objects:
        chosen.setdefault(one.key.split("/")[0], []).append((one.kind, one.chosen_by))
    flow = [("flow-logs", "name")]
    assert chosen == {
        "default": flow, "hourly": flow, "hive": flow, "hivehourly": flow, "tgw": flow,
        "org": flow, "firehose": [("unknown", "name")],
        "exported": [("unknown", "written"), ("unknown", "written")],  # that is all they tell
        "all": [
            ("cloudtrail", "name"), ("guardduty", "folder"), ("guardduty", "folder"),
            ("dns", "name"),
        ],
    }  # fmt: skip
    assert all("20260903" not in one.key and "20260901T09" not in one.key for one in plan.objects)
    assert {(o.account, o.region) for o in plan.objects if o.kind == "flow-logs"} == {
        (ACCOUNT, REGION)
    }
    assert plan.left_out == {"CloudTrail-Digest"}
    assert plan.notes() == [
        "left out, not evidence flowbench reads: CloudTrail-Digest",
        "2 objects do not tell their time: all written since the period began",
    ]


def test_only_the_folders_of_the_period_are_listed(bucket, monkeypatch) -> None:
    fill(bucket)
    listed = []
    pages = s3._Walk._pages

    def noted(self: s3._Walk, prefix: str, **more: bool):
        listed.append(prefix)
        return pages(self, prefix, **more)

    monkeypatch.setattr(s3._Walk, "_pages", noted)
    url = f"s3://{bucket.name}/hourly/"
    plan = s3.plan(account(bucket.endpoint), url, WANTED, kinds=("flow-logs",))
    assert len(plan.objects) == 1
    days = [folder for folder in listed if "/2026/09/" in folder and folder[-4:] != "/09/"]
    assert sorted(day.partition("/2026/09/")[2] for day in days) == ["01/", "01/12/"]
    with pytest.raises(InputError, match=r"hourly2: nothing lies there"):
        s3.plan(account(bucket.endpoint), f"s3://{bucket.name}/hourly2", WANTED)


def test_kinds_narrow_and_one_object_can_be_named(bucket) -> None:
    fill(bucket)
    ask = account(bucket.endpoint)
    trail = s3.plan(ask, f"s3://{bucket.name}/all", WANTED, kinds=("cloudtrail",))
    assert [one.kind for one in trail.objects] == ["cloudtrail"]
    key = trail.objects[0].key
    assert [o.key for o in s3.plan(ask, f"s3://{bucket.name}/{key}", WANTED).objects] == [key]
    later = bucket_layout.period("2026-10-01", "2026-10-02")
    assert s3.plan(ask, f"s3://{bucket.name}/hive", later).objects == []


def test_many_folders_without_a_meaning_are_one_listing(bucket) -> None:
    for number in range(120):
        bucket.put(f"exports/{number:03}/000000.gz", b"x")
    for number in range(1000):  # the first page of the listing has no folder
        bucket.put(f"exports/%{number:04}.gz", b"x")
    bucket.put(f"exports/zz/AWSLogs/{ACCOUNT}/waf/2026/09/01/x.gz", b"x")
    plan = s3.plan(account(bucket.endpoint), f"s3://{bucket.name}/exports/", WANTED)
    assert len(plan.objects) == len({one.key for one in plan.objects}) == 1120
    assert plan.unknown == {"exports/"}
    assert plan.notes()[:2] == [
        "left out, not evidence flowbench reads: waf",
        "no layout flowbench knows; all was listed under: exports/",
    ]


def test_what_was_fetched_is_the_evidence_and_says_where_from(bucket, case) -> None:
    fill(bucket)
    done = fetched(case, bucket, "default")
    key = f"default/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01/{name('20260901T1220Z')}"
    data = flow_log(NOON + 1)
    assert (done.fetched, done.size, done.here, done.failed) == (1, len(data), 0, [])
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
    loaded = case.ingest(Shelf(case.path).root)
    assert loaded["file"].tolist() == [f"s3/{bucket.name}/{key}"]
    assert case.flows.count().execute() == 1
    moved = case.path.rename(case.path.with_name("moved"))  # the folder is the case
    assert Case.open(moved).verify()["ok"].all()
    assert not (moved / "evidence" / "aside").exists()
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


def test_a_second_fetch_brings_only_what_is_new_or_gone(bucket, case) -> None:
    keys = [
        bucket.put(f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01/{name(f'20260901T12{m}Z')}",
                   flow_log(NOON + int(m)))
        for m in ("00", "05", "10")
    ]  # fmt: skip
    assert fetched(case, bucket).fetched == 3
    again = fetched(case, bucket)
    assert (again.fetched, again.here) == (0, 3)
    (case.path / "evidence" / "fetched" / "s3" / bucket.name / keys[0]).unlink()
    bucket.put(keys[1], flow_log(NOON + 30), "2026-09-21T00:00")
    third = fetched(case, bucket)
    assert (third.fetched, third.here) == (2, 1)
    held = files(case)
    assert held[f"s3/{bucket.name}/{keys[0]}"] == flow_log(NOON)
    assert held[f"s3/{bucket.name}/{keys[1]}"] == flow_log(NOON + 5)  # evidence is never written
    odd = [path for path in held if "/~odd/" in path]
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
ask = aws.Account(endpoint=sys.argv[3])
plan = fetch.prepare(
    sys.argv[2], since="2026-09-01T12:00", until="2026-09-01T13:00", account=ask
)
fetch.bring(Case.open(sys.argv[1]), plan)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_fetch_that_is_killed_is_taken_up(bucket, case, how) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    made = {}
    for number in range(120):
        stamp = f"20260901T12{number % 12 * 5:02}Z"
        key = f"{folder}/{name(stamp).replace('1a2b', f'{number:04}')}"
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
        assert b"the same command takes up the rest" in complaint
        assert opened.custody[-1]["details"]["outcome"] == "stopped"
        assert opened.custody[-1]["details"]["fetched"] == len(came)
        assert not (case.path / "evidence" / "aside").exists()
    done = fetched(opened, bucket)
    assert (done.fetched, done.here) == (120 - len(came), len(came))
    assert {p.removeprefix(f"s3/{bucket.name}/") for p in files(case)} == set(made)
    assert not (case.path / "evidence" / "aside").exists()


def test_an_object_that_cannot_be_had_stops_no_other(bucket, case) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    keys = [bucket.put(f"{folder}/{name(f'20260901T12{m}Z')}", b"x" * 10) for m in ("00", "05")]
    ask = account(bucket.endpoint)
    plan = s3.plan(ask, f"s3://{bucket.name}/", WANTED)
    (bucket.root / keys[0]).unlink()
    done = fetch.bring(case, plan)
    assert done.fetched == 1
    gone = f"s3://{bucket.name}/{keys[0]}"
    assert done.failed == [(gone, f"{gone}: it is gone")]
    assert case.custody[-1]["details"]["failed"] == [[gone, f"{gone}: it is gone"]]
    assert list(files(case)) == [f"s3/{bucket.name}/{keys[1]}"]


def test_refusals_say_what_to_do(bucket, moto, tmp_path, monkeypatch) -> None:
    url = f"s3://{bucket.name}/"
    with pytest.raises(InputError, match=r"s3://nowhere-here: there is no such bucket"):
        s3.plan(account(bucket.endpoint), "s3://nowhere-here", WANTED)
    for wrong in ("bucket/x", "s3://", "s3:///x", "s3://a b/"):
        with pytest.raises(InputError, match="write s3://BUCKET"):
            s3.plan(account(bucket.endpoint), wrong, WANTED)
    with pytest.raises(InputError, match=r"could not be found: see `aws configure list-profiles`"):
        s3.plan(Account("nobody", None, bucket.endpoint), url, WANTED)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(Refused, match=r"does not know these credentials \(Signature"):
        s3.plan(account(bucket.endpoint), url, WANTED)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Refused, match=r"no AWS credentials that work: sign in"):
        s3.plan(account(bucket.endpoint), url, WANTED)


def test_only_who_says_so_pays(script) -> None:
    empty = b"<ListBucketResult><Contents><Key>a.gz</Key><Size>1</Size><ETag>e</ETag>"
    empty += b"<LastModified>2026-09-02T00:00:00Z</LastModified></Contents></ListBucketResult>"
    script.answers = lambda *_: (200, empty)
    for pays in (False, True):
        plan = s3.plan(account(script.endpoint), "s3://paid", WANTED, requester_pays=pays)
        assert [one.key for one in plan.objects] == ["a.gz"]
        assert script.headers[-1].get("x-amz-request-payer") == ("requester" if pays else None)
    assert plan.details()["requester_pays"] is True


@pytest.mark.parametrize(("cuts", "comes"), [(2, True), (9, False)])
def test_an_answer_that_breaks_off_is_asked_for_again(script, case, cuts, comes) -> None:
    data = flow_log(NOON, count=50)
    listed = f"<ListBucketResult><Contents><Key>a.gz</Key><Size>{len(data)}</Size><ETag>e</ETag>"
    listed += "<LastModified>2026-09-02T00:00:00Z</LastModified></Contents></ListBucketResult>"

    def answer(action: str, _: dict) -> tuple[int, bytes]:
        return 200, data if action == "/logs-of/a.gz" else listed.encode()

    script.answers = answer
    plan = s3.plan(account(script.endpoint), "s3://logs-of", WANTED)
    plan.account.__dict__["caller"] = {"arn": None}
    script.cut = cuts
    progress: list[int] = []
    done = fetch.bring(case, plan, lambda count, *_: progress.append(count))
    if comes:
        assert (done.fetched, progress[-1]) == (1, len(data))
        assert list(files(case).values()) == [data]
    else:
        assert (done.fetched, progress[-1], files(case)) == (0, 0, {})
        assert re.match(r"s3://logs-of/a.gz: (IncompleteRead|ResponseStream)", done.failed[0][1])
    assert not (case.path / "evidence" / "aside").exists()


def test_boto3_is_only_needed_to_fetch(tmp_path) -> None:
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
