"""The download cache with hostile names, crashes, damage and full disks."""

from __future__ import annotations

import re
import threading
from pathlib import Path, PurePosixPath

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench import fetch
from flowbench.case import Case
from flowbench.errors import CaseError
from flowbench.fetch import bucket_layout
from flowbench.fetch.download_cache import DownloadCache
from flowbench.fetch.s3_listing import plan_s3_download
from tests.fetch.conftest import ACCOUNT, REGION, account, fetch_bucket, files, index, object_name

HOSTILE = [
    "../../../up.gz", "a/../../up.gz", "/abs.gz", "//x.gz", "a\\..\\b.gz", "C:evil.gz", "CON",
    "nul.log.gz", "\x1b[31mred.gz", "x" * 900, "e\u0301.gz", "\u202egz.exe", "a b.gz", "a+b%2F.gz",
    "AWSLogs/Case.gz", "AWSLogs/case.gz", "node", "node/inside.gz", ".hidden", "-rf", "dot.",
    "~renamed/x", "<script>.gz", "=cmd|'/c'!A0.gz",
]  # fmt: skip


def test_hostile_keys_stay_in_the_cache_and_apart(moto, case) -> None:
    client = boto3.client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="hostile")
    for key in HOSTILE:
        client.put_object(Bucket="hostile", Key=key, Body=b"of " + key.encode())
    client.put_object(Bucket="hostile", Key="folder/", Body=b"")
    before = {path for path in case.path.parent.rglob("*") if not path.is_relative_to(case.path)}
    wanted = bucket_layout.parse_period("2020-01-01")
    session = account(moto)
    plan = plan_s3_download(session, "s3://hostile/", wanted)
    assert sorted(item.key for item in plan.objects) == sorted(HOSTILE)
    result = fetch.download(case, plan)
    assert (result.fetched, result.failures) == (len(HOSTILE), [])
    held = files(case)
    where = {entry["key"]: entry["files"][0]["file"] for entry in index(case)}
    assert {key: held[where[key]] for key in HOSTILE} == {k: b"of " + k.encode() for k in HOSTILE}
    assert len({path.casefold() for path in held}) == len(HOSTILE)
    assert where["AWSLogs/Case.gz"] == "s3/hostile/AWSLogs/Case.gz"
    assert where["AWSLogs/case.gz"].startswith("s3/hostile/~renamed/")
    assert where["nul.log.gz"].endswith(".log.gz")
    names = [part for path in held for part in path.split("/")]
    assert all(part.isascii() and part.isprintable() and ".." not in part for part in names)
    after = {path for path in case.path.parent.rglob("*") if not path.is_relative_to(case.path)}
    assert after == before
    again = plan_s3_download(session, "s3://hostile/", wanted)
    second = fetch.download(case, again)
    assert (second.fetched, second.cached) == (0, len(HOSTILE))


def test_a_second_fetch_at_the_same_time_is_refused(case) -> None:
    with DownloadCache(case.path).locked():
        met = []

        def second() -> None:
            with (
                pytest.raises(CaseError, match="another fetch into"),
                DownloadCache(case.path).locked(),
            ):
                pass
            met.append(True)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(10)
    assert met == [True]


def test_intact_lines_of_a_damaged_index_are_used(bucket, case) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    for minute in ("00", "05"):
        bucket.put(f"{folder}/{object_name(f'20260901T12{minute}Z')}", minute.encode())
    fetch_bucket(case, bucket)
    path = DownloadCache(case.path).index
    lines = path.read_bytes().splitlines(keepends=True)
    odd = b'{"item_id": "u", "files": [{"file": "a\\u0000", "size": 1}]}\n'
    path.write_bytes(b'[1]\n{"item_id": 3, "files": []}\n' + odd + lines[0] + lines[1][:40])
    assert not DownloadCache(case.path).has_item("u")
    result = fetch_bucket(case, bucket)
    assert (result.fetched, result.cached) == (1, 1)
    # The name is taken by a file that the index does not know any more: it is not overwritten.
    assert sorted(files(case).values()) in ([b"00", b"00", b"05"], [b"00", b"05", b"05"])
    assert fetch_bucket(case, bucket).cached == 2


def test_a_full_disk_is_reported_and_complete_downloads_are_kept(bucket, case, monkeypatch) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    for minute in range(0, 60, 5):
        bucket.put(f"{folder}/{object_name(f'20260901T12{minute:02}Z')}", b"x" * 10)
    keep, kept = DownloadCache.store, []

    def full(self: DownloadCache, *given, **more) -> None:
        if len(kept) == 3:
            raise OSError(28, "No space left on device")
        kept.append(given)
        keep(self, *given, **more)

    monkeypatch.setattr("flowbench.fetch.aws.WORKERS", 1)
    monkeypatch.setattr(DownloadCache, "store", full)
    with pytest.raises(CaseError, match=r"cannot write to .*: No space left on device"):
        fetch_bucket(case, bucket)
    assert len(files(case)) == 3
    assert not (case.path / "evidence" / "incomplete").exists()
    entry = Case.open(case.path).custody[-1]["details"]
    assert (entry["fetched"], entry["outcome"]) == (3, "OSError")


def test_a_case_with_a_changed_custody_log_is_not_fetched_into(bucket, case) -> None:
    bucket.put("a.gz", b"x")
    log = case.path / "custody.jsonl"
    log.write_text(log.read_text().replace('"name"', '"nome"'))
    with pytest.raises(CaseError, match=r"log was changed .*: do not fetch into this case"):
        fetch_bucket(case, bucket)
    assert not (case.path / "evidence").exists()


PARTS = st.sampled_from(
    ["a", "A", "b.gz", "B.GZ", "..", ".", "", "con", "a.", "x" * 130, "~renamed"]
)
KEYS = st.lists(PARTS | st.text(max_size=5), min_size=1, max_size=4).map("/".join)


@given(st.lists(KEYS, max_size=12, unique=True))
def test_each_key_has_its_own_portable_path(keys) -> None:
    cache = DownloadCache(Path("/nowhere/at/all"))
    places = [cache.reserve_path(["s3", "bucket", *key.split("/")], key) for key in keys]
    again = [cache.reserve_path(["s3", "bucket", *key.split("/")], key) for key in keys]
    assert again == places
    folded = [place.casefold() for place in places]
    assert len(set(folded)) == len(keys)
    folders = {parent.as_posix() for place in folded for parent in PurePosixPath(place).parents}
    assert folders.isdisjoint(folded)
    for key, place in zip(keys, places, strict=True):
        names = place.split("/")
        assert names[:2] == ["s3", "bucket"]
        assert len(names) > 2
        assert not {"", ".", ".."} & set(names)
        assert all(re.fullmatch(r"[A-Za-z0-9_=+@,.~-]+", name) for name in names)
        assert place == f"s3/bucket/{key}" or names[2] == "~renamed"
