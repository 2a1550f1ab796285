"""The custody log's entry of a fetch, whatever its outcome."""

from __future__ import annotations

import hashlib

import pytest

from flowbench.case import Case
from flowbench.errors import CaseError, InputError, StoppedError
from flowbench.fetch.bucket_layout import parse_period
from flowbench.fetch.download_cache import DownloadCache
from flowbench.fetch.outcome import record_fetch
from flowbench.fetch.requests import ApiPlan
from tests.fetch.conftest import account


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> ApiPlan:
    monkeypatch.setattr("flowbench.fetch.aws.AwsSession.caller", {"arn": "arn:x"})
    period = parse_period("2026-09-01", "2026-09-02")
    return ApiPlan(account("https://h"), "cloudtrail", period, remarks=["a note"])


def last_entry(case: Case) -> dict:
    entry = Case.open(case.path).custody[-1]
    assert entry["action"] == "fetch"
    return entry["details"]


def test_a_finished_fetch_is_logged(case, plan) -> None:
    with record_fetch(case, DownloadCache(case.path), plan) as result:
        result.fetched, result.size, result.cached = 2, 30, 1
        result.failures += [("b", "no"), ("a", "denied")]
    assert last_entry(case) == {
        "source": "cloudtrail", "since": "2026-09-01T00:00:00+00:00",
        "until": "2026-09-02T00:00:00+00:00", "outcome": "done", "fetched": 2, "bytes": 30,
        "cached": 1, "failed": [["a", "denied"], ["b", "no"]], "failures": 2, "notes": ["a note"],
        "index": {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}, "caller": "arn:x",
        "endpoint": "https://h", "regions": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "raised", "outcome"),
    [
        (KeyboardInterrupt(), StoppedError, "stopped"),
        (InputError("no such bucket"), InputError, "no such bucket"),
        (OSError(28, "No space left on device"), CaseError, "OSError"),
        (ValueError("x"), ValueError, "ValueError"),
    ],
)
def test_an_interrupted_fetch_is_logged(case, plan, error, raised, outcome) -> None:
    def fetch() -> None:
        with record_fetch(case, DownloadCache(case.path), plan) as result:
            result.fetched = 1
            raise error

    with pytest.raises(raised):
        fetch()
    assert (last_entry(case)["outcome"], last_entry(case)["fetched"]) == (outcome, 1)


def test_the_log_keeps_a_limited_number_of_failures(case, plan) -> None:
    with record_fetch(case, DownloadCache(case.path), plan) as result:
        result.failures += [(f"{number:04}", "no") for number in range(1200)]
    assert (len(last_entry(case)["failed"]), last_entry(case)["failures"]) == (1000, 1200)


def test_a_changed_custody_log_is_refused(case, plan) -> None:
    path = case.path / "custody.jsonl"
    path.write_text(path.read_text().replace('"create"', '"created"'))
    with (
        pytest.raises(CaseError, match=r"the custody log was changed .* do not fetch"),
        record_fetch(case, DownloadCache(case.path), plan),
    ):
        pass
    assert not (case.path / "evidence").exists()
