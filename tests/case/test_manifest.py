"""``case.json``: name and format."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime

import pytest

from flowbench.case import Case, manifest
from flowbench.errors import CaseError


def test_folders_that_are_in_use_are_refused(case, tmp_path) -> None:
    with pytest.raises(CaseError, match="is a case already"):
        Case.create(case.path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(CaseError, match="not an empty folder"):
        Case.create(tmp_path / "full")
    with pytest.raises(CaseError, match="not an empty folder"):
        Case.create(tmp_path / "full" / "x")
    assert (tmp_path / "full" / "x").read_text() == "x"


@pytest.mark.parametrize(
    "content",
    [None, "{]", "[]", "null", '{"name": "x"}', '{"name": 5, "format": 2}', "[" * 100_000, "\xff"],
)
def test_what_is_not_a_case_is_refused(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "case.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CaseError, match=r"is not a case|case\.json cannot be read"):
        Case.open(tmp_path)


@pytest.mark.parametrize("version", [1, 99, "2", None, [2] * 1_000])
def test_another_format_is_refused_with_both_formats_and_the_remedy(tmp_path, version) -> None:
    content = {"name": "old", "format": version, "created": "2026-09-01T00:00:00+00:00"}
    (tmp_path / "case.json").write_text(json.dumps(content))
    with pytest.raises(CaseError) as caught:
        Case.open(tmp_path)
    message = str(caught.value)
    assert f"case format {str(version)[:20]}, and this flowbench reads format 2" in message
    assert "make a new case" in message
    assert "ingest the evidence again" in message


def test_a_new_case_has_its_name_format_and_time(tmp_path) -> None:
    manifest.create_folder(tmp_path / "a" / "b", None)
    content = json.loads((tmp_path / "a" / "b" / "case.json").read_text())
    assert (content["name"], content["format"]) == ("b", 2)
    assert datetime.fromisoformat(content["created"]).tzinfo == UTC
    assert manifest.read_name(tmp_path / "a" / "b") == "b"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["case.json"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere it is a separator")
def test_a_path_with_a_backslash_is_refused_before_anything_is_written(case, tmp_path) -> None:
    with pytest.raises(CaseError, match=r"a\\b has a backslash in its path.*choose another folder"):
        Case.create(tmp_path / "a\\b")
    assert not (tmp_path / "a\\b").exists()
    moved = case.path.rename(tmp_path / "c\\d")
    with pytest.raises(CaseError, match="has a backslash in its path"):
        Case.open(moved)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_folder_is_its_owners_alone_and_an_old_one_keeps_its_mode(tmp_path, umask) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o770)
    before = os.umask(umask)
    try:
        for name in ("deep/new", "shared"):
            Case.create(tmp_path / name)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("deep/new", "shared")]
    assert modes == [0o700, 0o770]


def test_the_digest_of_the_manifest_is_in_the_first_entry(case) -> None:
    sha256 = hashlib.sha256((case.path / "case.json").read_bytes()).hexdigest()
    assert case.custody[0]["details"] == {"name": "case", "manifest": sha256}


@pytest.mark.parametrize("name", ["Winterday", "ünï", '"; rm -rf', "<b>"])
def test_a_name_may_be_any_text(tmp_path, name) -> None:
    assert Case.create(tmp_path / "case", name).name == name
    assert Case.open(tmp_path / "case").name == name


def test_a_folder_that_cannot_be_made_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CaseError, match="cannot make a case"):
        Case.create(tmp_path / "file" / "case")
    with pytest.raises(CaseError, match="is not a case"):
        Case.open(tmp_path / "file")
