"""Listing of a real S3 server: only the objects of the period, from only its folders."""

from __future__ import annotations

import pytest

from flowbench.errors import InputError
from flowbench.fetch import bucket_layout, s3_listing
from flowbench.fetch.aws import AwsRequestError, AwsSession
from flowbench.fetch.s3_listing import plan_s3_download
from tests.fetch.conftest import (
    ACCOUNT,
    NOON,
    PERIOD,
    REGION,
    Bucket,
    account,
    flow_log,
    object_name,
)


def fill(bucket: Bucket) -> None:
    """Every layout, with a file of the period, item before it and item of another day in each."""
    hive = f"aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region={REGION}"
    tgw = f"aws-account-id={ACCOUNT}/service=vpcflowlogs/aws-region={REGION}"
    for start, day, hour in ((1, "01", "12"), (2, "01", "09"), (3, "03", "12")):
        at = f"202609{day}T{hour}20Z"
        data = flow_log(NOON + start)
        flows, rest = f"{ACCOUNT}/vpcflowlogs/{REGION}", f"year=2026/month=09/day={day}"
        bucket.put(f"default/AWSLogs/{flows}/2026/09/{day}/{object_name(at)}", data)
        bucket.put(f"hourly/AWSLogs/{flows}/2026/09/{day}/{hour}/{object_name(at)}", data)
        bucket.put(f"hive/AWSLogs/{hive}/{rest}/{object_name(at)}", data)
        bucket.put(f"hivehourly/AWSLogs/{hive}/{rest}/hour={hour}/{object_name(at)}", data)
        bucket.put(f"tgw/AWSLogs/{tgw}/{rest}/{object_name(at, suffix='log.parquet')}", b"PAR1")
        bucket.put(f"org/AWSLogs/o-exampleorgid/{flows}/2026/09/{day}/{object_name(at)}", data)
        trail = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/09/{day}"
        bucket.put(f"all/{trail}/{object_name(at, 'CloudTrail', 'json.gz')}", b"{}")
        bucket.put(f"all/{trail.replace('Trail/', 'Trail-Digest/')}/digest.json.gz", b"{}")
        alerts = f"AWSLogs/{ACCOUNT}/GuardDuty/{REGION}/2026/09/{day}"
        bucket.put(f"all/{alerts}/{start}1111111-uuid.jsonl.gz", b"{}")
        queries = f"AWSLogs/{ACCOUNT}/vpcdnsquerylogs/vpc-0b/2026/09/{day}"
        bucket.put(f"all/{queries}/vpc-0b_vpcdnsquerylogs_{ACCOUNT}_{at}_1a2b.log.gz", b"{}")
        bucket.put(f"firehose/2026/09/{day}/{hour}/out-1-2026-09-{day}-{hour}-20-07-uuid", data)
        bucket.put(f"exported/task/eni-0a-all/00000{start}.gz", data, f"2026-09-{day}T{hour}:20")


def test_objects_of_the_period_are_selected_in_every_layout(bucket, case) -> None:
    fill(bucket)
    plan = plan_s3_download(account(bucket.endpoint), f"s3://{bucket.name}", PERIOD)
    chosen = {}
    for item in plan.objects:
        chosen.setdefault(item.key.split("/")[0], []).append((item.kind, item.selected_by))
    flow = [("flow-logs", "name")]
    assert chosen == {
        "default": flow, "hourly": flow, "hive": flow, "hivehourly": flow, "tgw": flow,
        "org": flow, "firehose": [("unknown", "name")],
        "exported": [("unknown", "modified"), ("unknown", "modified")],  # the only information
        "all": [
            ("cloudtrail", "name"), ("guardduty", "folder"), ("guardduty", "folder"),
            ("dns", "name"),
        ],
    }  # fmt: skip
    assert all(
        "20260903" not in item.key and "20260901T09" not in item.key for item in plan.objects
    )
    assert {(o.account, o.region) for o in plan.objects if o.kind == "flow-logs"} == {
        (ACCOUNT, REGION)
    }
    assert plan.unsupported_services == {"CloudTrail-Digest"}
    assert plan.notes() == [
        "omitted, because flowbench does not read these logs: CloudTrail-Digest",
        "2 objects selected by last modification: no date in name or folder",
    ]


