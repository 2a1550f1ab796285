"""The commands about addresses, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.story import EXIT, story
from tests.test_cli import run


@pytest.fixture(scope="module")
def story_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story(tmp_path_factory.mktemp("addresses") / "story").path


def test_what_was_reached_without_a_name(story_case) -> None:
    shown = run("unresolved", story_case, "--format", "json")
    rows = json.loads(shown.stdout)
    assert [(row["address"], row["service_port"], row["names"]) for row in rows] == [
        (EXIT, 443, [])
    ]
    assert "judged: 1 of 1 inside hosts" in shown.stderr
