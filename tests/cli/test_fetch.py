"""Tests of flowbench fetch: options, notes and exit codes; tests/fetch has the downloads."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import fetch
from flowbench.cli import fetch as _command  # noqa: F401  # the command's module is loaded
from flowbench.fetch import bucket_layout
from tests.cli.running import RECORD, run


class Plan:
    """A plan to fetch one object of 2 kB."""

    def summary(self, _case: object) -> pd.DataFrame:
        return pd.DataFrame(
            {"folder": ["a"], "objects": [1], "bytes": [2000], "bytes_to_fetch": [2000],
             "cached": [0]}
        )  # fmt: skip

    def notes(self) -> list[str]:
        return ["one \x1b[31mnote"]


class FetchOutcome:
    """The result of a fetch of which a part was denied."""

    notes = ("bucket in us-east-1",)
    failures = tuple((f"key-{number}", "denied") for number in range(22))
    fetched = 1
    size = 2000


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Replace the fetch by one that uses no network; returns what it was called with."""
    calls: dict[str, object] = {}

    def prepare(source: str, **options: object) -> Plan:
        calls.update(options, source=source)
        return Plan()

    def download(case: object, _plan: Plan, _progress: object) -> FetchOutcome:
        folder = fetch.download_folder(case)
        folder.mkdir(parents=True)
        (folder / "a.log").write_text(RECORD)
        return FetchOutcome()

    monkeypatch.setattr(fetch, "prepare", prepare, raising=False)
    monkeypatch.setattr(fetch, "download", download, raising=False)
    return calls


def test_a_dry_run_shows_the_plan_and_downloads_nothing(case: Path, faked) -> None:
    result = run("fetch", case, "s3://bucket", "--from", "2026-09-01", "--dry-run")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "1 object, 0 of them fetched before: 2.0 kB to fetch",
        "one \\x1b[31mnote",
    ]
    assert (faked["source"], faked["since"], faked["until"]) == ("s3://bucket", "2026-09-01", None)
    assert faked["kinds"] == bucket_layout.KINDS
    assert run("flows", case, "--format", "jsonl").stdout == ""


def test_what_was_downloaded_is_loaded_and_denials_are_exit_code_1(case: Path, faked) -> None:
    result = run("fetch", case, "s3://bucket", "--from", "2026-09-01", "--kind", "flow-logs")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[1:3] == ["bucket in us-east-1", "not fetched: key-0: denied"]
    assert lines[22:24] == ["and 2 more, in the custody log", "fetched 1 (2.0 kB)"]
    assert faked["kinds"] == ("flow-logs",)
    assert len(run("flows", case, "--format", "jsonl").stdout.splitlines()) == 1


def test_no_ingest(case: Path, faked) -> None:
    assert run("fetch", case, "s3://b", "--from", "2026-09-01", "--no-ingest").exit_code == 1
    assert run("flows", case, "--format", "jsonl").stdout == ""


@pytest.mark.parametrize("source", ["ftp://x", "everything"])
def test_an_unknown_source(case: Path, source: str) -> None:
    result = run("fetch", case, source, "--from", "2026-09-01")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