def test_only_folders_of_the_period_are_listed(bucket, monkeypatch) -> None:
    fill(bucket)
    listed = []
    pages = s3_listing._Lister._list_pages

    def noted(self: s3_listing._Lister, prefix: str, **more: bool):
        listed.append(prefix)
        return pages(self, prefix, **more)

    monkeypatch.setattr(s3_listing._Lister, "_list_pages", noted)
    url = f"s3://{bucket.name}/hourly/"
    plan = plan_s3_download(account(bucket.endpoint), url, PERIOD, kinds=("flow-logs",))
    assert len(plan.objects) == 1
    days = [folder for folder in listed if "/2026/09/" in folder and folder[-4:] != "/09/"]
    assert sorted(day.partition("/2026/09/")[2] for day in days) == ["01/", "01/12/"]
    with pytest.raises(InputError, match=r"hourly2: nothing is there"):
        plan_s3_download(account(bucket.endpoint), f"s3://{bucket.name}/hourly2", PERIOD)


def test_a_listing_is_limited_to_kinds_or_to_one_object(bucket) -> None:
    fill(bucket)
    session = account(bucket.endpoint)
    trail = plan_s3_download(session, f"s3://{bucket.name}/all", PERIOD, kinds=("cloudtrail",))
    assert [item.kind for item in trail.objects] == ["cloudtrail"]
    key = trail.objects[0].key
    assert [
        o.key for o in plan_s3_download(session, f"s3://{bucket.name}/{key}", PERIOD).objects
    ] == [key]
    later = bucket_layout.parse_period("2026-10-01", "2026-10-02")
    assert plan_s3_download(session, f"s3://{bucket.name}/hive", later).objects == []


def test_many_unknown_folders_are_listed_recursively(bucket) -> None:
    for number in range(120):
        bucket.put(f"exports/{number:03}/000000.gz", b"x")
    for number in range(1000):  # the first page of the listing has no folder
        bucket.put(f"exports/%{number:04}.gz", b"x")
    bucket.put(f"exports/zz/AWSLogs/{ACCOUNT}/waf/2026/09/01/x.gz", b"x")
    plan = plan_s3_download(account(bucket.endpoint), f"s3://{bucket.name}/exports/", PERIOD)
    assert len(plan.objects) == len({item.key for item in plan.objects}) == 1120
    assert plan.unknown_folders == {"exports/"}
    assert plan.notes()[:2] == [
        "omitted, because flowbench does not read these logs: waf",
        "unknown layout, listed completely: exports/",
    ]


def test_listing_errors_name_the_remedy(bucket, moto, tmp_path, monkeypatch) -> None:
    url = f"s3://{bucket.name}/"
    with pytest.raises(InputError, match=r"s3://nowhere-here: no such bucket"):
        plan_s3_download(account(bucket.endpoint), "s3://nowhere-here", PERIOD)
    for wrong in ("bucket/x", "s3://", "s3:///x", "s3://a b/"):
        with pytest.raises(InputError, match="write s3://BUCKET"):
            plan_s3_download(account(bucket.endpoint), wrong, PERIOD)
    with pytest.raises(InputError, match=r"could not be found: see `aws configure list-profiles`"):
        plan_s3_download(AwsSession("nobody", None, bucket.endpoint), url, PERIOD)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AwsRequestError, match=r"does not know these credentials \(Signature"):
        plan_s3_download(account(bucket.endpoint), url, PERIOD)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsRequestError, match=r"no valid AWS credentials: sign in"):
        plan_s3_download(account(bucket.endpoint), url, PERIOD)


def test_requester_pays_is_sent_only_on_request(script) -> None:
    empty = b"<ListBucketResult><Contents><Key>a.gz</Key><Size>1</Size><ETag>e</ETag>"
    empty += b"<LastModified>2026-09-02T00:00:00Z</LastModified></Contents></ListBucketResult>"
    script.answers = lambda *_: (200, empty)
    for pays in (False, True):
        plan = plan_s3_download(account(script.endpoint), "s3://paid", PERIOD, requester_pays=pays)
        assert [item.key for item in plan.objects] == ["a.gz"]
        assert script.headers[-1].get("x-amz-request-payer") == ("requester" if pays else None)
    assert plan.details()["requester_pays"] is True
