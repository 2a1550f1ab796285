"""Answer keys: read as they are written; what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.scenario.exercises.facts import AnswerKey, Fact, Indicator, read_key

FACT = Fact("api", "CreateUser", "ada", "eve", 1_788_220_800)
KEY = AnswerKey("insider", {"window": 60}, "Done.", [FACT], [Indicator("user", "eve", "new")])


def test_times_are_utc_text(tmp_path: Path) -> None:
    KEY.write(tmp_path / "key.json")
    content = json.loads((tmp_path / "key.json").read_text())
    assert content["facts"][0]["time"] == "2026-09-01T00:00:00Z"
    assert read_key(tmp_path / "key.json") == KEY


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"scenario": 1}', '{"facts": [{"time": "2026-09-01"}]}', "\x00"],
)
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is not an answer key: give the file that `flowbench"):
        read_key(path)


@pytest.mark.parametrize("change", [{"time": "2026-09-01T00:00:00"}, {"more": 1}, {"time": 5}])
def test_a_fact_with_a_wrong_field_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "key.json"
    KEY.write(path)
    content = json.loads(path.read_text())
    content["facts"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not an answer key"):
        read_key(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none.json: No such file"):
        read_key(tmp_path / "none.json")
