"""API requests: fixed spans of time, and responses in files of limited size."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowbench import fetch
from flowbench.case import Case
from flowbench.fetch import bucket_layout, requests
from flowbench.fetch.download_cache import DownloadCache
from flowbench.fetch.requests import ApiPlan, ApiRequest
from tests.fetch.conftest import account, files

HOUR = timedelta(hours=1)
PAGES = [{"events": [{"message": "x" * 40}], "nextToken": str(n)} for n in range(5)]


@pytest.fixture(autouse=True)
def no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbench.fetch.aws.AwsSession.caller", {"arn": None})


def request(item_id: str, pages: list[dict], folder: str = "g", **options) -> ApiRequest:
    names = ["logs", "r", folder, "h"]
    return ApiRequest(item_id, item_id, "logs:X", "r", names, lambda: pages, **options)


def download(case: Case, *items: ApiRequest):
    return fetch.download(case, ApiPlan(account("http://127.0.0.1:1"), "s", None, list(items)))


def test_spans_are_the_same_for_overlapping_periods() -> None:
    def spans(since: str, until: str) -> list[str]:
        period = bucket_layout.parse_period(since, until)
        split = requests.split_period(period, HOUR)
        return [f"{start:%dT%H%M}-{end:%H%M}" for start, end in split]

    assert spans("2026-09-01T12:00", "2026-09-01T13:00") == ["01T1200-1300"]
    assert spans("2026-09-01T12:59:59", "2026-09-01T13:00:01") == ["01T1200-1300", "01T1300-1400"]
    assert spans("1969-12-31T23:30", "1970-01-01T00:30") == ["31T2300-0000", "01T0000-0100"]


def test_a_span_is_complete_after_the_delivery_delay() -> None:
    now = datetime.now(UTC)
    assert requests.is_complete(now - 2 * HOUR, HOUR)
    assert not requests.is_complete(now - HOUR / 2, HOUR)
    assert not requests.is_complete(now + HOUR, HOUR)


def test_a_large_response_is_several_files_of_one_item(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(requests, "MAX_FILE_BYTES", 100)
    contents = []
    for folder in ("one", "two"):
        case = Case.create(tmp_path / folder)
        assert download(case, request("item", PAGES)).fetched == 1
        contents.append({path.rpartition("/")[2]: data for path, data in files(case).items()})
    assert list(contents[0]) == ["h-2.jsonl.gz", "h-3.jsonl.gz", "h.jsonl.gz"]
    assert contents[0] == contents[1]  # deterministic
    lines = [x for data in contents[0].values() for x in gzip.decompress(data).splitlines()]
    assert [json.loads(line) for line in lines] == [{"events": [{"message": "x" * 40}]}] * 5
    cache = DownloadCache(tmp_path / "one")
    assert cache.has_item("item")
    (tmp_path / "one/evidence/fetched/logs/r/g/h-2.jsonl.gz").unlink()
    assert not cache.has_item("item")


def test_files_of_a_name_that_is_not_portable_stay_apart(case, monkeypatch) -> None:
    monkeypatch.setattr(requests, "MAX_FILE_BYTES", 100)
    download(case, request("item", PAGES, folder="a#b"))
    sizes = [len(gzip.decompress(data).splitlines()) for data in files(case).values()]
    assert sorted(sizes) == [1, 2, 2]
    assert all("/~renamed/" in path for path in files(case))


def test_pages_of_a_describe_call_become_one_document(case) -> None:
    time = datetime(2026, 9, 1, tzinfo=UTC)
    pages = [
        {"Vpcs": [{"id": "a", "made": time}], "NextToken": "x"},
        {"Vpcs": [{"id": "b", "raw": b"\xff"}, {"id": "\ud800"}]},
    ]
    download(case, request("item", pages, merged_list="Vpcs"))
    ((path, data),) = files(case).items()
    assert path == "logs/r/g/h.json"
    assert json.loads(data) == {
        "Vpcs": [
            {"id": "a", "made": "2026-09-01T00:00:00+00:00"},
            {"id": "b", "raw": "ff"},
            {"id": "\ud800"},
        ]
    }


def test_an_empty_response_is_an_item_without_files(case: Case) -> None:
    plan = ApiPlan(account("http://127.0.0.1:1"), "s", None, [request("item", [])])
    assert plan.summary(case)["cached"].tolist() == [False]
    assert fetch.download(case, plan).fetched == 1
    assert plan.summary(case).to_dict("records") == [
        {"request": "item", "region": "r", "cached": True}
    ]
    assert fetch.download(case, plan).cached == 1
    assert files(case) == {}
    assert plan.details() == {"regions": ["r"]}


def test_a_response_that_fails_leaves_nothing(case: Case) -> None:
    def send():
        yield PAGES[0]
        raise OSError(28, "No space left on device")

    item = ApiRequest("item", "item", "logs:X", "r", ["logs", "r", "g", "h"], send)
    with pytest.raises(Exception, match="No space left"):
        download(case, item)
    assert files(case) == {}
    assert not (Path(case.path) / "evidence" / "incomplete").exists()
