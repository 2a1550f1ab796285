"""Where fetched files lie: no name leads astray, no crash or damage costs more than itself."""

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
from flowbench.fetch import bucket_layout, s3
from flowbench.fetch.download_cache import Shelf
from tests.fetch.conftest import ACCOUNT, account, files, index
from tests.fetch.test_s3 import REGION, fetched, name

HOSTILE = [
    "../../../up.gz", "a/../../up.gz", "/abs.gz", "//x.gz", "a\\..\\b.gz", "C:evil.gz", "CON",
    "nul.log.gz", "\x1b[31mred.gz", "x" * 900, "e\u0301.gz", "\u202egz.exe", "a b.gz", "a+b%2F.gz",
    "AWSLogs/Case.gz", "AWSLogs/case.gz", "node", "node/inside.gz", ".hidden", "-rf", "dot.",
    "~odd/x", "<script>.gz", "=cmd|'/c'!A0.gz",
]  # fmt: skip


def test_no_key_leads_out_of_the_case_or_onto_another(moto, case) -> None:
    client = boto3.client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="hostile")
    for key in HOSTILE:
        client.put_object(Bucket="hostile", Key=key, Body=b"of " + key.encode())
    client.put_object(Bucket="hostile", Key="folder/", Body=b"")
    before = {path for path in case.path.parent.rglob("*") if not path.is_relative_to(case.path)}
    wanted = bucket_layout.period("2020-01-01")
    ask = account(moto)
    plan = s3.plan(ask, "s3://hostile/", wanted)
    assert sorted(one.key for one in plan.objects) == sorted(HOSTILE)
    done = fetch.bring(case, plan)
    assert (done.fetched, done.failed) == (len(HOSTILE), [])
    held = files(case)
    where = {entry["key"]: entry["files"][0]["file"] for entry in index(case)}
    assert {key: held[where[key]] for key in HOSTILE} == {k: b"of " + k.encode() for k in HOSTILE}
    assert len({path.casefold() for path in held}) == len(HOSTILE)
    assert where["AWSLogs/Case.gz"] == "s3/hostile/AWSLogs/Case.gz"
    assert where["AWSLogs/case.gz"].startswith("s3/hostile/~odd/")
    assert where["nul.log.gz"].endswith(".log.gz")
    names = [part for path in held for part in path.split("/")]
    assert all(part.isascii() and part.isprintable() and ".." not in part for part in names)
    after = {path for path in case.path.parent.rglob("*") if not path.is_relative_to(case.path)}
    assert after == before
    again = s3.plan(ask, "s3://hostile/", wanted)
    second = fetch.bring(case, again)
    assert (second.fetched, second.here) == (0, len(HOSTILE))


def test_two_fetches_into_one_case_do_not_meet(case) -> None:
    with Shelf(case.path).opened():
        met = []

        def second() -> None:
            with pytest.raises(CaseError, match="another fetch into"), Shelf(case.path).opened():
                pass
            met.append(True)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(10)
    assert met == [True]


def test_a_damaged_index_loses_only_its_damage(bucket, case) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    for minute in ("00", "05"):
        bucket.put(f"{folder}/{name(f'20260901T12{minute}Z')}", minute.encode())
    fetched(case, bucket)
    path = Shelf(case.path).index
    lines = path.read_bytes().splitlines(keepends=True)
    odd = b'{"unit": "u", "files": [{"file": "a\\u0000", "size": 1}]}\n'
    path.write_bytes(b'[1]\n{"unit": 3, "files": []}\n' + odd + lines[0] + lines[1][:40])
    assert not Shelf(case.path).has("u")
    done = fetched(case, bucket)
    assert (done.fetched, done.here) == (1, 1)
    # The name is taken by a file that the index does not know any more: it is not written over.
    assert sorted(files(case).values()) in ([b"00", b"00", b"05"], [b"00", b"05", b"05"])
    assert fetched(case, bucket).here == 2


def test_a_full_disk_is_said_and_what_came_is_kept(bucket, case, monkeypatch) -> None:
    folder = f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/09/01"
    for minute in range(0, 60, 5):
        bucket.put(f"{folder}/{name(f'20260901T12{minute:02}Z')}", b"x" * 10)
    keep, kept = Shelf.keep, []

    def full(self: Shelf, *given, **more) -> None:
        if len(kept) == 3:
            raise OSError(28, "No space left on device")
        kept.append(given)
        keep(self, *given, **more)

    monkeypatch.setattr("flowbench.fetch.aws.WORKERS", 1)
    monkeypatch.setattr(Shelf, "keep", full)
    with pytest.raises(CaseError, match=r"cannot write to .*: No space left on device"):
        fetched(case, bucket)
    assert len(files(case)) == 3
    assert not (case.path / "evidence" / "aside").exists()
    entry = Case.open(case.path).custody[-1]["details"]
    assert (entry["fetched"], entry["outcome"]) == (3, "OSError")


def test_a_case_whose_log_was_changed_takes_nothing(bucket, case) -> None:
    bucket.put("a.gz", b"x")
    log = case.path / "custody.jsonl"
    log.write_text(log.read_text().replace('"name"', '"nome"'))
    with pytest.raises(CaseError, match=r"log was changed .*: fetch nothing more into this case"):
        fetched(case, bucket)
    assert not (case.path / "evidence").exists()


PARTS = st.sampled_from(["a", "A", "b.gz", "B.GZ", "..", ".", "", "con", "a.", "x" * 130, "~odd"])
KEYS = st.lists(PARTS | st.text(max_size=5), min_size=1, max_size=4).map("/".join)


@given(st.lists(KEYS, max_size=12, unique=True))
def test_every_key_has_a_place_of_its_own(keys) -> None:
    shelf = Shelf(Path("/nowhere/at/all"))
    places = [shelf.place(["s3", "bucket", *key.split("/")], key) for key in keys]
    again = [shelf.place(["s3", "bucket", *key.split("/")], key) for key in keys]
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
        assert place == f"s3/bucket/{key}" or names[2] == "~odd"
