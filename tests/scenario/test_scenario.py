"""The entry point: names, and folders that must be empty."""

from __future__ import annotations

import pytest

from flowbench import scenario
from flowbench.errors import InputError


def test_a_folder_with_files_is_refused(tmp_path) -> None:
    (tmp_path / "x").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        scenario.write("winterday", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_unknown_name_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(InputError, match="unknown scenario 'nope'; known: winterday"):
        scenario.write("nope", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"version": 6}, "no flow logs with version 6"), ({"window": 300}, "with window 300")],
)
def test_other_flow_logs_than_these_are_refused(tmp_path, options, message) -> None:
    with pytest.raises(InputError, match=message):
        scenario.write("winterday", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
